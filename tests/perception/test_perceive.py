import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, OutOfMemory
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.sensors import PointCloud, Sample
from data_specs.site import Site
from perception.assemble import build_detector
from perception.checkpoint import save_weights
from perception.load import load_detector
from perception.perceive import perceive
from perception.pointpillars import KITTI, PointPillarsNet
from replay.drive import EGO_SAMPLES, FUSED_TRACKS, VEHICLE_OBJECTS, DriveInfo, Event
from replay.recorded import open_drive
from replay.recorder import Recorder, extend_drive
from roadweave import app
from tests.perception.scenes import TINY


class OneCar:
    """Finds one car 10 m ahead in every sample."""

    name = "one-car"

    def detect(self, sample, earlier=()):
        box = Boxes3D("ego", np.array([[10.0, 0, 0]]), np.array([[4.0, 2, 1.5]]), np.zeros(1))
        return ObjectList.build(box, self.name, sample.taken_ns, np.array([ObjectClass.CAR], np.uint8))


def record(path, times_ns=(100, 200, 300)):
    cloud = PointCloud("LIDAR_TOP", 0, np.array([[5, 0, 0]], np.float32), np.zeros(1, np.float32), np.zeros(1, np.uint8),
                       np.zeros(1, np.int32))
    info = DriveInfo("test", GeoPoint(0, 0, 0), 0, 0, {}, Site((), ()), "test")
    with Recorder(path, info) as recorder:
        for i, time_ns in enumerate(times_ns):
            map_from_ego = SE3.from_yaw("map", "ego", np.pi / 2, np.array([0.0, i, 0.0]))
            sample = Sample("test", time_ns, (cloud,), (), map_from_ego, {"LIDAR_TOP": SE3.identity("ego", "LIDAR_TOP")})
            recorder.write(Event(time_ns, EGO_SAMPLES, sample))
    return path


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": PointPillarsNet(KITTI).state_dict()}, path)
    return path


def test_detections_become_part_of_the_drive_in_map(tmp_path, weights):
    drive = record(tmp_path / "drive")
    told = perceive(drive, OneCar(), weights).to_json()
    assert (told["detector"], told["samples"], told["objects"]) == ("one-car", 3, {"car": 3})
    events = list(open_drive(drive).events(topics=[VEHICLE_OBJECTS]))
    assert [event.time_ns for event in events] == [100, 200, 300]
    np.testing.assert_allclose(events[2].payload.boxes.center_m, [[0, 12, 0]], atol=1e-9)
    assert events[0].payload.boxes.frame == "map"
    facts = open_drive(drive).info.facts[VEHICLE_OBJECTS]
    assert facts["detector"] == "one-car" and facts["weights"] == "weights.pth" and len(facts["weights_sha256"]) == 64


def test_perceiving_again_replaces_the_detections_and_drops_tracks_made_from_them(tmp_path, weights):
    drive = record(tmp_path / "drive")
    perceive(drive, OneCar(), weights)
    extend_drive(drive, [Event(100, FUSED_TRACKS, ObjectList.empty("map", "fusion"))])
    perceive(drive, OneCar(), weights)
    topics = open_drive(drive).info.topics
    assert topics[VEHICLE_OBJECTS].count == 3 and FUSED_TRACKS not in topics


def test_a_drive_without_sensor_data_is_refused(tmp_path, weights):
    drive = record(tmp_path / "drive", ())
    with pytest.raises(InputError, match=r"drive: no ego\.samples \(topics: none\), expected a drive with sensor data"):
        perceive(drive, OneCar(), weights)


@pytest.mark.slow
def test_the_command_prints_one_json_object(tmp_path, weights):
    drive = record(tmp_path / "drive", (100,))
    result = CliRunner().invoke(app, ["perceive", str(drive), "--weights", str(weights), "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["detector"] == "pointpillars-kitti" and told["samples"] == 1 and told["ms_per_sample"]["p50"] > 0


def test_our_network_runs_over_a_drive_with_what_it_remembers_of_it(tmp_path):
    torch.manual_seed(0)
    drive, path = record(tmp_path / "drive", (0, 200_000_000, 400_000_000)), tmp_path / "tiny.safetensors"
    config = replace(TINY, memory=True)
    built = build_detector(config)
    torch.nn.init.constant_(built.network.head.heatmap[-1].get_parameter("bias"), 0.0)
    save_weights(path, built, config, {})
    told = perceive(drive, load_detector(path, "cpu"), path).to_json()
    assert (told["detector"], told["samples"]) == ("tiny", 3)
    assert sum(told["objects"].values()) > 0
    assert all(np.isfinite(e.payload.score).all() for e in open_drive(drive).events(topics=[VEHICLE_OBJECTS]))


def test_a_drive_is_left_as_it_was_where_the_memory_runs_out(tmp_path, weights):
    class Greedy(OneCar):
        def detect(self, sample, earlier=()):
            torch.empty(2**54, dtype=torch.uint8)
            return super().detect(sample)

    drive = record(tmp_path / "drive")
    perceive(drive, OneCar(), weights)
    with pytest.raises(OutOfMemory, match="one-car: needs"):
        perceive(drive, Greedy(), weights)
    assert [len(e.payload) for e in open_drive(drive).events(topics=[VEHICLE_OBJECTS])] == [1, 1, 1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drive", "weights.pth"]
