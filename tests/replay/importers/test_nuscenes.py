import copy
import pickle

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat
from data_specs.objects import ObjectClass
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH
from replay.importers.nuscenes import NuScenesImporter
from replay.importers.pickles import read_pickle
from replay.recorded import open_drive
from replay.recorder import import_drive
from tests.replay.importers.nuscenes_folder import EGO_FROM_LIDAR, LIDAR_FROM_CAMERA, info, write


def payloads(folder):
    return {event.topic: event.payload for event in NuScenesImporter(folder)}


def test_a_key_frame_becomes_a_pose_a_sample_and_truth_in_a_map_at_the_first_pose(tmp_path):
    read = payloads(write(tmp_path, [info()]))
    cloud, truth = read[EGO_SAMPLES].clouds[0], read[TRUTH]
    assert cloud.taken_ns == read[EGO_POSES].taken_ns == 1532402927_647951_000
    assert cloud.intensity.tolist() == pytest.approx([1.0, 0.2]) and cloud.ring.tolist() == [7, 31]
    np.testing.assert_allclose(truth.objects.boxes.center_m[0], [10.9, 0.0, 0.8], atol=1e-9)  # LiDAR's y is ego's x
    np.testing.assert_allclose(truth.objects.velocity_mps[0], [2.0, -1.0], atol=1e-9)
    assert truth.objects.label.tolist() == [ObjectClass.CAR, ObjectClass.UNKNOWN] and truth.ignore.tolist() == [False, True]
    assert truth.points_in_box.tolist() == [3, 3]
    described = NuScenesImporter(tmp_path).describe()
    assert described.facts["sample_tokens"] == {"1532402927647951000": "abc"}
    assert described.facts["global_from_map_m"] == [400.0, 1100.0, 0.0]


def test_a_camera_stands_where_it_was_when_it_took_its_image(tmp_path):
    moved = np.linalg.inv(LIDAR_FROM_CAMERA)
    moved[2, 3] += 0.3  # 8.5 m/s over the 35 ms between the two sensors
    camera = info()["images"]["CAM_FRONT"] | {"lidar2cam": moved.tolist()}
    sample = payloads(write(tmp_path, [info(images={"CAM_FRONT": camera})]))[EGO_SAMPLES]
    placed_m = sample.ego_from_sensor["CAM_FRONT"].translation_m
    np.testing.assert_allclose(placed_m, (EGO_FROM_LIDAR @ np.linalg.inv(moved))[:3, 3], atol=1e-9)


def test_samples_come_by_time_and_are_spaced_where_no_times_are_given(tmp_path):
    write(tmp_path, [info(timestamp=1532402928.1), info()])
    assert [event.time_ns for event in NuScenesImporter(tmp_path)][::3] == [1532402927647951000, 1532402928100000000]
    untimed = [{key: value for key, value in info().items() if key != "timestamp"} for _ in range(3)]
    for sample in untimed:
        del sample["images"]["CAM_FRONT"]["timestamp"]
    importer = NuScenesImporter(write(tmp_path, untimed))
    assert [event.time_ns for event in importer][::3] == [500_000_000, 1_000_000_000, 1_500_000_000]
    assert "spaced 0.5 s apart" in importer.describe().notes[-1]


def test_attributes_come_from_the_instances_or_else_from_what_the_cameras_show(tmp_path):
    pedestrian = info()["instances"][0] | {"bbox_3d": [3.0, 20.0, -1.0, 0.6, 0.6, 1.7, 0.0], "bbox_label_3d": 1}
    center_m = np.linalg.inv(LIDAR_FROM_CAMERA) @ [3.0, 20.0, -1.0, 1.0]
    shown = {"CAM_FRONT": [{"bbox_3d": [*center_m[:3], 0.6, 1.7, 0.6, 0.1], "attr_label": 3},
                           {"bbox_3d": [50.0, 0.0, 9.0, 0.6, 1.7, 0.6, 0.1], "attr_label": 4}], "CAM_BACK": None}
    instances = [info()["instances"][0] | {"attr_label": 7}, pedestrian, pedestrian | {"bbox_3d": [9.0, 2.0, -1, 1, 1, 1, 0]},
                 info()["instances"][0] | {"attr_label": 8}]
    read = payloads(write(tmp_path, [info(instances=instances, cam_instances=shown)]))
    assert read[TRUTH].attribute == ("vehicle.stopped", "pedestrian.standing", "", "")
    del instances[1:]
    instances[0]["attr_label"] = 9
    with pytest.raises(UnknownFormat, match="instance 0: attr_label: attribute 9, expected 0 to 7, or -1 for none"):
        payloads(write(tmp_path, [info(instances=instances)]))


def test_names_of_things_outside_the_classes_may_stand_among_the_categories(tmp_path):
    read = payloads(write(tmp_path, [info()], categories={"car": 0, "pedestrian": 1, "animal": -1}))
    assert read[TRUTH].ignore.tolist() == [False, True]


def changed(path, value):
    """A sample with one field of it replaced, or removed where value is None."""
    sample = copy.deepcopy(info())
    table = sample
    for key in path[:-1]:
        table = table[key]
    if value is None:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return sample


