import json

import numpy as np
import pytest
from PIL import Image

from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat
from data_specs.objects import ObjectClass
from replay.drive import EGO_SAMPLES, TRUTH
from replay.importers.kitti import KittiImporter
from replay.importers.kitti_calibration import calibration_from_json

CALIBRATION = """P0: 700 0 600 0 0 700 180 0 0 0 1 0
P2: 700 0 600 45 0 700 180 -0.3 0 0 1 0.005
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0.1 0 0 -1 -0.2 1 0 0 -0.3
"""
CAR = "Car 0.10 1 -1.57 100 150 200 250 1.5 1.6 4.0 2.0 1.7 20.0 -1.5"
DONT_CARE = "DontCare -1 -1 -10 500 160 590 190 -1 -1 -1 -1000 -1000 -1000 -10"
POINTS = np.array([[10, 0, 0, 0.5], [20.3, -2.1, -1.0, 0.25], [5, 1, 1, 1]], np.float32)


def folder(tmp_path, frames=("000000",), labels=CAR + "\n" + DONT_CARE + "\n", image=False):
    root = tmp_path / "training"
    for name in ("velodyne", "calib", "label_2", "image_2"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for frame in frames:
        POINTS.tofile(root / "velodyne" / f"{frame}.bin")
        (root / "calib" / f"{frame}.txt").write_text(CALIBRATION)
        if labels is not None:
            (root / "label_2" / f"{frame}.txt").write_text(labels)
        if image:
            Image.fromarray(np.full((40, 60, 3), 7, np.uint8)).save(root / "image_2" / f"{frame}.png")
    return root


def only(events, topic):
    return [event.payload for event in events if event.topic == topic]


def test_a_frame_has_its_cloud_its_camera_and_its_labels(tmp_path):
    importer = KittiImporter(folder(tmp_path).parent)
    (sample,), (truth,) = only(importer, EGO_SAMPLES), only(importer, TRUTH)
    assert sample.clouds[0].xyz_m.tolist() == POINTS[:, :3].tolist()
    assert sample.clouds[0].intensity.tolist() == POINTS[:, 3].tolist()
    assert [c.frame for c in sample.blind_cameras] == ["CAM_2"] and not sample.images
    assert truth.objects.boxes.frame == "map"
    assert truth.objects.label.tolist() == [ObjectClass.CAR, ObjectClass.UNKNOWN]
    assert truth.ignore.tolist() == [False, True]
    assert truth.image_box_px[1].tolist() == [500, 160, 590, 190]
    assert truth.truncation[0] == 0.1 and np.isnan(truth.truncation[1])
    assert truth.occlusion.tolist() == [1, -1]
    assert truth.points_in_box.tolist() == [1, -1]


def test_a_label_becomes_a_box_around_its_geometric_centre_in_the_velodyne_frame(tmp_path):
    (truth,) = only(KittiImporter(folder(tmp_path)), TRUTH)
    box = truth.objects.boxes[:1]
    np.testing.assert_allclose(box.center_m[0], [20.3, -1.9, -1.9 + 0.75])
    np.testing.assert_allclose(box.size_lwh_m[0], [4.0, 1.6, 1.5])
    np.testing.assert_allclose(box.yaw_rad[0], 1.5 - np.pi / 2)


def test_points_project_as_p2_says(tmp_path):
    (sample,) = only(KittiImporter(folder(tmp_path)), EGO_SAMPLES)
    camera = sample.cameras[0]
    pixels, _ = camera.project(sample.ego_from_sensor["CAM_2"].inverse().apply(POINTS[:, :3].astype(float)))
    rectified = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1]])
    p2 = np.array([[700, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]])
    want = np.column_stack([POINTS[:, :3], np.ones(3)]) @ (p2 @ rectified).T
    np.testing.assert_allclose(pixels, want[:, :2] / want[:, 2:], atol=1e-9)


def test_an_image_gives_the_size_and_is_kept(tmp_path):
    (sample,) = only(KittiImporter(folder(tmp_path, image=True)), EGO_SAMPLES)
    assert (sample.images[0].camera.width_px, sample.images[0].camera.height_px) == (60, 40)
    assert sample.images[0].rgb.max() == 7 and not sample.blind_cameras


def test_frames_without_a_label_file_have_no_truth_and_empty_ones_an_empty_truth(tmp_path):
    root = folder(tmp_path, ("000003", "000007"))
    (root / "label_2" / "000003.txt").unlink()
    (root / "label_2" / "000007.txt").write_text("\n")
    events = list(KittiImporter(root))
    assert [event.topic for event in events] == [EGO_SAMPLES, EGO_SAMPLES, TRUTH]
    assert len(events[2].payload) == 0 and events[2].time_ns == events[1].time_ns


