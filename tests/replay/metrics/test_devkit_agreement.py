"""Our nuScenes detection metric against nuscenes-devkit's own: AP bit for bit, errors within 1e-12 (make test-devkit)."""
from dataclasses import replace

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from replay.metrics.attributes import ATTRIBUTES, attribute_codes, likely_attributes
from replay.metrics.detection import DetectionProtocol, class_results, mean_scores
from replay.metrics.matching import flatten

pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed here; run make test-devkit")
pytestmark = [pytest.mark.devkit, pytest.mark.filterwarnings("ignore")]

from nuscenes.eval.common.config import config_factory  # noqa: E402
from nuscenes.eval.common.data_classes import EvalBoxes  # noqa: E402
from nuscenes.eval.detection.constants import TP_METRICS  # noqa: E402
from nuscenes.eval.detection.data_classes import DetectionBox  # noqa: E402
from nuscenes.eval.detection.evaluate import DetectionEval  # noqa: E402

PROTOCOL = DetectionProtocol()
CLASSES = np.array([int(cls) for cls in NUSCENES_CLASSES.values()], np.uint8)


def scene(seed, samples=40, place=lambda m: m, classes=CLASSES):
    """Truths, and detections of most of them that err in everything, among false ones; scores repeat, some speeds are NaN."""
    rng = np.random.default_rng(seed)
    found, there = [], []
    for _ in range(samples):
        n, false = int(rng.integers(0, 30)), int(rng.integers(0, 20))
        label = rng.choice(classes, n + false).astype(np.uint8)
        center_m = place(np.column_stack([rng.uniform(-40, 40, (n + false, 2)), np.zeros(n + false)]))
        yaw_rad = rng.uniform(-np.pi, np.pi, n + false)
        ahead = np.column_stack([np.cos(yaw_rad), np.sin(yaw_rad)])
        velocity_mps = rng.choice([0.0, 0.15, 0.25, 4.0], n + false)[:, None] * ahead
        size_m = rng.uniform(1, 5, (n + false, 3))
        boxes = Boxes3D("map", center_m[:n], size_m[:n], yaw_rad[:n])
        names = [ATTRIBUTES[code] if rng.uniform() < 0.8 else "" for code in likely_attributes(label[:n], velocity_mps[:n])]
        there.append(Truth.build(ObjectList.build(boxes, "truth", 0, label[:n], velocity_mps=velocity_mps[:n]), attribute=names))
        m = n + false
        made_mps = velocity_mps + rng.normal(0, 0.1, (m, 2))
        made_mps[rng.uniform(size=m) < 0.1] = np.nan
        boxes = Boxes3D("map", place(center_m + rng.normal(0, 0.7, (m, 3))), rng.uniform(1, 5, (m, 3)), yaw_rad + 0.3)
        kept = rng.uniform(size=m) < 0.8
        found.append(ObjectList.build(boxes, "test", 0, label, score=np.round(rng.uniform(0, 1, m), 1),
                                      velocity_mps=made_mps)[kept])
    return found, there


def eval_boxes(lists):
    boxes = EvalBoxes()
    for i, sample in enumerate(lists):
        objects = sample.objects if isinstance(sample, Truth) else sample
        codes = (attribute_codes(sample.attribute) if isinstance(sample, Truth)
                 else likely_attributes(objects.label, objects.velocity_mps))
        boxes.add_boxes(str(i), [DetectionBox(
            sample_token=str(i), translation=tuple(objects.boxes.center_m[k]),
            size=tuple(objects.boxes.size_lwh_m[k][[1, 0, 2]]),
            rotation=tuple(SE3.from_yaw("map", "object", objects.boxes.yaw_rad[k], np.zeros(3)).quaternion_wxyz()),
            velocity=tuple(objects.velocity_mps[k]), detection_name=ObjectClass(int(objects.label[k])).title,
            detection_score=float(objects.score[k]), attribute_name=ATTRIBUTES[codes[k]]) for k in range(len(objects))])
    return boxes


def devkit_metrics(found, there):
    """What the devkit's own evaluation says of boxes that need no filtering any more."""
    judge = object.__new__(DetectionEval)
    judge.cfg, judge.verbose = config_factory("detection_cvpr_2019"), False
    judge.gt_boxes, judge.pred_boxes = eval_boxes(there), eval_boxes(found)
    return judge.evaluate()[0]


def assert_the_devkits(found, there):
    ours = class_results(flatten(found), flatten(there), PROTOCOL)
    theirs = devkit_metrics(found, there)
    for cls, result in ours.items():
        assert result.ap.tolist() == [theirs.get_label_ap(cls.title, limit_m) for limit_m in PROTOCOL.distances_m], cls
        errors = [theirs.get_label_tp(cls.title, name) for name in TP_METRICS]
        np.testing.assert_allclose(result.errors, errors, rtol=0, atol=1e-12)
    mean_ap, nds, errors = mean_scores(ours.values())
    assert mean_ap == theirs.mean_ap
    np.testing.assert_allclose([nds, *errors], [theirs.nd_score, *theirs.tp_errors.values()], rtol=0, atol=1e-12)
    return ours


def on_tenths(metres):
    """Places on a grid of 0.1 m, where a distance is often a threshold but for its last bit."""
    return np.round(metres, 1)


def on_halves(metres):
    """Places on a grid of 0.5 m: many truths as far away, many distances at a threshold."""
    return np.round(metres * 2) / 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_number_of_random_scenes_is_the_devkits(seed):
    ours = assert_the_devkits(*scene(seed))
    assert all(0.05 < result.ap.mean() < 0.95 for result in ours.values())


@pytest.mark.parametrize("place", [on_tenths, on_halves])
@pytest.mark.parametrize("seed", [3, 4])
def test_ties_in_distance_and_distances_at_a_threshold_fall_as_the_devkits_do(place, seed):
    assert_the_devkits(*scene(seed, place=place, classes=CLASSES[:3]))


def without_scores(found, there):
    return [replace(objects, score=np.zeros(len(objects))) for objects in found], there


def with_few_found(found, there):
    return [objects[: 1] for objects in found], there


def with_nothing_found(found, there):
    return [objects[:0] for objects in found], there


def with_nothing_there(found, there):
    return found, [truth[np.zeros(len(truth), bool)] for truth in there]


def without_attributes(found, there):
    return found, [replace(truth, attribute=("",) * len(truth)) for truth in there]


def without_velocities(found, there):
    return [replace(objects, velocity_mps=np.full((len(objects), 2), np.nan)) for objects in found], there


def with_missing_classes(found, there):
    return [objects[objects.label < 5] for objects in found], [truth[truth.objects.label > 2] for truth in there]


@pytest.mark.parametrize("change", [without_scores, with_few_found, with_nothing_found, with_nothing_there, without_attributes,
                                    without_velocities, with_missing_classes])
def test_edge_cases_are_the_devkits(change):
    assert_the_devkits(*change(*scene(5)))


def test_compiled_matching_is_the_devkits_too(monkeypatch):
    monkeypatch.setattr("replay.metrics.matching.COMPILED_FROM", 1)
    assert_the_devkits(*scene(6))
    assert_the_devkits(*scene(7, place=on_tenths))
