import pickle

import numpy as np
import pytest
import torch

from data_specs.errors import InputError, MissingInput, RoadweaveError, SpecError, UnknownFormat
from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from data_specs.sensors import CameraModel, PointCloud, Sample
from perception.interop_mmdet3d import Mmdet3dDetector, boxes_from_mmdet3d, mmdet3d_from_boxes
from perception.load import load_detector, read_checkpoint
from perception.pointpillars import KITTI, PointPillars, PointPillarsNet, anchor_boxes, decode, faced, points_in_view
from replay.drive import EGO_SAMPLES, TRUTH
from replay.importers.kitti import KittiImporter
from replay.metrics.overlap import rectangle_iou


@pytest.fixture(scope="module")
def fresh():
    torch.manual_seed(0)
    return PointPillarsNet(KITTI).state_dict()


def sample(xyz_m, cameras=True):
    xyz_m = np.array(xyz_m, np.float32).reshape(-1, 3)
    n = len(xyz_m)
    cloud = PointCloud("LIDAR_TOP", 5, xyz_m, np.zeros(n, np.float32), np.zeros(n, np.uint8), np.zeros(n, np.int32))
    camera = CameraModel("CAM_2", 100, 50, np.array([[50, 0, 50], [0, 50, 25], [0, 0, 1.0]]), np.zeros(0))
    ego_from_camera = SE3("ego", "CAM_2", np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]]), np.zeros(3))
    return Sample("drive", 5, (cloud,), (), SE3.identity("map", "ego"),
                  {"LIDAR_TOP": SE3.identity("ego", "LIDAR_TOP"), "CAM_2": ego_from_camera}, (camera,) if cameras else ())


def test_the_network_has_the_published_size(fresh):
    assert sum(tensor.numel() for key, tensor in fresh.items() if "running" not in key and "tracked" not in key) == 4_834_888


def test_anchors_stand_on_every_second_pillar_in_the_heads_order():
    anchors = anchor_boxes(KITTI)
    assert anchors.shape == (248 * 216 * 6, 7)
    torch.testing.assert_close(anchors[:2], torch.tensor(
        [[0.16, -39.52, -0.6, 0.8, 0.6, 1.73, 0.0], [0.16, -39.52, -0.6, 0.8, 0.6, 1.73, 1.57]]))
    torch.testing.assert_close(anchors[11], torch.tensor([0.48, -39.52, -1.78, 3.9, 1.6, 1.56, 1.57]))


def test_no_correction_leaves_the_anchor():
    anchors = anchor_boxes(KITTI)[:12]
    torch.testing.assert_close(decode(anchors, torch.zeros(12, 7)), anchors)


@pytest.mark.parametrize(("yaw", "backward", "want"), [
    (0.1, 0, 0.1), (0.1, 1, 0.1 - np.pi), (3.0, 0, 3.0 - np.pi), (3.0, 1, 3.0)])
def test_the_direction_classifier_decides_where_the_front_is(yaw, backward, want):
    assert faced(np.array([yaw]), np.array([backward]))[0] == pytest.approx(want)


def test_boxes_of_mmdetection3d_stand_on_their_bottom_and_ours_have_their_centre():
    rows = np.array([[1.0, 2.0, -1.0, 4.0, 2.0, 1.5, 0.3]])
    boxes = boxes_from_mmdet3d(rows, "ego")
    assert boxes.center_m[0].tolist() == [1.0, 2.0, -0.25]
    np.testing.assert_allclose(mmdet3d_from_boxes(boxes), rows)


def test_the_cloud_is_cut_to_grid_and_camera():
    points = [[5, 0, 0], [5, 6, 0], [-5, 0, 0], [5, 0, 2], [np.nan, 0, 0], [80, 0, 0]]
    assert points_in_view(sample(points), KITTI)[:, :3].tolist() == [[5, 0, 0]]
    assert points_in_view(sample(points, cameras=False), KITTI)[:, :3].tolist() == [[5, 0, 0], [5, 6, 0]]


