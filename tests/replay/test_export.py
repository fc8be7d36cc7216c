import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from mcap.reader import make_reader
from typer.testing import CliRunner

import roadweave
from data_specs.errors import InputError
from data_specs.messages import GeoPoint
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.drive import EGO_POSES, EGO_SAMPLES, ROADSIDE_MESSAGES, TRUTH, VEHICLE_OBJECTS
from replay.export import Span, write_whole
from replay.importers.kitti import KittiImporter
from replay.recorded import open_drive
from replay.recorder import Recorder, import_drive
from replay.simulate import simulate
from tests.replay.drives import START_NS, STEP_NS, drive_info, events
from v2x.geodesy import map_from_geo

STEPS = 12
CLOCKWISE_M = np.array([[-50.0, -50.0], [-50.0, 50.0], [50.0, 50.0], [50.0, -50.0]])


def recorded(folder, **changes):
    info = drive_info(**changes)
    with Recorder(folder, info) as recorder:
        for event in events(STEPS):
            if event.topic == VEHICLE_OBJECTS:
                objects = event.payload
                event = replace(event, payload=replace(objects, track_id=np.array([1, 2, 3, -1]),
                                                       velocity_mps=np.array([[3.0, 0.0], [0.0, 0.1], [np.nan] * 2, [1.0, 1.0]])))
            recorder.write(event)
    return folder


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    crossing = Crossing("x", GeoPoint(48.1, 11.5, 520.0), CLOCKWISE_M, "off")
    rsu = Rsu("rsu-1", "x", 101, "", "", SE3("map", "rsu-1", np.eye(3), np.array([10.0, 20.0, 6.0])))
    return recorded(tmp_path_factory.mktemp("export") / "drive", site=Site((crossing,), (rsu,)))


def run(*arguments):
    return CliRunner().invoke(roadweave.app, ["export", *map(str, arguments)], catch_exceptions=False)


def test_an_mcap_holds_sensors_as_recorded_and_objects_as_scenes(drive, tmp_path):
    out = tmp_path / "out.mcap"
    assert run(drive, "--mcap", out).exit_code == 0
    with out.open("rb") as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        numbers = summary.statistics.channel_message_counts
        counts = {channel.topic: numbers[number] for number, channel in summary.channels.items()}
        schemas = {schema.name for schema in summary.schemas.values()}
        lists = {message.log_time: SceneUpdate.FromString(message.data).entities[0]
                 for _, _, message in reader.iter_messages(topics=[VEHICLE_OBJECTS])}
        heard = [json.loads(message.data) for _, _, message in reader.iter_messages(topics=[ROADSIDE_MESSAGES])]
    assert counts[VEHICLE_OBJECTS] == counts[TRUTH] == counts[EGO_SAMPLES] == counts[f"{EGO_POSES}/transforms"] == STEPS
    assert {"foxglove.SceneUpdate", "foxglove.PointCloud", "foxglove.CompressedImage", "foxglove.FrameTransforms",
            "foxglove.CameraCalibration"} <= schemas
    for event in open_drive(drive).events(topics=[VEHICLE_OBJECTS]):
        entity, boxes = lists[event.time_ns], event.payload.boxes
        assert entity.frame_id == "map" and entity.id == VEHICLE_OBJECTS
        got = [[cube.pose.position.x, cube.pose.position.y, cube.pose.position.z] for cube in entity.cubes]
        assert np.allclose(got, boxes.center_m)
        yaws = [2 * np.arctan2(cube.pose.orientation.z, cube.pose.orientation.w) for cube in entity.cubes]
        assert np.allclose(np.cos(yaws), np.cos(boxes.yaw_rad)) and np.allclose(np.sin(yaws), np.sin(boxes.yaw_rad))
        assert len(entity.arrows) == 2 and [text.text.split()[0] for text in entity.texts] == ["car"] * 4
    assert [one["kind"] for one in heard[:2]] == ["RoadsideMessage", "SignalMessage"]
    assert bytes.fromhex(heard[1]["octets"]) == b"spat"


