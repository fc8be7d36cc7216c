"""KITTI object detection as a drive: velodyne clouds, camera 2's images and its labels, frame by frame.

Source: Geiger, Lenz, Urtasun, Are we ready for Autonomous Driving? (CVPR 2012), and the object development kit's readme.
The frames are independent moments of many recordings: the time between them is ours, and `map` is each frame's own ego,
which is the LiDAR's frame. KITTI says when none of them was taken, where, or how the car moved.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, TruncatedInput
from data_specs.messages import GeoPoint
from data_specs.objects import KITTI_CLASSES, ObjectClass, ObjectList, Truth, class_of
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, PointCloud, Sample
from data_specs.site import Site
from replay.drive import EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.importers.kitti_calibration import CAMERA, LIDAR, KittiCalibration, read_calibration

FIRST_NS = 1_316_995_200_000_000_000  # 2011-09-26, KITTI's first day of recording; the frames themselves bear no time
STEP_NS = 1_000_000_000
BYTES_PER_POINT = 16  # float32 x, y, z (m), reflectance (0 to 1)
LABEL_FIELDS = 15  # type, truncated, occluded, alpha, bbox 4, dimensions 3, location 3, rotation_y
NOTES = (
    "KITTI's frames are independent moments: the second between them is ours, and map is each frame's own ego frame",
    "DontCare areas are in the truth as ignored rows of class unknown: an image box without a box in space",
)


class KittiImporter:
    """Reads `training/` or `testing/`, or the folder that holds one: velodyne, calib and, where there are any, label_2, image_2.

    A frame without a label file has no truth; an empty label file is a truth without objects.
    """

    def __init__(self, source: Path) -> None:
        self.folder = _frames_folder(Path(source))
        self.frames = sorted(path.stem for path in (self.folder / "velodyne").glob("*.bin"))
        if not self.frames:
            raise MissingInput(self.folder / "velodyne", "point clouds NNNNNN.bin")

    def describe(self) -> DriveInfo:
        """Frame names and calibrations stand in `facts`; reads every calibration, so a wrong one is told at once."""
        texts = [json.dumps(calibration.to_json()) for calibration in self.calibrations]
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        facts = {
            "frames": self.frames, "first_ns": FIRST_NS, "step_ns": STEP_NS,
            "calibrations": [json.loads(text) for text in row_of],
            "calibration_of_frame": [row_of[text] for text in texts],
        }
        return DriveInfo(f"kitti-{self.folder.name}-{len(self.frames)}", GeoPoint(0.0, 0.0, 0.0), FIRST_NS,
                         FIRST_NS + (len(self.frames) - 1) * STEP_NS, {}, Site((), ()), "kitti", NOTES, facts)

    def __len__(self) -> int:
        return 2 * len(self.frames)

    def __iter__(self) -> Iterator[Event]:
        drive_id = self.describe().drive_id
        for row, frame in enumerate(self.frames):
            taken_ns = FIRST_NS + row * STEP_NS
            sample = self._sample(drive_id, frame, self.calibrations[row], taken_ns)
            yield Event(taken_ns, EGO_SAMPLES, sample)
            labels = self.folder / "label_2" / f"{frame}.txt"
            if labels.is_file():
                yield Event(taken_ns, TRUTH, read_labels(labels, self.calibrations[row], sample.clouds[0], taken_ns))

    @cached_property
    def calibrations(self) -> list[KittiCalibration]:
        """One per frame; frames of one recording day share one object."""
        known: dict[tuple[bytes, tuple[int, int] | None], KittiCalibration] = {}
        found = []
        for frame in self.frames:
            path, size_px = self.folder / "calib" / f"{frame}.txt", _image_size(self._image_path(frame))
            key = (path.read_bytes() if path.is_file() else b"", size_px)
            if key not in known:
                known[key] = read_calibration(path, size_px)
            found.append(known[key])
        return found

    def _image_path(self, frame: str) -> Path | None:
        return next((path for suffix in ("png", "jpg")
                     if (path := self.folder / "image_2" / f"{frame}.{suffix}").is_file()), None)

    def _sample(self, drive_id: str, frame: str, calibration: KittiCalibration, taken_ns: int) -> Sample:
        path = self._image_path(frame)
        images = () if path is None else (CameraImage(taken_ns, _read_image(path), calibration.camera()),)
        return Sample(
            drive_id, taken_ns, (read_velodyne(self.folder / "velodyne" / f"{frame}.bin", taken_ns),), images,
            SE3.identity("map", "ego"), {LIDAR: SE3.identity("ego", LIDAR), CAMERA: calibration.ego_from_camera()},
            blind_cameras=() if images else (calibration.camera(),),
        )


def read_velodyne(path: Path, taken_ns: int) -> PointCloud:
    """A velodyne sweep; TruncatedInput if its size is not that of whole points."""
    size = path.stat().st_size
    if size == 0 or size % BYTES_PER_POINT:
        raise TruncatedInput(path, f"{size} bytes", f"whole points of {BYTES_PER_POINT} bytes, at least one")
    rows = np.fromfile(path, dtype="<f4").reshape(-1, 4)
    n = len(rows)
    return PointCloud(LIDAR, taken_ns, rows[:, :3], rows[:, 3], np.zeros(n, np.uint8), np.zeros(n, np.int32))


def read_labels(path: Path, calibration: KittiCalibration, cloud: PointCloud, taken_ns: int) -> Truth:
    """All labels of a frame, in map; InputError or UnknownFormat names file and line.

    DontCare has no box in space: it stands at the origin, without size, marked to be ignored.
    """
    names, rows = _read_label_rows(path)
    label = np.array([KITTI_CLASSES[name] for name in names], np.uint8)
    dont_care = label == ObjectClass.UNKNOWN
    boxes = calibration.boxes_from_label(np.where(dont_care[:, None], 0.0, rows[:, 7:10]), rows[:, 10:13], rows[:, 13])
    in_map = Boxes3D("map", np.where(dont_care[:, None], 0.0, boxes.center_m), boxes.size_lwh_m,
                     np.where(dont_care, 0.0, boxes.yaw_rad))
    return Truth.build(
        ObjectList.build(in_map, "truth", taken_ns, label),
        points_in_box=np.where(dont_care, -1, in_map.contains(cloud.xyz_m).sum(axis=1)).astype(np.int32),
        image_box_px=rows[:, 3:7], truncation=np.where(rows[:, 0] < 0, np.nan, rows[:, 0]),
        occlusion=rows[:, 1].astype(np.int8), ignore=dont_care,
    )


def _read_label_rows(path: Path) -> tuple[list[str], Array]:
    """Class names, and the 14 numbers of each line [n, 14]."""
    names, rows = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words, where = line.split(), f"{path}:{number}"
        if not words:
            continue
        if len(words) != LABEL_FIELDS:
            raise InputError(where, f"{len(words)} fields", f"{LABEL_FIELDS}: type and 14 numbers")
        class_of(words[0], KITTI_CLASSES, where)
        try:
            row = np.array([float(word) for word in words[1:]])
        except ValueError as error:
            raise InputError(where, str(error), "14 numbers after the type") from error
        if not np.isfinite(row).all():
            raise InputError(where, "a number that is not finite", "14 finite numbers after the type")
        if row[1] not in (-1, 0, 1, 2, 3):
            raise InputError(where, f"occluded {words[2]}", "one of -1, 0, 1, 2, 3")
        if words[0] != "DontCare" and (row[7:10] < 0).any():
            raise InputError(where, f"dimensions {' '.join(words[8:11])}", "metres, not negative")
        names.append(words[0])
        rows.append(row)
    return names, np.array(rows).reshape(-1, LABEL_FIELDS - 1)


def _frames_folder(source: Path) -> Path:
    for folder in (source, source / "training", source / "testing"):
        if (folder / "velodyne").is_dir():
            return folder
    if not source.is_dir():
        raise MissingInput(source, "a KITTI folder with velodyne and calib")
    raise MissingInput(source / "velodyne", "a folder of point clouds, here or under training/ or testing/")


def _image_size(path: Path | None) -> tuple[int, int] | None:
    """Width and height from an image's header."""
    if path is None:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(path, f"not an image ({error})", "a PNG or JPEG") from error


def _read_image(path: Path) -> Array:
    """Pixels [h, w, 3] u8."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:  # Pillow tells a broken PNG by SyntaxError
        raise TruncatedInput(path, str(error), "a whole PNG or JPEG") from error
