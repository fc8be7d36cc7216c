"""A KITTI frame's calibration, and boxes from KITTI's camera convention to ours and back.

Source: Geiger, Lenz, Urtasun, Are we ready for Autonomous Driving? (CVPR 2012), and the object development kit's readme.
KITTI writes a box as height, width, length, the middle of its BOTTOM in the rectified frame of camera 0 (x right, y down,
z forward), and rotation_y about that y. Ours is the geometric centre in ego, which is the LiDAR's frame here. A label's
height stands along ego's z, as mmdetection3d has it: so both ways are exact inverses, and agree with its.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.pose import SE3
from data_specs.sensors import CameraModel

CAMERA = "CAM_2"
LIDAR = "LIDAR_TOP"
RECTIFIED = "CAM_RECT"  # rectified camera 0, the frame that labels are written in
VALUES = {"P2": 12, "R0_rect": 9, "Tr_velo_to_cam": 12}
# KITTI's rectified images of one recording day have one size; its calibration tells which where there is no image to ask.
SIZE_OF_FOCAL_LENGTH = {721.5: (1242, 375), 718.9: (1241, 376), 718.3: (1238, 374), 707.0: (1224, 370), 707.1: (1226, 370)}
USUAL_SIZE = (1242, 375)


@dataclass(frozen=True, slots=True)
class KittiCalibration:
    """How one frame's LiDAR, rectified camera frame and colour camera 2 lie to each other."""

    p2: Annotated[Array, Spec("f8", 3, 4)]  # pixels from CAM_RECT, homogeneous
    rectified_from_ego: SE3  # ego is the LiDAR's frame
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        lock_fields(self)

    def camera(self) -> CameraModel:
        """Camera 2, distortion already taken out of its images."""
        return CameraModel(CAMERA, self.width_px, self.height_px, self.p2[:, :3], np.zeros(0))

    def ego_from_camera(self) -> SE3:
        """Pose of camera 2, whose lens stands beside camera 0's: P2 = K [I | t] puts rectified points t further."""
        shift_m = np.linalg.solve(self.p2[:, :3], self.p2[:, 3])
        camera_from_rectified = SE3(CAMERA, RECTIFIED, np.eye(3), shift_m)
        return (camera_from_rectified @ self.rectified_from_ego).inverse()

    def boxes_from_label(self, size_hwl_m: Array, bottom_rectified_m: Array, rotation_y_rad: Array) -> Boxes3D:
        """KITTI's rows [n, 3], [n, 3], [n] as boxes in ego."""
        center_m = self.rectified_from_ego.inverse().apply(np.asarray(bottom_rectified_m, np.float64))
        center_m[:, 2] += size_hwl_m[:, 0] / 2
        return Boxes3D("ego", center_m, size_hwl_m[:, ::-1], wrap_rad(-rotation_y_rad - np.pi / 2))

    def label_from_boxes(self, boxes: Boxes3D) -> tuple[Array, Array, Array]:
        """Boxes in ego as KITTI's height, width, length [n, 3], bottom middle [n, 3] in CAM_RECT and rotation_y [n]."""
        bottom_m = boxes.center_m.copy()
        bottom_m[:, 2] -= boxes.size_lwh_m[:, 2] / 2
        return boxes.size_lwh_m[:, ::-1], self.rectified_from_ego.apply(bottom_m), wrap_rad(-boxes.yaw_rad - np.pi / 2)

    def to_json(self) -> dict[str, Any]:
        """The plain form that `calibration_from_json` reads, for a drive's facts."""
        return {"p2": self.p2.tolist(), "rectified_from_ego": self.rectified_from_ego.matrix()[:3].tolist(),
                "size_px": [self.width_px, self.height_px]}


def calibration_from_json(row: Mapping[str, Any], where: str) -> KittiCalibration:
    """The inverse of `KittiCalibration.to_json`; InputError where the plain form is not one."""
    try:
        pose = np.array(row["rectified_from_ego"], np.float64)
        return KittiCalibration(np.array(row["p2"], np.float64), SE3(RECTIFIED, "ego", pose[:, :3], pose[:, 3]), *row["size_px"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(where, f"{type(error).__name__} {error}", "p2, rectified_from_ego, size_px") from error


def read_calibration(path: Path, size_px: tuple[int, int] | None) -> KittiCalibration:
    """Read calib/NNNNNN.txt; `size_px` is the image's width and height, None where there is no image.

    Raises MissingInput for no file and InputError, naming the line, for values that are not what they should be.
    """
    values = _read_values(path)
    p2 = values["P2"].reshape(3, 4)
    matrix = values["R0_rect"].reshape(3, 3) @ values["Tr_velo_to_cam"].reshape(3, 4)
    width_px, height_px = size_px or SIZE_OF_FOCAL_LENGTH.get(round(float(p2[0, 0]), 1), USUAL_SIZE)
    try:
        calibration = KittiCalibration(p2, _rigid(matrix), width_px, height_px)
        calibration.camera()
        calibration.ego_from_camera()
    except (SpecError, np.linalg.LinAlgError) as error:
        raise InputError(path, str(error), "a pinhole in P2, rotations in R0_rect and Tr_velo_to_cam") from error
    return calibration


def _rigid(matrix: Array) -> SE3:
    """rectified_from_ego, as written where that is a rotation already, else the nearest one."""
    try:
        return SE3(RECTIFIED, "ego", matrix[:, :3], matrix[:, 3])
    except SpecError:
        return SE3.from_matrix(RECTIFIED, "ego", matrix)


def _read_values(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise MissingInput(path, "a calibration with P2, R0_rect and Tr_velo_to_cam")
    found: dict[str, Array] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        name, _, text = line.partition(":")
        if name.strip() not in VALUES:
            continue
        name = name.strip()
        try:
            row = np.array([float(word) for word in text.split()])
        except ValueError as error:
            raise InputError(f"{path}:{number}", f"{name}: {error}", f"{VALUES[name]} numbers") from error
        if len(row) != VALUES[name] or not np.isfinite(row).all():
            got = f"{name} has {len(row)} values" if len(row) != VALUES[name] else f"{name} is not finite"
            raise InputError(f"{path}:{number}", got, f"{VALUES[name]} finite numbers")
        found[name] = row
    if missing := [name for name in VALUES if name not in found]:
        raise InputError(path, f"no {', '.join(missing)}", f"lines {', '.join(VALUES)}")
    return found
