import json
import os
from dataclasses import replace

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat
from data_specs.objects import ObjectClass
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, MemoryDrive, TopicInfo, rsu_objects, rsu_samples
from replay.importers.dair_v2x import DairV2xImporter
from replay.metrics.cooperative import co_visible_distances_m, data_set_offsets_m
from tests.replay.importers.dair_folder import START_US, make_dair, write_json

START_NS = START_US * 1000


@pytest.fixture
def folder(tmp_path):
    return make_dair(tmp_path / "dair")


def events_of(importer, topic):
    return [event for event in importer if event.topic == topic]


def drive_of(importer):
    events = list(importer)
    topics = {event.topic: TopicInfo(type(event.payload).__name__, 1) for event in events}
    return MemoryDrive(replace(importer.describe(), topics=topics), events)


def test_both_sides_come_on_one_clock(folder):
    stamps = [(event.time_ns - START_NS, event.topic) for event in DairV2xImporter(folder)]
    vehicle, roadside = [EGO_POSES, EGO_SAMPLES, VEHICLE_OBJECTS], [rsu_objects("rsu-1"), rsu_samples("rsu-1")]
    assert stamps == [
        *((0, topic) for topic in [EGO_POSES, EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS]), *((20_000_000, topic) for topic in roadside),
        *((100_000_000, topic) for topic in vehicle), (120_000_000, roadside[0])]


def test_both_sides_and_the_joint_truth_stand_in_one_map(folder):
    importer = DairV2xImporter(folder)
    [rsu] = importer.describe().site.rsus
    seen = events_of(importer, VEHICLE_OBJECTS)[0].payload
    roadside = events_of(importer, rsu_objects("rsu-1"))[0].payload.transformed(rsu.map_from_rsu)
    truth = events_of(importer, TRUTH)[0].payload.objects
    np.testing.assert_allclose(seen.boxes.center_m, [[10.0, 20.0, -1.3]], atol=1e-6)
    np.testing.assert_allclose(seen.boxes.yaw_rad, [np.pi / 2])
    np.testing.assert_allclose(roadside.boxes.center_m[0], [10.0, 19.8, -0.8], atol=1e-6)
    np.testing.assert_allclose(truth.boxes.center_m[:, :2], [[10.0, 20.0], [11.0, 60.0]], atol=1e-6)
    np.testing.assert_allclose(truth.boxes.yaw_rad, [1.2, -2.0])
    assert importer.describe().facts["world_from_map_m"] == [3000.0, 2000.0, 22.0]


def test_boxes_without_a_space_part_are_dropped_and_classes_are_ours(folder):
    importer = DairV2xImporter(folder)
    assert [len(event.payload) for event in events_of(importer, VEHICLE_OBJECTS)] == [1, 1]
    assert events_of(importer, rsu_objects("rsu-1"))[0].payload.label.tolist() == [ObjectClass.CAR, ObjectClass.TRAFFIC_CONE]


def test_the_ego_drives_forwards_along_its_own_x(folder):
    pose = events_of(DairV2xImporter(folder), EGO_POSES)[0].payload.map_from_ego
    np.testing.assert_allclose(pose.apply(np.array([[1.0, 0.0, 0.0]])) - pose.translation_m, [[0.0, 1.0, 0.0]], atol=1e-9)


def test_points_carry_their_own_times_and_intensity_goes_to_one(folder):
    vehicle = events_of(DairV2xImporter(folder), EGO_SAMPLES)[0].payload
    [cloud], [image] = vehicle.clouds, vehicle.images
    assert len(cloud) == 2  # the return at the sensor itself is gone
    np.testing.assert_allclose(cloud.offset_ns, [50_000_000, 100_000_000], atol=300)  # f64 seconds resolve 240 ns
    np.testing.assert_allclose(cloud.intensity, [0.2, 1.0], atol=1e-6)
    assert image.taken_ns - vehicle.taken_ns == 70_000_000
    assert image.camera.distortion.size == 0


def test_a_roadside_camera_keeps_its_pixels_though_its_pose_was_stretched(folder):
    sample = events_of(DairV2xImporter(folder), rsu_samples("rsu-1"))[0].payload
    assert sample.platform == "rsu-1"
    [image] = sample.images
    place_m = np.array([[12.0, 3.0, -1.0]])  # in the unit's frame, which is the LiDAR's here
    camera_from_unit = sample.ego_from_sensor[image.camera.frame].inverse()
    pixels, _ = image.camera.project(camera_from_unit.apply(place_m))
    stretched = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -0.8], [1.0, 0.0, 0.0]]) @ place_m[0] + [0.1, 0.2, 0.3]
    expected = np.array([[20.0, 0, 8], [0, 20, 6], [0, 0, 1]]) @ stretched
    np.testing.assert_allclose(pixels[0], expected[:2] / expected[2], atol=1e-9)