def test_a_cloud_without_points_gives_no_objects(fresh):
    assert len(PointPillars(fresh).detect(sample(np.zeros((0, 3))))) == 0
    with pytest.raises(SpecError, match="no point cloud"):
        PointPillars(fresh).detect(Sample("drive", 5, (), (), SE3.identity("map", "ego"), {}))


def test_missing_and_foreign_keys_are_named(fresh):
    broken = {key: value for key, value in fresh.items() if key != "bbox_head.conv_cls.bias"}
    with pytest.raises(InputError, match=r"net\.pth: 1 tensors missing, first 'bbox_head\.conv_cls\.bias'"):
        PointPillars(broken, where="net.pth")
    with pytest.raises(InputError, match=r"1 foreign tensors, first 'extra'"):
        PointPillars(fresh | {"extra": torch.zeros(1)})
    with pytest.raises(InputError, match=r"neck\.deblocks\.0\.0\.weight: shape \(1,\), expected \(64, 128, 1, 1\)"):
        PointPillars(fresh | {"neck.deblocks.0.0.weight": torch.zeros(1)})


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a pickle was run')",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    torch.save({"state_dict": {"a": Harmful()}}, path)
    with pytest.raises(InputError, match=r"bad\.pth: refused: .*, expected a checkpoint of tensors and plain values alone"):
        load_detector(path, "cpu")
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InputError, match=r"bad\.pth"):
        load_detector(path, "cpu")


def test_what_is_no_weights_file_is_told(tmp_path, fresh):
    path = tmp_path / "weights.pth"
    with pytest.raises(MissingInput, match=r"weights\.pth: missing, expected a file of weights"):
        load_detector(path)
    path.write_text("hello there")
    with pytest.raises(UnknownFormat, match=r"a file that starts with b'hell', expected safetensors or a torch checkpoint"):
        load_detector(path)
    torch.save({"state_dict": fresh}, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"weights\.pth: not readable .*, expected a whole torch checkpoint"):
        load_detector(path)
    torch.save({"state_dict": {"a": 1}}, path)
    with pytest.raises(InputError, match="no state_dict of tensors"):
        load_detector(path)
    torch.save(fresh, path)
    with pytest.raises(RoadweaveError, match="device 'tpu', expected auto, cpu, cuda or cuda:N"):
        load_detector(path, "tpu")
    assert load_detector(path, "cpu").name == "pointpillars-kitti"


def test_without_mmdetection3d_its_detector_names_the_extra(tmp_path):
    with pytest.raises(RoadweaveError, match=r"mmdetection3d's own detector needs the extra \[mmdet3d\]"):
        Mmdet3dDetector(tmp_path, tmp_path, [ObjectClass.CAR])


@pytest.mark.sample_data
@pytest.mark.slow
def test_the_published_checkpoint_finds_the_cars_of_a_sample_frame(sample_data):
    weights = next((sample_data / "kitti" / "weights").glob("*.pth"))
    assert read_checkpoint(weights)["voxel_encoder.pfn_layers.0.linear.weight"].shape == (64, 10)
    events = [e for e in KittiImporter(sample_data / "kitti") if e.time_ns % 10_000_000_000 == 3_000_000_000]  # frame 000038
    found = load_detector(weights, "cpu").detect(next(e.payload for e in events if e.topic == EGO_SAMPLES))
    told = next(e.payload for e in events if e.topic == TRUTH)
    cars = told.objects[(told.objects.label == ObjectClass.CAR) & (told.points_in_box > 10)].boxes
    seen = found[(found.label == ObjectClass.CAR) & (found.score > 0.3)].boxes
    rectangles = [np.column_stack([b.center_m[:, :2], b.size_lwh_m[:, :2], b.yaw_rad]) for b in (cars, seen)]
    assert (rectangle_iou(*rectangles).max(axis=1) > 0.7).sum() >= len(cars) - 1
    assert (np.diff(found.score) <= 0).all()
