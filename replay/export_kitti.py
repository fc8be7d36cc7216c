"""A drive as KITTI object detection: velodyne, image_2, calib and label_2, one frame for each sample with picture and truth.

Source: Geiger, Lenz, Urtasun, Are we ready for Autonomous Driving? (CVPR 2012), and the object development kit's readme. The
velodyne frame is the first LiDAR's place with the ego's axes; the camera is the one that looks most straight ahead. An object is
labelled where its box shows in the picture; what KITTI has no name for is Misc, what is to be ignored DontCare.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.errors import InputError
from data_specs.objects import KITTI_CLASSES, ObjectClass, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, Sample
from replay.drive import EGO_SAMPLES, TRUTH, Event
from replay.export import Span
from replay.importers.kitti_calibration import LIDAR, RECTIFIED, KittiCalibration
from replay.recorded import RecordedDrive

_NAMES = {label: name for name, label in KITTI_CLASSES.items() if name not in ("Misc", "DontCare")}
_UNKNOWN_OCCLUSION = 3
_NEAREST_M = 0.1  # of a box's corner before the lens, to be projected


def write_kitti(drive: RecordedDrive, out: Path, span: Span,
                watch: Callable[[Iterable[Event]], Iterable[Event]] = iter) -> dict[str, int]:
    """Write `out`/training; how many frames and labels it holds.

    InputError for a drive without truth, or in which no sample with truth has a cloud and a picture.
    """
    if absent := [topic for topic in (EGO_SAMPLES, TRUTH) if topic not in drive.info.topics]:
        raise InputError(drive.path, f"no topic {', '.join(absent)}", f"{EGO_SAMPLES} and {TRUTH}")
    truths = {event.time_ns: event.payload for event in drive.events(span.start_ns, span.end_ns, [TRUTH])}
    frames = labels = 0
    for event in watch(drive.events(span.start_ns, span.end_ns, [EGO_SAMPLES])):
        sample, truth = event.payload, truths.get(event.time_ns)
        if not isinstance(sample, Sample) or not isinstance(truth, Truth) or not sample.images or not sample.clouds:
            continue
        labels += _write_frame(out / "training", f"{frames:06d}", sample, truth)
        frames += 1
    if not frames:
        raise InputError(drive.path, "no sample with a cloud, a picture and truth of its time", "at least one")
    return {"frames": frames, "labels": labels}


def _write_frame(folder: Path, name: str, sample: Sample, truth: Truth) -> int:
    """The four files of a frame; how many labels it has."""
    image = max(sample.images, key=lambda one: float(sample.ego_from_sensor[one.camera.frame].rotation[0, 2]))
    camera_from_ego = sample.ego_from_sensor[image.camera.frame].inverse()
    first = sample.clouds[0]
    ego_from_velodyne = SE3("ego", LIDAR, np.eye(3), sample.ego_from_sensor[first.frame].translation_m)
    rectified_from_velodyne = camera_from_ego @ ego_from_velodyne
    calibration = KittiCalibration(
        np.hstack([image.camera.matrix_px, np.zeros((3, 1))]),
        SE3(RECTIFIED, "ego", rectified_from_velodyne.rotation, rectified_from_velodyne.translation_m),
        image.camera.width_px, image.camera.height_px)
    points = [np.column_stack([ego_from_velodyne.inverse().apply(sample.ego_from_sensor[cloud.frame].apply(cloud.xyz_m)),
                               cloud.intensity]) for cloud in sample.clouds]
    lines = _labels(truth.transformed(sample.map_from_ego.inverse()), ego_from_velodyne.inverse(), calibration, image)
    for kind in ("velodyne", "image_2", "calib", "label_2"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "velodyne" / f"{name}.bin").write_bytes(np.concatenate(points).astype("<f4").tobytes())
    Image.fromarray(image.rgb).save(folder / "image_2" / f"{name}.png")
    (folder / "calib" / f"{name}.txt").write_text(_calibration_text(calibration))
    (folder / "label_2" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return len(lines)


def _labels(truth: Truth, velodyne_from_ego: SE3, calibration: KittiCalibration, image: CameraImage) -> list[str]:
    """Lines of label_2 for a truth in ego."""
    boxes = truth.objects.transformed(SE3("velodyne", "ego", velodyne_from_ego.rotation, velodyne_from_ego.translation_m)).boxes
    in_ego = type(boxes)("ego", boxes.center_m, boxes.size_lwh_m, boxes.yaw_rad)  # KITTI's ego is the velodyne
    size_hwl, bottom, rotation_y = calibration.label_from_boxes(in_ego)
    lines = []
    for row, corners in enumerate(in_ego.corners_m()):
        seen = _seen_px(calibration.rectified_from_ego.apply(corners), image)
        if seen is None:
            continue
        box_px, truncated = seen
        if truth.ignore[row]:
            lines.append(_line("DontCare", -1.0, -1, (-10.0, *box_px, *[-1.0] * 3, *[-1000.0] * 3, -10.0)))
            continue
        name = _NAMES.get(ObjectClass(truth.objects.label[row]), "Misc")
        occluded = int(truth.occlusion[row]) if truth.occlusion[row] >= 0 else _UNKNOWN_OCCLUSION
        alpha = rotation_y[row] - np.arctan2(bottom[row, 0], bottom[row, 2])
        alpha = (alpha + np.pi) % (2 * np.pi) - np.pi
        lines.append(_line(name, truncated, occluded, (alpha, *box_px, *size_hwl[row], *bottom[row], rotation_y[row])))
    return lines


def _line(name: str, truncated: float, occluded: int, numbers: Iterable[float]) -> str:
    return " ".join([name, f"{truncated:.2f}", str(occluded), *(f"{value:.2f}" for value in numbers)])


def _seen_px(corners_m: Array, image: CameraImage) -> tuple[Array, float] | None:
    """The box around the corners [8, 3] before the lens, cut to the picture, and how much was cut; None outside of it."""
    before = corners_m[corners_m[:, 2] > _NEAREST_M]
    if not len(before):
        return None
    pixels, _ = image.camera.project(before)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    limit = np.array([image.camera.width_px - 1.0, image.camera.height_px - 1.0])
    cut_low, cut_high = np.clip(low, 0.0, limit), np.clip(high, 0.0, limit)
    if (cut_high - cut_low <= 1.0).any():
        return None
    whole = float(np.prod(high - low))
    return np.concatenate([cut_low, cut_high]), 1.0 - float(np.prod(cut_high - cut_low)) / max(whole, 1e-9)


def _calibration_text(calibration: KittiCalibration) -> str:
    rows = {f"P{number}": calibration.p2 for number in range(4)} | {
        "R0_rect": np.eye(3), "Tr_velo_to_cam": calibration.rectified_from_ego.matrix()[:3], "Tr_imu_to_velo": np.eye(4)[:3]}
    return "".join(f"{name}: {' '.join(f'{value:.12e}' for value in matrix.ravel())}\n" for name, matrix in rows.items())
