"""Scores a drive by KITTI's protocol, and writes its detections as KITTI result files.

A detection's image box is that of its eight projected corners, cut to the image. As mmdetection3d does when it writes
results, a detection is dropped if that box misses the image, or if its bottom middle lies outside of LIMITS_M.
Scores are fractions from 0 to 1, named class_measure_AP_difficulty_overlap; see replay.metrics.kitti_ap.
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import wrap_rad
from data_specs.errors import InputError, SpecError
from data_specs.objects import KITTI_CLASSES, ObjectClass, ObjectList, Truth
from data_specs.results import RunResult, Score
from replay.drive import TRUTH, VEHICLE_OBJECTS, Drive
from replay.importers.kitti_calibration import KittiCalibration, calibration_from_json
from replay.metrics.kitti_ap import AveragePrecision, KittiBoxes, average_precisions

LIMITS_M = ((0.0, -40.0, -3.0), (70.4, 40.0, 0.0))  # in ego; mmdetection3d's pcd_limit_range for KITTI
NAMES = {label: name for name, label in KITTI_CLASSES.items() if label != ObjectClass.UNKNOWN}


def evaluate_kitti(drive: Drive) -> RunResult:
    """All scores of `vehicle.objects` against `truth` over the frames that have a truth.

    Raises InputError if the drive does not come from KITTI, or lacks truth or detections.
    """
    frames = list(_truth_and_found(drive))
    if not frames:
        raise InputError(drive.info.drive_id, f"no {TRUTH}", "a drive of labelled KITTI frames (training/label_2)")
    scores = [score for line in average_precisions(frames) for score in _scores(line)]
    return RunResult("kitti", (drive.info.drive_id,), tuple(scores))


def write_kitti_results(drive: Drive, folder: Path) -> int:
    """Write NNNNNN.txt for every frame of the drive, empty ones too, and return how many; `folder` is made whole or not at all.

    Raises InputError if there is something in the folder already, or the drive is not KITTI's or has no detections.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "there already", "an empty or new folder for result files")
    calibrations = frame_calibrations(drive)
    found = dict(_found(drive, calibrations))
    aside = folder.parent / f".{folder.name}.writing-{os.getpid()}"
    aside.mkdir(parents=True)
    try:
        for time_ns, (name, _) in calibrations.items():
            (aside / f"{name}.txt").write_text("".join(result_lines(found[time_ns])) if time_ns in found else "")
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return len(calibrations)


def result_lines(found: KittiBoxes) -> Iterator[str]:
    """KITTI's result lines: type, -1, -1, alpha, image box, height width length, x y z, rotation_y, score."""
    alpha_rad = wrap_rad(found.rotation_y_rad - np.arctan2(found.bottom_m[:, 0], found.bottom_m[:, 2]))
    for row in range(len(found)):
        numbers = [alpha_rad[row], *found.image_box_px[row], *found.size_hwl_m[row], *found.bottom_m[row],
                   found.rotation_y_rad[row], found.score[row]]
        yield f"{NAMES[ObjectClass(int(found.label[row]))]} -1 -1 " + " ".join(f"{n:.4f}" for n in numbers) + "\n"


def kitti_truth(truth: Truth, calibration: KittiCalibration) -> KittiBoxes:
    """The labels of a frame, as its label file has them."""
    size_hwl_m, bottom_m, rotation_y_rad = calibration.label_from_boxes(truth.objects.boxes)
    return KittiBoxes(truth.objects.label, truth.objects.score, truth.image_box_px, size_hwl_m, bottom_m, rotation_y_rad,
                      truth.truncation, truth.occlusion)


