import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from PIL import Image

from data_specs.errors import InputError, MissingInput
from data_specs.objects import ObjectClass
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH
from replay.importers.argoverse2 import Argoverse2Importer, velocities
from replay.recorded import open_drive
from replay.recorder import import_drive

FIRST_NS, STEP_NS = 315_966_253_000_000_000, 100_000_000
HALF_TURN = {"qw": 0.0, "qx": 0.0, "qy": 0.0, "qz": 1.0}
NO_TURN = {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0}


def place(x=0.0, y=0.0, z=0.0):
    return {"tx_m": x, "ty_m": y, "tz_m": z}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.Table.from_pylist(rows), path)


def box(time_ns, track, category, x, points=3, **changes):
    return {"timestamp_ns": time_ns, "track_uuid": track, "category": category, "length_m": 4.0, "width_m": 2.0, "height_m": 1.5,
            **NO_TURN, **place(x, 1.0, 0.5), "num_interior_pts": points} | changes


def made_log(folder, *, pictures=True, boxes=True, ticks=3):
    """The ego drives at 10 m/s along city x, having turned by half a turn; a car stands 20 m behind where it started."""
    times = [FIRST_NS + tick * STEP_NS for tick in range(ticks)]
    poses = [FIRST_NS + i * 10_000_000 for i in range(-1, 10 * ticks + 1)]
    write(folder / "city_SE3_egovehicle.feather", [
        {"timestamp_ns": time_ns, **HALF_TURN, **place(1000.0 - 10.0 * (time_ns - FIRST_NS) / 1e9, 500.0, 60.0)}
        for time_ns in poses])
    write(folder / "calibration" / "egovehicle_SE3_sensor.feather", [
        {"sensor_name": name, **NO_TURN, **place(1.0, 0.0, height)}
        for name, height in (("up_lidar", 1.6), ("down_lidar", 1.5), ("ring_front_center", 1.4))])
    write(folder / "calibration" / "intrinsics.feather", [
        {"sensor_name": "ring_front_center", "fx_px": 20.0, "fy_px": 20.0, "cx_px": 8.0, "cy_px": 6.0, "k1": 0.1, "k2": 0.2,
         "k3": 0.3, "height_px": 12, "width_px": 16}])
    for time_ns in times:
        write(folder / "sensors" / "lidar" / f"{time_ns}.feather", [
            {"x": 5.0, "y": 1.0, "z": 1.6, "intensity": 255, "laser_number": laser, "offset_ns": 1000 * laser}
            for laser in (0, 31, 32)])
    if pictures:
        cameras = folder / "sensors" / "cameras" / "ring_front_center"
        cameras.mkdir(parents=True)
        for time_ns in range(times[0] + 20_000_000, times[-1], 50_000_000):
            Image.new("RGB", (16, 12), (200, 10, 10)).save(cameras / f"{time_ns}.jpg")
    if boxes:
        write(folder / "annotations.feather", [
            row for tick, time_ns in enumerate(times) for row in (
                box(time_ns, "a-car", "REGULAR_VEHICLE", 20.0 - tick), box(time_ns, "a-rider", "BICYCLIST", 8.0),
                box(time_ns, "an-oddity", "HOVERCRAFT", 9.0))])
    (folder / "map").mkdir(exist_ok=True)
    (folder / "map" / "log_map_archive_x____PIT_city_47896.json").write_text("{}")
    return folder


@pytest.fixture
def drive(tmp_path):
    import_drive(Argoverse2Importer(made_log(tmp_path / "log")), tmp_path / "drive")
    return open_drive(tmp_path / "drive")


def test_poses_samples_and_truth_come_by_time(drive):
    info = drive.info
    assert {name: topic.count for name, topic in info.topics.items()} == {EGO_POSES: 32, EGO_SAMPLES: 3, TRUTH: 3}
    assert info.facts["city"] == "PIT" and info.facts["categories"]["HOVERCRAFT"] == 3


def test_map_is_the_city_shifted_to_the_first_pose_and_the_ego_has_a_speed(drive):
    poses = [event.payload for event in drive.events(topics=[EGO_POSES])]
    assert np.allclose(poses[0].map_from_ego.translation_m, 0.0)
    assert np.allclose([pose.velocity_mps for pose in poses], [[-10.0, 0.0, 0.0]] * len(poses), atol=1e-6)


def test_boxes_stand_in_map_with_the_classes_of_ours_and_their_speed(drive):
    first, second = [event.payload for event in drive.events(topics=[TRUTH])][:2]
    assert np.allclose(first.objects.boxes.center_m[0], [-20.1, -1.0, 0.5])  # 0.1 m of the way is driven before the first sweep
    assert np.allclose(np.abs(first.objects.boxes.yaw_rad), np.pi)
    assert np.allclose(second.objects.boxes.center_m[0], first.objects.boxes.center_m[0])  # the car stands
    assert np.allclose(first.objects.velocity_mps[0], 0.0, atol=1e-6)
    assert first.objects.label.tolist() == [ObjectClass.CAR, ObjectClass.OTHER, ObjectClass.OTHER]
    assert first.ignore.tolist() == [False, True, True] and first.points_in_box.tolist() == [3, 3, 3]
    assert first.objects.track_id.tolist() == [0, 1, 2]


