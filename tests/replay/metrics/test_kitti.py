import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.site import Site
from replay.drive import TRUTH, VEHICLE_OBJECTS, DriveInfo, Event, MemoryDrive
from replay.importers.kitti import FIRST_NS, STEP_NS, KittiImporter
from replay.importers.kitti_calibration import RECTIFIED, KittiCalibration
from replay.metrics.kitti import evaluate_kitti, kitti_found, projected_boxes_px, write_kitti_results
from replay.metrics.kitti_ap import CLASSES, DIFFICULTIES, average_precisions, found_states, score_floors, truth_states
from replay.metrics.overlap import image_overlap

CALIBRATION = KittiCalibration(
    np.array([[700, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]]),
    SE3(RECTIFIED, "ego", np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), np.array([0.0, -0.1, -0.3])), 1242, 375)
CAR, VAN, PEDESTRIAN = int(ObjectClass.CAR), int(ObjectClass.VAN), int(ObjectClass.PEDESTRIAN)


def boxes(centers_m, yaw_rad=0.0):
    n = len(centers_m)
    return Boxes3D("map", np.array(centers_m, float).reshape(-1, 3), np.tile([4.0, 1.7, 1.5], (n, 1)), np.full(n, yaw_rad))


def truth(centers_m, label=None, **told):
    found = boxes(centers_m)
    label = np.full(len(found), CAR, np.uint8) if label is None else np.array(label, np.uint8)
    px = projected_boxes_px(*CALIBRATION.label_from_boxes(found), CALIBRATION.p2)
    return Truth.build(ObjectList.build(found, "truth", 0, label), **{
        "image_box_px": px, "truncation": np.zeros(len(found)), "occlusion": np.zeros(len(found), np.int8)} | told)


def detections(centers_m, score, label=None):
    label = np.full(len(score), CAR) if label is None else label
    return ObjectList.build(boxes(centers_m), "net", 0, np.array(label, np.uint8), score=np.array(score, float))


def drive(*frames, **changes):
    events = []
    for i, (truths, found) in enumerate(frames):
        events += [Event(i, TRUTH, truths)] if truths is not None else []
        events += [Event(i, VEHICLE_OBJECTS, found)] if found is not None else []
    facts = {"frames": [f"{i:06d}" for i in range(len(frames))], "first_ns": 0, "step_ns": 1,
             "calibrations": [CALIBRATION.to_json()], "calibration_of_frame": [0] * len(frames)}
    info = DriveInfo("test", GeoPoint(0, 0, 0), 0, len(frames), {}, Site((), ()), "kitti", (), facts | changes)
    return MemoryDrive(info, events)


SPOTS = [(12, 0, -0.9), (18, 4, -0.9), (25, -3, -0.9), (30, 6, -0.9), (22, -8, -0.9)]


def test_with_all_cars_found_the_plain_precision_is_whole_and_kittis_own_is_capped_by_the_count():
    result = evaluate_kitti(drive((truth(SPOTS), detections(SPOTS, [0.9, 0.8, 0.7, 0.6, 0.5]))))
    assert result.value("Car_3D_AP40_moderate_0.70_plain") == 1.0
    assert result.value("Car_3D_AP40_moderate_0.70") == pytest.approx(4 / 40)
    assert result.value("Car_3D_AP11_moderate_0.70") == pytest.approx(2 / 11)
    assert {s.count for s in result.scores if s.name.startswith("Car_3D_AP40_moderate")} == {5}


def test_half_of_the_cars_and_a_false_one_above_them():
    found = detections([SPOTS[0], (40, 15, -0.9), SPOTS[1]], [0.5, 0.9, 0.4])
    result = evaluate_kitti(drive((truth(SPOTS[:4]), found)))
    # Precision 1/2 at recall 1/4 and 2/3 at recall 1/2: the better one counts up to there.
    assert result.value("Car_BEV_AP40_moderate_0.70_plain") == pytest.approx(2 / 3 * 20 / 40)


def test_nothing_found_or_nothing_to_find_is_zero_and_the_count_tells_which():
    nothing = evaluate_kitti(drive((truth(SPOTS), detections([], []))))
    assert nothing.value("Car_3D_AP40_moderate_0.70") == 0.0
    by_name = {score.name: score for score in nothing.scores}
    assert by_name["Car_3D_AP40_moderate_0.70"].count == 5
    assert (by_name["Cyclist_3D_AP40_easy_0.50"].value, by_name["Cyclist_3D_AP40_easy_0.50"].count) == (0.0, 0)
    assert len(by_name) == len(nothing.scores) == 135
    assert evaluate_kitti(drive((truth([]), detections([], [])))).value("Car_3D_AP11_hard_0.70") == 0.0


def test_a_van_is_neither_found_nor_a_false_car():
    found = detections(SPOTS[:2], [0.9, 0.8])
    with_van = evaluate_kitti(drive((truth(SPOTS[:2], [CAR, VAN]), found)))
    assert with_van.value("Car_3D_AP40_easy_0.70_plain") == 1.0
    with_truck = evaluate_kitti(drive((truth(SPOTS[:2], [VAN, CAR]), detections(SPOTS[:2], [0.9, 0.8], [PEDESTRIAN, CAR]))))
    assert with_truck.value("Car_3D_AP40_easy_0.70_plain") == 1.0