def test_the_drives_facts_hold_frame_names_and_calibrations_as_plain_json(tmp_path):
    importer = KittiImporter(folder(tmp_path, ("000003", "000007")))
    facts = json.loads(json.dumps(dict(importer.describe().facts)))
    assert facts["frames"] == ["000003", "000007"] and facts["calibration_of_frame"] == [0, 0]
    again = calibration_from_json(facts["calibrations"][0], "facts")
    assert np.array_equal(again.p2, importer.calibrations[0].p2)
    assert np.array_equal(again.rectified_from_ego.rotation, importer.calibrations[0].rectified_from_ego.rotation)
    with pytest.raises(InputError, match="facts: KeyError 'p2', expected p2, rectified_from_ego, size_px"):
        calibration_from_json({"rectified_from_ego": np.eye(4)[:3].tolist()}, "facts")


@pytest.mark.parametrize(("line", "error", "text"), [
    ("Car 0 0 0 1 2 3 4 1 1 1 1 1 1", InputError, r"000000\.txt:2: 14 fields, expected 15"),
    (CAR.replace("Car", "Lorry"), UnknownFormat, r"000000\.txt:2: class 'Lorry', expected one of Car, Van"),
    (CAR.replace("1.6", "wide"), InputError, r"000000\.txt:2: could not convert string to float: 'wide'"),
    (CAR.replace("20.0", "nan"), InputError, r"000000\.txt:2: a number that is not finite"),
    (CAR.replace("0.10 1", "0.10 7"), InputError, r"000000\.txt:2: occluded 7, expected one of -1, 0, 1, 2, 3"),
    (CAR.replace("1.6", "-1"), InputError, r"000000\.txt:2: dimensions 1\.5 -1 4\.0, expected metres, not negative"),
])
def test_a_wrong_label_line_is_told_with_its_file_and_line(tmp_path, line, error, text):
    root = folder(tmp_path, labels=f"{CAR}\n{line}\n")
    with pytest.raises(error, match=text):
        list(KittiImporter(root))


@pytest.mark.parametrize(("before", "after", "text"), [
    ("P2: 700 0 600 45", "P2: 700 0 600", r"000000\.txt:2: P2 has 11 values, expected 12 finite numbers"),
    ("P2: 700", "P2: inf", r"000000\.txt:2: P2 is not finite"),
    ("P2: 700", "P2: x", r"000000\.txt:2: P2: could not convert"),
    ("R0_rect", "R1_rect", r"000000\.txt: no R0_rect, expected lines P2, R0_rect, Tr_velo_to_cam"),
    ("R0_rect: 1", "R0_rect: 2", r"nearest rotation, expected .*; |nearest rotation"),
    ("P2: 700", "P2: -700", r"focal lengths -700, 700 px, expected all positive"),
])
def test_a_wrong_calibration_is_told_before_anything_is_read(tmp_path, before, after, text):
    root = folder(tmp_path)
    (root / "calib" / "000000.txt").write_text(CALIBRATION.replace(before, after))
    with pytest.raises(InputError, match=text):
        KittiImporter(root).describe()


def test_missing_files_are_told_by_name(tmp_path):
    with pytest.raises(MissingInput, match=r"nowhere: missing, expected a KITTI folder"):
        KittiImporter(tmp_path / "nowhere")
    with pytest.raises(MissingInput, match=r"velodyne: missing, expected a folder of point clouds"):
        KittiImporter(tmp_path)
    root = folder(tmp_path)
    (root / "calib" / "000000.txt").unlink()
    with pytest.raises(MissingInput, match=r"calib/000000\.txt: missing, expected a calibration"):
        KittiImporter(root).describe()
    (root / "velodyne" / "000000.bin").unlink()
    with pytest.raises(MissingInput, match=r"velodyne: missing, expected point clouds"):
        KittiImporter(root)


@pytest.mark.parametrize("size", [0, 17, 47])
def test_a_cloud_of_broken_points_is_truncated(tmp_path, size):
    root = folder(tmp_path)
    (root / "velodyne" / "000000.bin").write_bytes(POINTS.tobytes()[:size])
    with pytest.raises(TruncatedInput, match=rf"000000\.bin: {size} bytes, expected whole points of 16 bytes"):
        list(KittiImporter(root))


def test_a_broken_image_is_refused(tmp_path):
    root = folder(tmp_path, image=True)
    path = root / "image_2" / "000000.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(TruncatedInput, match=r"000000\.png: .*, expected a whole PNG or JPEG"):
        list(KittiImporter(root))
    path.write_bytes(b"not a png")
    with pytest.raises(InputError, match=r"000000\.png: not an image"):
        KittiImporter(root).describe()


@pytest.mark.sample_data
def test_every_labelled_car_of_the_sample_frames_holds_its_lidar_returns(sample_data):
    truths = only(KittiImporter(sample_data / "kitti"), TRUTH)
    points = np.concatenate([truth.points_in_box[truth.objects.label == ObjectClass.CAR] for truth in truths])
    assert len(truths) == 8 and len(points) == 27
    assert (points >= 2).sum() == 26  # one stands behind others: no return
