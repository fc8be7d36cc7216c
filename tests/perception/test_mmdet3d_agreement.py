"""Our PointPillars, voxels, rotated suppression and KITTI metric against mmdetection3d's and mmcv's own (make test-mmdet3d)."""
import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

if find_spec("mmdet3d"):
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")  # kitti_eval wants numba.cuda, which this runs on the CPU

import numpy as np
import pytest
import torch

from data_specs.boxes import Boxes3D
from data_specs.objects import KITTI_CLASSES, ObjectClass, ObjectList
from perception.grid import BevGrid, VoxelGrid
from perception.interop_mmdet3d import Mmdet3dDetector
from perception.load import load_detector, read_checkpoint
from perception.ops.hard_voxels import hard_voxels_sorted
from perception.ops.nms import rotated_nms
from perception.ops.voxel_ops import hard_voxels
from perception.ops.voxels_cpu import hard_voxels_cpu
from perception.pointpillars import KITTI, PointPillars
from replay.drive import EGO_SAMPLES, VEHICLE_OBJECTS, Event, MemoryDrive
from replay.importers.kitti import KittiImporter
from replay.metrics.kitti import evaluate_kitti, write_kitti_results
from replay.metrics.kitti_ap import KittiBoxes, average_precisions
from replay.metrics.overlap import rectangle_iou