def test_each_lidar_has_its_own_cloud_in_its_own_frame(drive):
    sample = next(drive.events(topics=[EGO_SAMPLES])).payload
    assert [(cloud.frame, cloud.ring.tolist()) for cloud in sample.clouds] == [("up_lidar", [0, 31]), ("down_lidar", [32])]
    assert np.allclose(sample.clouds[0].xyz_m, [[4.0, 1.0, 0.0]] * 2, atol=1e-3)
    assert np.allclose(sample.clouds[1].xyz_m, [[4.0, 1.0, 0.1]], atol=1e-3)
    assert sample.clouds[0].intensity.tolist() == [1.0, 1.0] and sample.clouds[1].offset_ns.tolist() == [32_000]


def test_the_nearest_picture_stands_where_the_camera_was_when_it_was_taken(drive):
    samples = [event.payload for event in drive.events(topics=[EGO_SAMPLES])]
    first = samples[0]
    assert first.images[0].taken_ns == FIRST_NS + 20_000_000
    assert np.allclose(first.ego_from_sensor["ring_front_center"].translation_m, [1.2, 0.0, 1.4])  # 20 ms at 10 m/s further on
    assert np.allclose(first.images[0].camera.distortion, [0.1, 0.2, 0.0, 0.0, 0.3])


def test_cameras_without_a_picture_are_blind(tmp_path):
    importer = Argoverse2Importer(made_log(tmp_path / "log", pictures=False))
    sample = next(event.payload for event in importer if event.topic == EGO_SAMPLES)
    assert not sample.images and [camera.frame for camera in sample.blind_cameras] == ["ring_front_center"]


def test_a_log_without_annotations_has_no_truth(tmp_path):
    kinds = Counter(event.topic for event in Argoverse2Importer(made_log(tmp_path / "log", boxes=False)))
    assert TRUTH not in kinds and kinds[EGO_SAMPLES] == 3


def test_velocities_bridge_no_gap():
    time_ns = np.array([0, 100_000_000, 200_000_000, 900_000_000])
    got = velocities(np.zeros(4, int), time_ns, np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [9.0, 0, 0]]))
    assert np.allclose(got[:3], [[10.0, 0.0]] * 3) and np.isnan(got[3]).all()


def test_a_folder_with_one_log_will_do_and_one_with_several_is_refused(tmp_path):
    made_log(tmp_path / "logs" / "one")
    assert Argoverse2Importer(tmp_path / "logs").folder.name == "one"
    made_log(tmp_path / "logs" / "two")
    with pytest.raises(InputError, match="2 logs, the first one"):
        Argoverse2Importer(tmp_path / "logs")
    with pytest.raises(MissingInput, match="an Argoverse 2 sensor log"):
        Argoverse2Importer(tmp_path / "nowhere")


def test_a_truncated_table_is_named_and_nothing_is_left_behind(tmp_path):
    log = made_log(tmp_path / "log")
    path = log / "sensors" / "lidar" / f"{FIRST_NS + STEP_NS}.feather"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=rf"{path.name}.*a whole Feather file"):
        import_drive(Argoverse2Importer(log), tmp_path / "drive")
    assert not list(tmp_path.glob("*drive*"))


@pytest.mark.parametrize(("table", "change", "message"), [
    ("annotations.feather", {"tx_m": float("nan")}, r"annotations.feather: row 0.*finite numbers"),
    ("annotations.feather", {"length_m": 0.0}, r"annotations.feather: row 0.*a size above zero"),
    ("annotations.feather", {"qw": 2.0}, r"row 0.*quaternion of length 1"),
    ("city_SE3_egovehicle.feather", {"tx_m": float("inf")}, r"city_SE3_egovehicle.feather: row 0.*a pose"),
    ("annotations.feather", {"timestamp_ns": 5}, r"time 5, expected one within the log's poses"),
    ("calibration/intrinsics.feather", {"fx_px": 0.0}, r"intrinsics.feather: row 0, ring_front_center"),
    ("calibration/egovehicle_SE3_sensor.feather", {"sensor_name": "x"}, r"no row of up_lidar"),
])
def test_a_value_that_cannot_be_is_named_with_its_row(tmp_path, table, change, message):
    log = made_log(tmp_path / "log")
    rows = feather.read_table(log / table).to_pylist()
    write(log / table, [rows[0] | change, *rows[1:]])
    with pytest.raises(InputError, match=message):
        list(Argoverse2Importer(log))


def test_a_table_without_a_column_says_which(tmp_path):
    log = made_log(tmp_path / "log")
    table = feather.read_table(log / "annotations.feather").drop_columns(["num_interior_pts"])
    feather.write_feather(table, log / "annotations.feather")
    with pytest.raises(InputError, match="no column num_interior_pts"):
        Argoverse2Importer(log).describe()


@pytest.mark.sample_data
def test_points_counted_in_a_real_logs_boxes_are_those_that_the_log_counts(sample_data):
    importer = Argoverse2Importer(sample_data / "av2_label_drive")
    samples = {event.time_ns: event.payload for event in importer if event.topic == EGO_SAMPLES}
    truths = {event.time_ns: event.payload for event in importer if event.topic == TRUTH}
    assert len(truths) == 156 and json.dumps(importer.describe().facts["categories"])
    equal = []
    for time_ns, sample in samples.items():
        in_ego = truths[time_ns].transformed(sample.map_from_ego.inverse())
        points = np.vstack([sample.ego_from_sensor[cloud.frame].apply(cloud.xyz_m) for cloud in sample.clouds])
        counted = in_ego.objects.boxes.contains(points).sum(axis=1)
        equal += (counted == in_ego.points_in_box).tolist()
    assert len(equal) == 162 and np.mean(equal) > 0.98