@pytest.mark.parametrize("path, value, error, complaint", [
    (["lidar_points", "lidar2ego"], np.eye(3).tolist(), InputError, r"lidar2ego: shape \(3, 3\), expected shape \(4, 4\)"),
    (["ego2global"], (2 * np.eye(4)).tolist(), InputError, "ego2global: .*not a rotation.*expected a rigid transform"),
    (["images", "CAM_FRONT", "cam2img"], np.eye(4).tolist(), InputError, r"CAM_FRONT: cam2img: shape \(4, 4\), expected"),
    (["images", "CAM_FRONT", "cam2ego"], np.eye(4).tolist(), InputError, "CAM_FRONT: lidar2cam is .* off cam2ego and lidar2ego"),
    (["images", "CAM_FRONT", "lidar2cam"], None, MissingInput, "CAM_FRONT: lidar2cam: missing"),
    (["images", "CAM_FRONT", "img_path"], "none.jpg", MissingInput, "none.jpg: missing, expected the CAM_FRONT file"),
    (["lidar_points", "lidar_path"], "none.bin", MissingInput, "none.bin: missing, expected the LIDAR_TOP file"),
    (["instances", 0, "bbox_label_3d"], 9, UnknownFormat, r"instance 0: bbox_label_3d: class 9, expected one of \[0, 1\]"),
    (["instances", 0, "bbox_3d"], [0.0] * 9, InputError, r"instance 0: bbox_3d: shape \(9,\), expected x, y, z"),
    (["timestamp"], "yesterday", InputError, "timestamp: 'yesterday', expected seconds since 1970"),
])
def test_what_is_wrong_in_a_sample_is_named_with_its_place(tmp_path, path, value, error, complaint):
    with pytest.raises(error, match=complaint):
        payloads(write(tmp_path, [changed(path, value)]))


def test_an_unknown_class_a_cut_cloud_and_a_cut_image_are_named(tmp_path):
    with pytest.raises(UnknownFormat, match="metainfo: class 'ufo', expected one of car, truck"):
        payloads(write(tmp_path, [info()], categories={"car": 0, "ufo": 1}))
    write(tmp_path, [info()])
    (tmp_path / "sweep.bin").write_bytes(bytes(47))
    with pytest.raises(TruncatedInput, match=r"sweep\.bin: ends inside a point at byte 47, expected a multiple of 20 bytes"):
        payloads(tmp_path)
    write(tmp_path, [info()])
    (tmp_path / "front.jpg").write_bytes((tmp_path / "front.jpg").read_bytes()[:200])
    with pytest.raises(InputError, match=r"front\.jpg: .*expected an image"):
        payloads(tmp_path)


def test_a_folder_must_hold_one_pickle_of_the_right_kind(tmp_path):
    with pytest.raises(InputError, match="0 pickles, expected one info-v2 pickle"):
        NuScenesImporter(tmp_path)
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UnknownFormat, match=r"infos\.pkl: a pickled list, expected an info-v2 dict"):
        payloads(tmp_path)


@pytest.fixture(scope="module")
def key_frame(sample_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("nuscenes") / "drive"
    import_drive(NuScenesImporter(sample_data / "nuscenes_keyframe"), path)
    return {event.topic: event.payload for event in open_drive(path).events()}


@pytest.mark.sample_data
def test_boxes_of_the_real_key_frame_hold_the_points_they_say(key_frame):
    """61 of 69 in LIDAR_TOP, as the pickle has them; all 69 in map, where the boxes were drawn upright."""
    sample, truth = key_frame[EGO_SAMPLES], key_frame[TRUTH]
    map_from_lidar = sample.map_from_ego @ sample.ego_from_sensor["LIDAR_TOP"]
    xyz_lidar_m = sample.clouds[0].xyz_m.astype(np.float64)
    in_lidar = truth.transformed(map_from_lidar.inverse()).objects.boxes.contains(xyz_lidar_m).sum(axis=1)
    in_map = truth.objects.boxes.contains(map_from_lidar.apply(xyz_lidar_m)).sum(axis=1)
    assert len(truth) == 69 and (in_lidar == truth.points_in_box).sum() == 61
    assert (in_map == truth.points_in_box).all()


@pytest.mark.sample_data
def test_people_of_the_real_key_frame_have_the_attributes_of_people(key_frame):
    truth = key_frame[TRUTH]
    people = [name for name, label in zip(truth.attribute, truth.objects.label) if label == ObjectClass.PEDESTRIAN]
    assert len(people) == 30 and all(name.startswith("pedestrian.") for name in people)
    assert not any(name for name, label in zip(truth.attribute, truth.objects.label) if label == ObjectClass.BARRIER)


@pytest.mark.sample_data
def test_boxes_of_the_real_key_frame_land_on_the_objects_in_all_six_images(sample_data, key_frame):
    """Where the pickle lists an object in an image, a box of ours has its centre there, within a tenth of a pixel."""
    sample, truth = key_frame[EGO_SAMPLES], key_frame[TRUTH]
    listed = read_pickle(NuScenesImporter(sample_data / "nuscenes_keyframe").path)["data_list"][0]["cam_instances"]
    assert sorted(listed) == [image.camera.frame for image in sample.images]
    for image in sample.images:
        camera_from_map = (sample.map_from_ego @ sample.ego_from_sensor[image.camera.frame]).inverse()
        centers_px, depth_m = image.camera.project(camera_from_map.apply(truth.objects.boxes.center_m))
        for instance in listed[image.camera.frame]:
            off_px = np.linalg.norm(centers_px - instance["center_2d"], axis=1)
            nearest = int(np.nanargmin(off_px))
            assert off_px[nearest] < 0.1 and abs(depth_m[nearest] - instance["depth"]) < 0.05