mmdet3d = pytest.importorskip("mmdet3d", reason="mmdetection3d is not installed here; run make setup-mmdet3d test-mmdet3d")
pytestmark = [pytest.mark.mmdet3d, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

CLASSES = ["Pedestrian", "Cyclist", "Car"]
RELEASED = Path(mmdet3d.__file__).parent / ".mim/configs/pointpillars/pointpillars_hv_secfpn_8xb6-160e_kitti-3d-3class.py"
MEASURES = {"3D": "3D", "BEV": "BEV", "BBOX": "2D"}  # ours to theirs


@pytest.fixture(scope="module")
def kitti(sample_data):
    return KittiImporter(sample_data / "kitti")


@pytest.fixture(scope="module")
def checkpoint(sample_data):
    return next((sample_data / "kitti" / "weights").glob("*.pth"))


@pytest.fixture(scope="module")
def samples(kitti):
    return [event.payload for event in kitti if event.topic == EGO_SAMPLES]


@pytest.fixture(scope="module")
def ours(samples, checkpoint):
    detector = load_detector(checkpoint, "cpu")
    return [detector.detect(sample) for sample in samples]


@pytest.fixture(scope="module")
def theirs(kitti, samples, checkpoint):
    """mmdetection3d's own network, pipeline and frustum, from the files themselves: nothing of ours is between.

    Its test settings are those of the configuration inside the checkpoint.
    """
    from mmdet3d.apis import inference_detector, init_model
    from mmdet3d.structures.ops.box_np_ops import remove_outside_points
    from mmengine import Config

    config = Config.fromfile(RELEASED)
    config.model.test_cfg = Config.fromstring(torch.load(checkpoint, weights_only=True)["meta"]["config"], ".py").model.test_cfg
    model = init_model(config, str(checkpoint), device="cpu")
    found = []
    for frame, sample in zip(kitti.frames, samples):
        points = np.fromfile(kitti.folder / "velodyne" / f"{frame}.bin", np.float32).reshape(-1, 4)
        rect, velo_to_cam, p2 = matrices(kitti.folder / "calib" / f"{frame}.txt")
        camera = sample.cameras[0]
        inside = remove_outside_points(points, rect, velo_to_cam, p2, (camera.height_px, camera.width_px))
        found.append(inference_detector(model, inside)[0].pred_instances_3d)
    return found


@pytest.mark.sample_data
def test_every_box_agrees_within_a_millimetre_and_every_score_within_a_thousandth(ours, theirs):
    labels = np.array([int(KITTI_CLASSES[name]) for name in CLASSES])
    assert sum(len(objects) for objects in ours) > 50
    for frame, (mine, other) in enumerate(zip(ours, theirs)):
        boxes = Boxes3D("ego", other.bboxes_3d.gravity_center.numpy(), other.bboxes_3d.dims.numpy(), other.bboxes_3d.yaw.numpy())
        assert_same_objects(mine, ObjectList.build(boxes, "theirs", 0, labels[other.labels_3d.numpy()].astype(np.uint8),
                                                   score=other.scores_3d.double().numpy()), f"frame {frame}")


@pytest.mark.sample_data
def test_mmdetection3d_behind_our_types_agrees_with_the_settings_that_it_releases_now(samples, checkpoint):
    """Release 1.4 looks at 100 candidates and keeps 50; the checkpoint's own configuration says 4096 and 100."""
    mine = PointPillars(read_checkpoint(checkpoint), config=replace(KITTI, max_candidates=100, max_objects=50))
    other = Mmdet3dDetector(RELEASED, checkpoint, [KITTI_CLASSES[name] for name in CLASSES], camera="CAM_2")
    for sample in samples[1:3]:
        assert_same_objects(mine.detect(sample), other.detect(sample), f"sample at {sample.taken_ns}")


@pytest.mark.sample_data
def test_average_precision_on_the_sample_frames_equals_kitti_eval(kitti, ours, theirs):
    """From the files, mmdetection3d's own way: its boxes, its conversion, its evaluation; against evaluate_kitti on a drive."""
    from mmdet3d.evaluation import kitti_eval

    events = list(kitti)
    taken_ns = [event.time_ns for event in events if event.topic == EGO_SAMPLES]
    events += [Event(time_ns, VEHICLE_OBJECTS, objects) for time_ns, objects in zip(taken_ns, ours)]
    mine = evaluate_kitti(MemoryDrive(kitti.describe(), events))
    truths = [label_annotation(kitti.folder / "label_2" / f"{frame}.txt") for frame in kitti.frames]
    _, want = kitti_eval(truths, converted(kitti, theirs), CLASSES)
    assert mine.value("Car_3D_AP40_moderate_0.70") == pytest.approx(0.325, abs=1e-6)
    assert mine.value("Car_3D_AP40_moderate_0.70_plain") == pytest.approx(0.875, abs=1e-6)
    for key, value in theirs_by_our_names(want).items():
        assert mine.value(key) == pytest.approx(value, abs=1e-6), key


@pytest.mark.sample_data
def test_written_result_files_score_the_same_in_mmdetection3d(kitti, ours, tmp_path):
    from mmdet3d.evaluation import kitti_eval

    events = list(kitti)
    taken_ns = [event.time_ns for event in events if event.topic == EGO_SAMPLES]
    drive = MemoryDrive(kitti.describe(), events + [
        Event(time_ns, VEHICLE_OBJECTS, objects) for time_ns, objects in zip(taken_ns, ours)])
    assert write_kitti_results(drive, tmp_path / "results") == len(kitti.frames)
    truths, found = ([label_annotation(folder / f"{frame}.txt") for frame in kitti.frames]
                     for folder in (kitti.folder / "label_2", tmp_path / "results"))
    _, want = kitti_eval(truths, found, CLASSES)
    mine = evaluate_kitti(drive)
    for key, value in theirs_by_our_names(want).items():
        assert mine.value(key) == pytest.approx(value, abs=1e-6), key


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_on_random_frames_equals_kitti_eval(seed):
    from mmdet3d.evaluation import kitti_eval

    frames = [random_frame(np.random.default_rng([seed, i])) for i in range(10)]
    _, want = kitti_eval([annotation(t) for t, _ in frames], [annotation(f) for _, f in frames], CLASSES)
    mine = {f"{line.object_class}_{line.measure}_{kind}_{line.difficulty}_{line.min_overlap:.2f}": value
            for line in average_precisions(frames) for kind, value in (("AP40", line.ap40), ("AP11", line.ap11))}
    names = theirs_by_our_names(want)
    assert sum(0 < value < 1 for value in names.values()) > 20
    for key, value in names.items():
        assert mine[key] == pytest.approx(value, abs=1e-6), key


@pytest.mark.sample_data
@pytest.mark.parametrize(("max_points", "max_pillars"), [(32, 40_000), (3, 500)])
def test_hard_pillars_equal_mmcv_bit_for_bit(samples, max_points, max_pillars):
    from mmcv.ops import Voxelization

    grid = BevGrid((0.0, 69.12), (-39.68, 39.68), (-3.0, 1.0), 0.16)
    layer = Voxelization([0.16, 0.16, 4], [0, -39.68, -3, 69.12, 39.68, 1], max_points, max_pillars, deterministic=True)
    for sample in samples[:3]:
        points = torch.tensor(np.column_stack([sample.clouds[0].xyz_m, sample.clouds[0].intensity]))
        voxels, coordinates, count = layer(points)
        pillars = hard_voxels(points, grid.voxels, max_points, max_pillars)
        assert torch.equal(pillars.points, voxels)
        assert torch.equal(pillars.count, count.int())
        assert torch.equal(pillars.cell[:, 1:], coordinates.int())


@pytest.mark.parametrize(("max_points", "max_voxels"), [(10, 160_000), (2, 700)])
@pytest.mark.parametrize("implementation", [hard_voxels_sorted, hard_voxels_cpu])
def test_hard_voxels_equal_mmcv_bit_for_bit(implementation, max_points, max_voxels):
    from mmcv.ops import Voxelization

    grid = VoxelGrid((-54.0, 54.0), (-54.0, 54.0), (-5.0, 3.0), (0.3, 0.3, 0.8))
    layer = Voxelization([0.3, 0.3, 0.8], [-54, -54, -5, 54, 54, 3], max_points, max_voxels, deterministic=True)
    points = torch.from_numpy(np.random.default_rng(0).normal(0.0, [20, 20, 2, 1, 1], (40_000, 5)).astype(np.float32))
    kept, coordinates, count = layer(points)
    voxels = implementation(points, grid, max_points, max_voxels)
    assert torch.equal(voxels.points, kept)
    assert torch.equal(voxels.count, count.int())
    assert torch.equal(voxels.cell[:, 1:], coordinates.int())


def test_rotated_overlap_and_suppression_equal_mmcv():
    from mmcv.ops import box_iou_rotated, nms_rotated

    rng = np.random.default_rng(0)
    boxes = np.column_stack([rng.uniform(0, 12, (120, 2)), rng.uniform(0.5, 6, (120, 2)), rng.uniform(-7, 7, 120)])
    score = rng.permutation(120) / 120
    as_tensor = torch.tensor(boxes, dtype=torch.float32)
    np.testing.assert_allclose(rectangle_iou(boxes, boxes), box_iou_rotated(as_tensor, as_tensor).numpy(), atol=1e-3)
    for threshold in (0.01, 0.5):
        _, kept = nms_rotated(as_tensor, torch.tensor(score, dtype=torch.float32), threshold)
        assert rotated_nms(boxes, score, threshold).tolist() == kept.tolist()


def assert_same_objects(mine, other, where):
    """The same count, and each of mine with one of the other's: centre and size to 1 mm, score to 1e-3, the same heading."""
    assert len(mine) == len(other), f"{where}: {len(mine)} boxes, mmdetection3d has {len(other)}"
    near = (mine.label[:, None] == other.label) & (
        np.abs(mine.boxes.center_m[:, None] - other.boxes.center_m[None]) < 1e-3).all(axis=2)
    assert (near.sum(axis=0) == 1).all() and (near.sum(axis=1) == 1).all(), where
    pairs = near.argmax(axis=1)
    np.testing.assert_allclose(mine.boxes.size_lwh_m, other.boxes.size_lwh_m[pairs], atol=1e-3, rtol=0)
    np.testing.assert_allclose(mine.score, other.score[pairs], atol=1e-3, rtol=0)
    np.testing.assert_allclose(np.cos(mine.boxes.yaw_rad - other.boxes.yaw_rad[pairs]), 1.0, atol=1e-6)


def matrices(path):
    """rect [4, 4], velo_to_cam [4, 4] and P2 [4, 4] of a calibration file."""
    rows = dict(line.split(":") for line in path.read_text().splitlines() if line.strip())
    values = {name: np.array(text.split(), np.float64) for name, text in rows.items()}
    rect, velo_to_cam, p2 = np.eye(4), np.eye(4), np.eye(4)
    rect[:3, :3], velo_to_cam[:3], p2[:3] = values["R0_rect"].reshape(3, 3), values["Tr_velo_to_cam"].reshape(3, 4), values[
        "P2"].reshape(3, 4)
    return rect, velo_to_cam, p2


def converted(kitti, found):
    """Network outputs as result annotations, by KittiMetric's own conversion."""
    from mmdet3d.evaluation import KittiMetric

    metric, infos = KittiMetric(ann_file=""), []
    for row, frame in enumerate(kitti.frames):
        rect, velo_to_cam, p2 = matrices(kitti.folder / "calib" / f"{frame}.txt")
        size = kitti.calibrations[row]
        infos.append({"sample_idx": row, "images": {"CAM2": {
            "height": size.height_px, "width": size.width_px, "lidar2cam": rect @ velo_to_cam, "cam2img": p2}}})
    metric.data_infos = infos
    outputs = [{"bboxes_3d": f.bboxes_3d, "scores_3d": f.scores_3d, "labels_3d": f.labels_3d} for f in found]
    return metric.bbox2result_kitti(outputs, list(range(len(outputs))), CLASSES)


def label_annotation(path):
    """A label or result file as kitti_eval wants it (dimensions as length, height, width)."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    numbers = np.array([row[1:] for row in rows], np.float64)
    return {"name": np.array([row[0] for row in rows]), "truncated": numbers[:, 0], "occluded": numbers[:, 1].astype(int),
            "alpha": numbers[:, 2], "bbox": numbers[:, 3:7], "dimensions": numbers[:, [9, 7, 8]],
            "location": numbers[:, 10:13], "rotation_y": numbers[:, 13],
            "score": numbers[:, 14] if numbers.shape[1] > 14 else np.zeros(len(rows))}


def annotation(boxes):
    """Our arrays as kitti_eval wants them."""
    names = {int(label): name for name, label in KITTI_CLASSES.items()}
    return {"name": np.array([names[label] for label in boxes.label]), "truncated": boxes.truncation,
            "occluded": boxes.occlusion.astype(int), "alpha": boxes.rotation_y_rad, "bbox": np.array(boxes.image_box_px),
            "dimensions": boxes.size_hwl_m[:, [2, 0, 1]], "location": np.array(boxes.bottom_m),
            "rotation_y": boxes.rotation_y_rad, "score": np.array(boxes.score)}


def theirs_by_our_names(want):
    """kitti_eval's percentages by name, as ours: fractions, with the overlap in the name."""
    from replay.metrics.kitti_ap import CLASSES as kinds
    from replay.metrics.kitti_ap import DIFFICULTIES

    named = {}
    for kind in kinds:
        for measure, overlaps in kind.min_overlaps.items():
            for overlap, strictness in zip(overlaps, ("strict", "loose")):
                for difficulty in DIFFICULTIES:
                    for ap in ("AP40", "AP11"):
                        key = f"KITTI/{kind.name}_{MEASURES[measure]}_{ap}_{difficulty.name}_{strictness}"
                        named[f"{kind.name}_{measure}_{ap}_{difficulty.name}_{overlap:.2f}"] = float(want[key]) / 100
    assert len(named) == 90
    return named


def random_frame(rng):
    """Truths of all classes, and detections that are near some of them, doubled, of another class, or nowhere."""
    g = int(rng.integers(3, 12))
    truth_label = rng.choice([int(c) for c in KITTI_CLASSES.values()], g, p=[.3, .08, .05, .2, .07, .17, .03, .02, .08])
    truth = boxes_of(rng, truth_label, rng.uniform([-12, 1.2, 5], [12, 2, 45], (g, 3)), np.ones(g))
    near = rng.integers(0, g, int(rng.integers(0, 16)))
    label = np.where(rng.random(len(near)) < 0.85, truth_label[near], rng.choice([1, 6, 8], len(near)))
    label = np.where(label == ObjectClass.UNKNOWN, int(ObjectClass.CAR), label)
    far = rng.random((len(near), 1)) < 0.2
    spread = rng.choice([0.02, 0.15, 0.4], (len(near), 1))
    found = boxes_of(rng, label, truth.bottom_m[near] + rng.normal(0, 1, (len(near), 3)) * np.where(far, 6.0, spread),
                     rng.permutation(10_000)[:len(near)] / 10_000)
    jitter = rng.normal(0, 1, (len(near), 4)) * np.where(far, 60.0, spread * 20)
    size_hwl_m = truth.size_hwl_m[near] * rng.uniform(0.9, 1.1, (len(near), 3))
    return truth, KittiBoxes(
        found.label, found.score, truth.image_box_px[near] + jitter, size_hwl_m, found.bottom_m,
        truth.rotation_y_rad[near] + rng.normal(0, 0.15, len(near)), found.truncation, found.occlusion)


def boxes_of(rng, label, bottom_m, score):
    n = len(label)
    corner = rng.uniform([0, 100], [1000, 200], (n, 2))
    size = np.where((label == ObjectClass.CAR)[:, None], [1.5, 1.6, 3.9], [1.7, 0.6, 1.2]) * rng.uniform(0.9, 1.1, (n, 3))
    image_box_px = np.hstack([corner, corner + rng.uniform([20, 15], [160, 130], (n, 2))])
    return KittiBoxes(label.astype(np.uint8), score, image_box_px, size, bottom_m, rng.uniform(-np.pi, np.pi, n),
                      rng.choice([0.0, 0.1, 0.25, 0.4, 0.8], n), rng.integers(0, 4, n).astype(np.int8))
