"""A small hand-made drive for the dashboards' tests: 3 s, a car that crosses, two cameras, a LiDAR, one roadside unit."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Crossing, Rsu, Site
from replay.drive import (
    EGO_POSES,
    EGO_SAMPLES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
)
from v2x.codecs import decode, encode

WIRE_FORMAT = "etsi-cpm-2.1.1"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
ORIGIN = GeoPoint(48.137, 11.575, 520.0)
CAMERA_FROM_EGO = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # looking ahead


@dataclass(frozen=True)
class SmallDrive:
    """Importer: `steps` moments; the ego drives east at 5 m/s, a car crosses its way northward at 8 m/s."""

    steps: int = 30
    sensors: bool = True

    def describe(self) -> DriveInfo:
        site = Site((Crossing("demo", ORIGIN, np.array([[-80, -80], [80, -80], [80, 80], [-80, 80]], float), "off"),),
                    (Rsu("rsu-1", "demo", 101, "", "", SE3.from_yaw("map", "rsu-1", 0.5, np.array([12.0, 14.0, 6.0]))),))
        return DriveInfo("small", ORIGIN, START_NS, START_NS, {}, site, "test", notes=("Made by hand for a test.",))

    def __len__(self) -> int:
        return self.steps * (7 if self.sensors else 6)

    def __iter__(self) -> Iterator[Event]:
        for step in range(self.steps):
            time_ns = START_NS + step * STEP_NS
            pose = SE3.from_yaw("map", "ego", 0.0, np.array([-20.0 + 0.5 * step, 0.0, 0.0]))
            if self.sensors:
                yield Event(time_ns, EGO_SAMPLES, sample(time_ns, pose, step))
            yield Event(time_ns, EGO_POSES, EgoPose(time_ns, pose, np.array([5.0, 0.0, 0.0]), np.full((6, 6), np.nan)))
            truth = crossing_car(time_ns, step, "truth", 0.0)
            yield Event(time_ns, FUSED_TRACKS, crossing_car(time_ns, step, "fusion", 0.2))
            yield roadside_message(time_ns, step)
            yield Event(time_ns, ROADSIDE_OBJECTS, crossing_car(time_ns, step, "rsu-1", -0.6))
            yield Event(time_ns, TRUTH, Truth.build(truth, points_in_box=np.array([40]), pixels_visible=np.array([900])))
            yield Event(time_ns, VEHICLE_OBJECTS, crossing_car(time_ns, step, "vehicle", 0.5))


def crossing_car(time_ns: int, step: int, source: str, off_m: float) -> ObjectList:
    """One car at x = 5 m, driving north through y = 0 half way; `off_m` shifts it east, so that sources differ."""
    boxes = Boxes3D("map", np.array([[5.0 + off_m, -12.0 + 0.8 * step, 0.8]]), np.array([[4.4, 1.9, 1.6]]), np.array([np.pi / 2]))
    return ObjectList.build(boxes, source, time_ns, np.array([ObjectClass.CAR], np.uint8), score=np.array([0.9]),
                            velocity_mps=np.array([[0.0, 8.0]]), track_id=np.array([7]))


def roadside_message(time_ns: int, step: int) -> Event:
    """The car as the unit reports it: real CPM octets, received 60 ms after they were generated."""
    seen = crossing_car(time_ns, step, "rsu-1", -0.6).transformed(SE3("reference", "map", np.eye(3), np.zeros(3)))
    seen = replace(seen, covariance=np.broadcast_to(np.diag([0.04, 0.04, 0.04, 0.01, 0.25, 0.25]), (1, 6, 6)))
    header = Header("rsu-1", WIRE_FORMAT, time_ns, time_ns + 60_000_000, 0, 1, b"")
    message = RoadsideMessage(header, 101, ORIGIN, seen, (), ())
    raw = encode(message, WIRE_FORMAT)
    read = decode(raw, WIRE_FORMAT, publisher="rsu-1", received_ns=header.received_ns)
    return Event(time_ns, ROADSIDE_MESSAGES, replace(read, header=replace(read.header, generated_ns=time_ns)))


def sample(time_ns: int, map_from_ego: SE3, step: int) -> Sample:
    rng = np.random.default_rng(step)
    xyz = rng.uniform([-30, -30, -1.8], [30, 30, 3.0], (3000, 3)).astype(np.float32)
    cloud = PointCloud("LIDAR_TOP", time_ns, xyz, rng.uniform(0, 1, 3000).astype(np.float32), np.zeros(3000, np.uint8),
                       np.zeros(3000, np.int32))
    images, poses = [], {"LIDAR_TOP": SE3("ego", "LIDAR_TOP", np.eye(3), np.array([0.0, 0.0, 1.8]))}
    for name, turn_rad in (("CAM_FRONT", 0.0), ("CAM_BACK", np.pi)):
        model = CameraModel(name, 176, 64, np.array([[90.0, 0, 88], [0, 90.0, 32], [0, 0, 1]]), np.zeros(0))
        rgb = np.full((64, 176, 3), 60, np.uint8)
        rgb[:, (step * 5) % 170:(step * 5) % 170 + 6] = 200
        images.append(CameraImage(time_ns, rgb, model))
        turn = SE3.from_yaw("ego", name, turn_rad, np.array([0.0, 0.0, 1.6]))
        poses[name] = SE3("ego", name, turn.rotation @ CAMERA_FROM_EGO.T, turn.translation_m)
    return Sample("small", time_ns, (cloud,), tuple(images), map_from_ego, poses)


def record_small_drive(path: Path, steps: int = 30, sensors: bool = True) -> Path:
    from replay.recorder import import_drive

    import_drive(SmallDrive(steps, sensors), path)
    return path