def test_geojson_holds_tracks_units_and_crossings_where_they_are(drive, tmp_path):
    out = tmp_path / "out.geojson"
    assert run(drive, "--geojson", out, "--topics", VEHICLE_OBJECTS).exit_code == 0
    features = json.loads(out.read_text())["features"]
    by_kind = {kind: [feature for feature in features if feature["properties"]["kind"] == kind]
               for kind in ("track", "ego", "rsu", "crossing")}
    assert [len(found) for found in by_kind.values()] == [3, 1, 1, 1]
    track = by_kind["track"][0]
    centers = [event.payload.boxes.center_m[0, :2] for event in open_drive(drive).events(topics=[VEHICLE_OBJECTS])]
    places = [GeoPoint(lat, lon, 520.0) for lon, lat in track["geometry"]["coordinates"]]
    assert np.allclose(map_from_geo(GeoPoint(48.1, 11.5, 520.0), places)[:, :2], centers, atol=0.02)
    assert track["properties"]["t_s"] == pytest.approx(np.arange(STEPS) / 10) and track["properties"]["class"] == "car"
    ring = np.array(by_kind["crossing"][0]["geometry"]["coordinates"][0])
    x, y = ring.T
    assert (ring[0] == ring[-1]).all() and (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0  # counter-clockwise
    assert by_kind["rsu"][0]["properties"]["name"] == "rsu-1"


def test_geojson_needs_a_place_and_objects(tmp_path, drive):
    nowhere = recorded(tmp_path / "nowhere", origin=GeoPoint(0.0, 0.0, float("nan")))
    with pytest.raises(InputError, match="where on Earth"):
        run(nowhere, "--geojson", tmp_path / "a.geojson")
    with pytest.raises(InputError, match=r"no objects in map on fused\.tracks, expected one of truth, vehicle\.objects"):
        run(drive, "--geojson", tmp_path / "a.geojson")
    assert not list(tmp_path.glob("*a.geojson*"))


def test_nuscenes_tables_name_one_another(drive, tmp_path):
    out = tmp_path / "nu"
    assert run(drive, "--nuscenes", out).exit_code == 0
    tables = {path.stem: json.loads(path.read_text()) for path in (out / "v1.0-mini").iterdir()}
    tokens = {name: {row["token"] for row in rows} for name, rows in tables.items()}
    assert len(tables) == 13 and all(len(tokens[name]) == len(rows) for name, rows in tables.items())
    for name, key, other in (("sample_data", "sample_token", "sample"), ("sample_data", "ego_pose_token", "ego_pose"),
                             ("sample_data", "calibrated_sensor_token", "calibrated_sensor"), ("sample", "scene_token", "scene"),
                             ("calibrated_sensor", "sensor_token", "sensor"), ("sample_annotation", "sample_token", "sample"),
                             ("sample_annotation", "instance_token", "instance"), ("instance", "category_token", "category")):
        assert {row[key] for row in tables[name]} <= tokens[other], (name, key)
    assert len(tables["sample"]) == STEPS and all((out / row["filename"]).is_file() for row in tables["sample_data"])
    sample = next(open_drive(drive).events(topics=[EGO_SAMPLES])).payload
    first = next(row for row in tables["sample_data"] if row["filename"].endswith("pcd.bin"))
    points = np.fromfile(out / first["filename"], "<f4").reshape(-1, 5)
    assert np.array_equal(points[:, :3], sample.clouds[0].xyz_m)
    again = tmp_path / "again"
    run(drive, "--nuscenes", again)
    assert (again / "v1.0-mini" / "sample_data.json").read_bytes() == (out / "v1.0-mini" / "sample_data.json").read_bytes()


def test_a_part_of_a_drive_is_exported(drive, tmp_path):
    done = run(drive, "--mcap", tmp_path / "out.mcap", "--topics", TRUTH, "--from", 0.3, "--to", 0.6, "--json")
    assert json.loads(done.stdout)["written"] == {str(tmp_path / "out.mcap"): {TRUTH: 3}}


@pytest.mark.parametrize("format_", ["--mcap", "--geojson", "--rerun"])
def test_a_topic_that_is_not_there_is_refused_before_anything_is_written(drive, tmp_path, format_):
    with pytest.raises(InputError, match=r"--topics: 'nonsense', expected one of ego.poses, .*vehicle.objects"):
        run(drive, format_, tmp_path / "out", "--topics", "truth, nonsense")
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_none_is_refused(drive):
    info = open_drive(drive).info
    assert Span.of(info, 0.1, None) == Span(START_NS + STEP_NS, None)
    for from_s, to_s in ((99.0, None), (0.5, 0.5), (0.5, 0.2)):
        with pytest.raises(InputError, match=r"a part of the drive's 1.1 s"):
            Span.of(info, from_s, to_s)


def test_what_is_there_is_replaced_only_when_asked_and_nothing_half_written_stays(tmp_path):
    out = tmp_path / "out"
    out.write_text("old")

    def fail(part):
        part.write_text("half")
        raise RuntimeError("no more room")

    with pytest.raises(InputError, match="--overwrite replaces it"):
        write_whole(out, False, fail)
    with pytest.raises(RuntimeError):
        write_whole(out, True, fail)
    assert out.read_text() == "old" and list(tmp_path.iterdir()) == [out]
    write_whole(out, True, lambda part: part.write_text("new") and None)
    assert out.read_text() == "new"


def test_nothing_asked_for_is_said(drive):
    assert run(drive).exit_code == 2


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    """A simulated drive of a second: cameras, a LiDAR and truth that belong together."""
    folder = tmp_path_factory.mktemp("simulated") / "drive"
    import_drive(simulate("crossing", 3, 1.0), folder)
    return folder


def test_kitti_frames_come_back_as_they_went_out(crossing, tmp_path):
    out = tmp_path / "kitti"
    assert run(crossing, "--kitti", out).exit_code == 0
    drive = open_drive(crossing)
    truths = {event.time_ns: event.payload for event in drive.events(topics=[TRUTH])}
    samples = [event.payload for event in drive.events(topics=[EGO_SAMPLES]) if event.payload.images and event.time_ns in truths]
    back = list(KittiImporter(out))
    frames = [event.payload for event in back if event.topic == EGO_SAMPLES]
    assert len(frames) == len(samples) >= 3
    for sample, frame, labels in zip(samples, frames, [event.payload for event in back if event.topic == TRUTH]):
        shift_m = sample.ego_from_sensor["LIDAR_TOP"].translation_m
        ego = sample.ego_from_sensor["LIDAR_TOP"].apply(sample.clouds[0].xyz_m) - shift_m.astype(np.float32)
        assert np.allclose(frame.clouds[0].xyz_m, ego, atol=1e-4)
        in_ego = truths[sample.taken_ns].transformed(sample.map_from_ego.inverse()).objects.boxes
        assert len(labels) > 3
        for center_m, size_m in zip(labels.objects.boxes.center_m + shift_m, labels.objects.boxes.size_lwh_m):
            nearest = np.abs(in_ego.center_m - center_m).max(axis=1).argmin()
            assert np.allclose(in_ego.center_m[nearest], center_m, atol=0.02)
            assert np.allclose(in_ego.size_lwh_m[nearest], size_m, atol=0.006)
        front = next(image for image in sample.images if image.camera.frame == "CAM_FRONT")
        assert np.array_equal(frame.images[0].rgb, front.rgb)


def test_kitti_needs_pictures_and_truth(drive, tmp_path):
    with pytest.raises(InputError, match=r"no topic truth"):
        with Recorder(tmp_path / "bare", drive_info()) as recorder:
            recorder.write(next(event for event in events(1) if event.topic == EGO_SAMPLES))
        run(tmp_path / "bare", "--kitti", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def rerun_command(*arguments):
    done = subprocess.run([sys.executable, "-m", "rerun", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_rerun_opens_what_is_written_for_it_and_the_mcap_too(crossing, tmp_path):
    pytest.importorskip("rerun", reason="the extra rerun is not installed")
    assert run(crossing, "--rerun", tmp_path / "a.rrd", "--mcap", tmp_path / "b.mcap").exit_code == 0
    rerun_command("rrd", "verify", tmp_path / "a.rrd")
    rerun_command("mcap", "convert", tmp_path / "b.mcap", "-o", tmp_path / "b.rrd")
    for name, path in (("a", "/map/truth"), ("b", "/truth")):
        printed = rerun_command("rrd", "print", "-v", tmp_path / f"{name}.rrd")
        assert path in printed and "LIDAR_TOP" in printed