def test_the_offset_is_among_the_facts_and_applied_only_on_request(folder):
    plain, asked = DairV2xImporter(folder), DairV2xImporter(folder, apply_offset=True)
    for importer, applied in ((plain, False), (asked, True)):
        assert importer.describe().facts["system_error_offset"] == [
            {"unit": "rsu-1", "frame": "000007", "time_ns": START_NS + 20_000_000, "offset_m": [0.5, -0.5]}]
        assert importer.describe().facts["offset_applied"] is applied
    moved = []
    for importer in (plain, asked):
        [rsu] = importer.describe().site.rsus
        moved.append([event.payload.transformed(rsu.map_from_rsu).boxes.center_m[0, :2]
                      for event in events_of(importer, rsu_objects("rsu-1"))])
    np.testing.assert_allclose(np.subtract(moved[1], moved[0]), [[0.5, -0.5], [0.0, 0.0]], atol=1e-9)


def test_labels_alone_make_a_drive_that_says_what_is_not_there(tmp_path):
    importer = DairV2xImporter(make_dair(tmp_path / "dair", sensors=False))
    assert {event.topic for event in importer} == {EGO_POSES, TRUTH, VEHICLE_OBJECTS, rsu_objects("rsu-1")}
    assert "2 of 2 vehicle frames have no cloud here" in importer.describe().notes


def test_the_official_archive_and_a_folder_without_pairs_are_read_too(tmp_path):
    root = make_dair(tmp_path / "download" / "cooperative-vehicle-infrastructure")
    (root / "cooperative/data_info.json").unlink()
    importer = DairV2xImporter(tmp_path / "download")
    assert importer.describe().facts["system_error_offset"] == []
    assert len(events_of(importer, TRUTH)) == 1


@pytest.mark.parametrize(("file", "text", "error", "message"), [
    ("vehicle-side/data_info.json", None, MissingInput, "vehicle-side/data_info.json: missing, expected the index of a side"),
    ("vehicle-side/data_info.json", "[]", InputError, r"list \[\], expected a list of frames"),
    ("vehicle-side/data_info.json", '[{"image_path": "a"}]', InputError, "frame 0: KeyError 'pointcloud_path'"),
    ("vehicle-side/calib/novatel_to_world/000101.json", None, MissingInput, "000101.json: missing, expected the transform"),
    ("vehicle-side/calib/novatel_to_world/000101.json", '{"rotation": [[1, 0', TruncatedInput, "000101.json:1: .* as JSON"),
    ("vehicle-side/calib/novatel_to_world/000101.json", '{"rotation": [[1, 0], [0, 1]], "translation": [0, 0, 0]}', InputError,
     r"rotation \(2, 2\), translation \(3,\), expected \(3, 3\) and \(3,\)"),
    ("vehicle-side/calib/lidar_to_novatel/000101.json", '{"rotation": [[1,0,0],[0,1,0],[0,0,2]], "translation": [0,0,0]}',
     InputError, "from the nearest rotation"),
    ("vehicle-side/calib/camera_intrinsic/000101.json", '{"cam_K": [1, 2]}', InputError, "expected cam_K with 9 numbers"),
    ("vehicle-side/label/lidar/000101.json", '[{"type": "Submarine", "3d_dimensions": {"l": 1, "w": 1, "h": 1}}]', UnknownFormat,
     "000101.json: object 0: class 'submarine', expected one of car"),
    ("vehicle-side/label/lidar/000101.json", '[{"type": "Car"}]', InputError, "object 0: KeyError '3d_dimensions'"),
    ("vehicle-side/image/000101.jpg", "no image", TruncatedInput, "expected a whole JPEG"),
    ("infrastructure-side/velodyne/000007.pcd", "VERSION 0.7\n", TruncatedInput, "expected a PCD header"),
])
def test_what_is_wrong_is_named(folder, file, text, error, message):
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(error, match=message):
        list(DairV2xImporter(folder))


def test_a_stamp_that_is_no_microseconds_is_refused(folder):
    rows = json.loads((folder / "infrastructure-side/data_info.json").read_text())
    write_json(folder / "infrastructure-side/data_info.json", [rows[0] | {"pointcloud_timestamp": "1626240240.9"}])
    with pytest.raises(InputError, match=r"time stamp '1626240240.9', expected Unix microseconds"):
        DairV2xImporter(folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(MissingInput, match="vehicle-side: missing, expected a DAIR-V2X-C folder"):
        DairV2xImporter(tmp_path)


@pytest.mark.sample_data
@pytest.mark.parametrize(("apply_offset", "median_m"), [(False, 1.59), (True, 0.91)])
def test_the_registration_of_the_real_excerpt_is_as_wrong_as_its_makers_measured(sample_data, tmp_path, apply_offset, median_m):
    source, labels = sample_data / "dair_v2x_c", tmp_path / "labels"
    for folder, _, files in os.walk(source):  # labels and calibrations alone: quick
        for file in files:
            if file.endswith(".json"):
                target = labels / os.path.relpath(folder, source) / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(os.path.join(folder, file))
    drive = drive_of(DairV2xImporter(labels, apply_offset))
    as_it_stands, otherwise = co_visible_distances_m(drive), co_visible_distances_m(drive, data_set_offsets_m(drive.info))
    assert np.median(as_it_stands) == pytest.approx(median_m, abs=0.01)
    assert np.median(otherwise) == pytest.approx(1.59 + 0.91 - median_m, abs=0.01)
    assert len(as_it_stands) == pytest.approx(97, abs=3)