def test_a_detection_in_a_dont_care_area_is_excused_in_the_image_alone():
    labels, area = [CAR, int(ObjectClass.UNKNOWN)], np.array([[0, 0, 1242, 375.0]])
    told = truth(SPOTS[:2], labels)
    told = dataclasses.replace(told, image_box_px=np.concatenate([told.image_box_px[:1], area]))
    result = evaluate_kitti(drive((told, detections(SPOTS[:2], [0.5, 0.9]))))
    assert result.value("Car_BBOX_AP40_easy_0.70_plain") == 1.0
    assert result.value("Car_3D_AP40_easy_0.70_plain") == pytest.approx(0.5)


def test_hidden_cut_and_small_truths_are_passed_over():
    told = truth([SPOTS[0]] * 4, occlusion=np.array([0, 1, 2, 0], np.int8), truncation=np.array([0, 0.2, 0.4, 0.9]))
    rows = [truth_states(kitti, CLASSES[0], difficulty).tolist() for difficulty in DIFFICULTIES for kitti in [
        _kitti(told)]]
    assert rows == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    far = kitti_found(detections([(60, 0, -0.9)], [0.9]), CALIBRATION)  # 17 px high
    assert [found_states(far, CLASSES[1], difficulty).tolist() for difficulty in DIFFICULTIES] == [[1], [1], [1]]


def test_detections_outside_of_the_image_or_the_limits_are_dropped_and_image_boxes_are_cut():
    found = detections([(12, 0, -0.9), (-12, 0, -0.9), (6, 30, -0.9), (12, 0, 1.5), (12, 10, -0.9)], [0.9] * 5)
    kept = kitti_found(found, CALIBRATION)
    assert len(kept) == 2
    assert kept.image_box_px[1, 0] == 0.0


def test_result_files_hold_every_frame_by_name_and_give_the_boxes_back(tmp_path):
    folder = tmp_path / "results"
    assert write_kitti_results(drive((truth(SPOTS), detections(SPOTS[:2], [0.9, 0.25])), (None, None)), folder) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["000000.txt", "000001.txt"]
    assert (folder / "000001.txt").read_text() == ""
    words = (folder / "000000.txt").read_text().splitlines()[0].split()
    assert len(words) == 16 and words[0] == "Car" and words[15] == "0.9000"
    again = CALIBRATION.boxes_from_label(*(np.array(words[a:b], float)[None] for a, b in ((8, 11), (11, 14))),
                                         np.array([float(words[14])]))
    np.testing.assert_allclose(again.center_m[0], SPOTS[0], atol=1e-4)
    with pytest.raises(InputError, match="results: there already, expected an empty or new folder"):
        write_kitti_results(drive((truth(SPOTS), detections(SPOTS[:2], [0.9, 0.25]))), folder)


def test_a_drive_that_cannot_be_scored_says_why():
    with pytest.raises(InputError, match=r"test: no vehicle\.objects, expected detections; 'roadweave perceive' adds them"):
        evaluate_kitti(drive((truth(SPOTS), None)))
    with pytest.raises(InputError, match=r"test: no truth, expected a drive of labelled KITTI frames"):
        evaluate_kitti(drive((None, detections(SPOTS[:1], [0.9]))))
    other = drive((truth(SPOTS), detections(SPOTS[:1], [0.9])))
    other = MemoryDrive(dataclasses.replace(other.info, facts={}), other.all_events)
    with pytest.raises(InputError, match=r"no KITTI calibration .*, expected a drive that was imported from KITTI"):
        evaluate_kitti(other)


@given(st.lists(st.floats(0.01, 1.0), max_size=120), st.integers(0, 40))
def test_score_floors_fall_and_are_scores_of_hits(hits, missed):
    floors = score_floors(np.array(hits), len(hits) + missed)
    assert (np.diff(floors) <= 0).all() and len(floors) <= 41
    assert set(floors.tolist()) <= set(hits)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_a_detection_far_from_everything_never_helps(seed):
    rng = np.random.default_rng(seed)
    told = truth(SPOTS)
    centers = np.array(SPOTS) + rng.normal(0, 0.3, (5, 3)) * [1, 1, 0.2]
    score = rng.permutation(50)[:6] / 50
    without = evaluate_kitti(drive((told, detections(centers, score[:5]))))
    more = evaluate_kitti(drive((told, detections([*centers, (50, 20, -0.9)], score))))
    for name in ("Car_3D_AP40_moderate_0.70", "Car_BEV_AP11_hard_0.50", "Car_3D_AP40_easy_0.70_plain"):
        assert more.value(name) <= without.value(name) + 1e-12


def test_the_order_of_frames_does_not_matter():
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(6):
        centers = np.array(SPOTS) + rng.normal(0, 0.2, (5, 3)) * [1, 1, 0.1]
        frames.append((_kitti(truth(SPOTS)), kitti_found(detections(centers, rng.random(5)), CALIBRATION)))
    assert average_precisions(frames) == average_precisions(frames[::-1])


def _kitti(told):
    from replay.metrics.kitti import kitti_truth

    return kitti_truth(told, CALIBRATION)


@pytest.mark.sample_data
def test_labelled_boxes_of_the_sample_frames_project_onto_their_labelled_image_boxes(sample_data):
    importer = KittiImporter(sample_data / "kitti")
    overlaps = []
    for event in importer:
        if isinstance(event.payload, Truth):
            told = event.payload[(event.payload.truncation == 0) & ~event.payload.ignore]  # wholly in the image
            calibration = importer.calibrations[(event.time_ns - FIRST_NS) // STEP_NS]
            projected_px = projected_boxes_px(*calibration.label_from_boxes(told.objects.boxes), calibration.p2)
            overlaps += np.diag(image_overlap(projected_px, told.image_box_px)[0]).tolist()
    assert len(overlaps) > 20 and np.median(overlaps) > 0.9 and min(overlaps) > 0.6