def kitti_found(objects: ObjectList, calibration: KittiCalibration) -> KittiBoxes:
    """The detections of a frame that KITTI has a class for, in its image and within LIMITS_M."""
    objects = objects[np.isin(objects.label, [int(label) for label in NAMES])]
    size_hwl_m, bottom_m, rotation_y_rad = calibration.label_from_boxes(objects.boxes)
    image_box_px = projected_boxes_px(size_hwl_m, bottom_m, rotation_y_rad, calibration.p2)
    size_px = np.array([calibration.width_px, calibration.height_px], np.float64)
    bottom_ego_m = objects.boxes.center_m - objects.boxes.size_lwh_m * [0.0, 0.0, 0.5]
    kept = ((image_box_px[:, :2] < size_px) & (image_box_px[:, 2:] > 0)).all(axis=1) & (
        (bottom_ego_m > LIMITS_M[0]) & (bottom_ego_m < LIMITS_M[1])).all(axis=1)
    cut_px = np.concatenate([np.maximum(image_box_px[:, :2], 0), np.minimum(image_box_px[:, 2:], size_px)], axis=1)
    rows = int(kept.sum())
    return KittiBoxes(objects.label[kept], objects.score[kept], cut_px[kept], size_hwl_m[kept], bottom_m[kept],
                      rotation_y_rad[kept], np.zeros(rows), np.zeros(rows, np.int8))


def projected_boxes_px(size_hwl_m: Array, bottom_m: Array, rotation_y_rad: Array, p2: Array) -> Array:
    """Left, top, right, bottom [n, 4] of the boxes' corners under P2; corners behind the lens project as they come."""
    height, width, length = (size_hwl_m[:, i, None] for i in range(3))
    x = length / 2 * np.array([1, 1, -1, -1, 1, 1, -1, -1])
    y = -height * np.array([0, 0, 0, 0, 1, 1, 1, 1])
    z = width / 2 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    c, s = np.cos(rotation_y_rad)[:, None], np.sin(rotation_y_rad)[:, None]
    corners_m = np.stack([c * x + s * z, y, c * z - s * x], axis=-1) + bottom_m[:, None]
    projected = corners_m @ p2[:, :3].T + p2[:, 3]
    depth = np.where(projected[..., 2:] == 0, np.finfo(np.float64).tiny, projected[..., 2:])
    pixels = projected[..., :2] / depth
    return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)


def _scores(line: AveragePrecision) -> list[Score]:
    head = f"{line.object_class}_{line.measure}"
    tail = f"{line.difficulty}_{line.min_overlap:.2f}"
    return [Score(f"{head}_AP40_{tail}", line.ap40, "1", "all", line.count),
            Score(f"{head}_AP40_{tail}_plain", line.ap40_plain, "1", "all", line.count),
            Score(f"{head}_AP11_{tail}", line.ap11, "1", "all", line.count)]


def frame_calibrations(drive: Drive) -> dict[int, tuple[str, KittiCalibration]]:
    """Frame name and calibration by time, from what the importer noted."""
    facts: Any = drive.info.facts
    where = drive.info.drive_id
    try:
        known = [calibration_from_json(row, f"{where}, calibration {i}") for i, row in enumerate(facts["calibrations"])]
        return {facts["first_ns"] + i * facts["step_ns"]: (name, known[row])
                for i, (name, row) in enumerate(zip(facts["frames"], facts["calibration_of_frame"], strict=True))}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(where, f"no KITTI calibration ({type(error).__name__} {error})", "a drive that was imported from KITTI",
                         f"this one was made by {drive.info.importer}") from error


def _found(drive: Drive, calibrations: dict[int, tuple[str, KittiCalibration]]) -> Iterator[tuple[int, KittiBoxes]]:
    seen = False
    for event in drive.events(topics=[VEHICLE_OBJECTS]):
        seen = True
        if event.time_ns in calibrations and isinstance(event.payload, ObjectList):
            yield event.time_ns, kitti_found(event.payload, calibrations[event.time_ns][1])
    if not seen:
        raise InputError(drive.info.drive_id, f"no {VEHICLE_OBJECTS}", "detections", "'roadweave perceive' adds them")


def _truth_and_found(drive: Drive) -> Iterator[tuple[KittiBoxes, KittiBoxes]]:
    calibrations = frame_calibrations(drive)
    found = dict(_found(drive, calibrations))
    for event in drive.events(topics=[TRUTH]):
        if not isinstance(event.payload, Truth) or event.time_ns not in calibrations:
            raise SpecError(f"{TRUTH} at {event.time_ns}: {type(event.payload).__name__}, expected the Truth of a KITTI frame")
        calibration = calibrations[event.time_ns][1]
        nothing = kitti_found(ObjectList.empty("map", "nothing"), calibration)
        yield kitti_truth(event.payload, calibration), found.get(event.time_ns, nothing)
