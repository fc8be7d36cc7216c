"""Our nuScenes metric against nuscenes-devkit's own, attributes included (make test-mmdet3d)."""
from dataclasses import replace

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from replay.metrics.attributes import ATTRIBUTES, attribute_codes, likely_attributes
from replay.metrics.detection import DetectionProtocol, class_result
from replay.metrics.matching import flatten

pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed here; run make setup-mmdet3d test-mmdet3d")
pytestmark = [pytest.mark.mmdet3d, pytest.mark.filterwarnings("ignore")]

from nuscenes.eval.common.data_classes import EvalBoxes  # noqa: E402
from nuscenes.eval.common.utils import center_distance  # noqa: E402
from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp  # noqa: E402
from nuscenes.eval.detection.constants import TP_METRICS  # noqa: E402
from nuscenes.eval.detection.data_classes import DetectionBox  # noqa: E402

PROTOCOL = DetectionProtocol()
UNDEFINED = {ObjectClass.TRAFFIC_CONE: ("attr_err", "vel_err", "orient_err"), ObjectClass.BARRIER: ("attr_err", "vel_err")}


def scene(rng, cls, samples=30):
    """Truths, and detections of most of them that err in everything, among false ones; scores repeat."""
    found, there = [], []
    for _ in range(samples):
        n = int(rng.integers(0, 8))
        center_m = np.column_stack([rng.uniform(-40, 40, (n, 2)), np.zeros(n)])
        size_m, yaw_rad = rng.uniform(1, 5, (n, 3)), rng.uniform(-np.pi, np.pi, n)
        speed_mps = rng.choice([0.0, 0.15, 0.25, 4.0], n)
        velocity_mps = speed_mps[:, None] * np.column_stack([np.cos(yaw_rad), np.sin(yaw_rad)])
        label = np.full(n, cls, np.uint8)
        said = likely_attributes(label, velocity_mps)
        names = [ATTRIBUTES[code] if rng.uniform() < 0.8 else "" for code in said]
        boxes = Boxes3D("map", center_m, size_m, yaw_rad)
        there.append(Truth.build(ObjectList.build(boxes, "truth", 0, label, velocity_mps=velocity_mps), attribute=names))
        kept = rng.uniform(size=n) < 0.8
        false = int(rng.integers(0, 5))
        m = int(kept.sum()) + false
        center_m = np.concatenate([center_m[kept], np.column_stack([rng.uniform(-40, 40, (false, 2)), np.zeros(false)])])
        boxes = Boxes3D("map", center_m + rng.normal(0, 0.7, (m, 3)), rng.uniform(1, 5, (m, 3)), rng.uniform(-np.pi, np.pi, m))
        velocity_mps = np.concatenate([velocity_mps[kept], np.zeros((false, 2))]) + rng.normal(0, 0.1, (m, 2))
        velocity_mps[rng.uniform(size=m) < 0.1] = np.nan
        found.append(ObjectList.build(boxes, "test", 0, np.full(m, cls, np.uint8), score=np.round(rng.uniform(0, 1, m), 1),
                                      velocity_mps=velocity_mps))
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


@pytest.mark.parametrize("cls", [ObjectClass.CAR, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.BUS,
                                 ObjectClass.BARRIER, ObjectClass.TRAFFIC_CONE])
@pytest.mark.parametrize("attributes", [True, False])
def test_ap_and_all_five_errors_of_a_class_are_the_devkits(cls, attributes):
    found, there = scene(np.random.default_rng(int(cls)), cls)
    if not attributes:
        there = [replace(truth, attribute=("",) * len(truth)) for truth in there]
    ours = class_result(flatten(found), flatten(there), cls, PROTOCOL)
    truths, predictions = eval_boxes(there), eval_boxes(found)
    data = {limit_m: accumulate(truths, predictions, cls.title, center_distance, limit_m) for limit_m in PROTOCOL.distances_m}
    np.testing.assert_allclose(ours.ap, [calc_ap(data[limit_m], 0.1, 0.1) for limit_m in PROTOCOL.distances_m], atol=1e-12)
    theirs = [np.nan if name in UNDEFINED.get(cls, ()) else calc_tp(data[PROTOCOL.error_distance_m], 0.1, name)
              for name in TP_METRICS]
    np.testing.assert_allclose(ours.errors, theirs, atol=1e-9)
    assert 0.05 < ours.ap.mean() < 0.95
