"""A tiny DAIR-V2X-C folder: two vehicle frames, two roadside frames, one joint label file, no data of anybody's."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

START_US = 1_700_000_000_000_000
WORLD_M = (3000.0, 2000.0, 20.0)
TURN = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # the LiDAR's x forward is the inertial unit's y
EYE = np.eye(3).tolist()
OPTICAL = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]


def label(x_m: float, y_m: float, kind: str = "Car", yaw_rad: float = 0.0, size: float = 1.0) -> dict[str, Any]:
    return {"type": kind, "occluded_state": "0", "truncated_state": 0, "alpha": "0", "rotation": yaw_rad,
            "2d_box": {"xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1}, "3d_location": {"x": str(x_m), "y": str(y_m), "z": "-0.8"},
            "3d_dimensions": {"h": 1.6 * size, "w": 1.8 * size, "l": 4.4 * size}}


def joint(x_m: float, y_m: float, yaw_rad: float) -> dict[str, Any]:
    """A joint box as the data set writes those of the roadside: no rotation, corners in the world."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    corners = [[a, b, h] for h in (-0.8, 0.8) for a, b in ((2.2, 0.9), (2.2, -0.9), (-2.2, -0.9), (-2.2, 0.9))]
    world = [[WORLD_M[0] + x_m + c * a - s * b, WORLD_M[1] + y_m + s * a + c * b, WORLD_M[2] + h] for a, b, h in corners]
    row = label(x_m, y_m, "car")
    del row["rotation"]
    return row | {"world_8_points": world}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def pose(rotation: Any = EYE, translation: Any = (0.0, 0.0, 0.0)) -> dict[str, Any]:
    return {"rotation": rotation, "translation": [[t] for t in translation]}


def write_cloud(path: Path, stamp_us: int, with_time: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1" if with_time else "<f4")]
    rows = np.zeros(3, fields + ([("timestamp", "<f8")] if with_time else []))
    rows["x"], rows["intensity"] = [0.0, 5.0, 10.0], [0, 51, 255] if with_time else [0.0, 0.2, 1.0]
    if with_time:
        rows["timestamp"] = stamp_us / 1e6 + np.array([0.0, 0.05, 0.1])
    names = " ".join(rows.dtype.names or ())
    sizes, types = ("4 4 4 1 8", "F F F U F") if with_time else ("4 4 4 4", "F F F F")
    header = f"VERSION 0.7\nFIELDS {names}\nSIZE {sizes}\nTYPE {types}\nPOINTS 3\nDATA binary\n"
    path.write_bytes(header.encode() + rows.tobytes())


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(path)


def make_dair(root: Path, *, sensors: bool = True) -> Path:
    """The folder at `root`: the unit's frame 0 has an offset of (0.5, -0.5) m in the pair index, frame 1 says nothing."""
    vehicle, roadside = root / "vehicle-side", root / "infrastructure-side"
    rows = []
    for i, name in enumerate(("000100", "000101")):
        stamp_us = START_US + i * 100_000
        write_json(vehicle / f"calib/novatel_to_world/{name}.json", pose(EYE, np.add(WORLD_M, (10.0 + i, 0.0, 0.0))))
        write_json(vehicle / f"calib/lidar_to_novatel/{name}.json", {"transform": pose(TURN, (0.0, 0.0, 1.5))})
        write_json(vehicle / f"calib/lidar_to_camera/{name}.json", pose(OPTICAL))
        lens = {"cam_K": [10.0, 0, 8, 0, 10, 6, 0, 0, 1], "cam_D": [0.1] * 5}
        write_json(vehicle / f"calib/camera_intrinsic/{name}.json", lens)
        write_json(vehicle / f"label/lidar/{name}.json", [label(20.0, 0.0), label(0.0, 0.0, "Van", size=0.0)])
        if sensors:
            write_cloud(vehicle / f"velodyne/{name}.pcd", stamp_us, with_time=True)
            write_image(vehicle / f"image/{name}.jpg")
        rows.append({"image_path": f"image/{name}.jpg", "image_timestamp": str(stamp_us + 70_000),
                     "pointcloud_path": f"velodyne/{name}.pcd", "pointcloud_timestamp": str(stamp_us),
                     "label_lidar_std_path": f"label/lidar/{name}.json",
                     **{f"calib_{key}_path": f"calib/{key}/{name}.json" for key in (
                         "novatel_to_world", "lidar_to_novatel", "lidar_to_camera", "camera_intrinsic")}})
    write_json(vehicle / "data_info.json", rows[::-1])  # the data set's lists are in no order
    rows = []
    stretch = np.array(OPTICAL) @ np.diag([1.0, 1.0, 0.8])
    for i, name in enumerate(("000007", "000008")):
        stamp_us = START_US + 20_000 + i * 100_000
        write_json(roadside / f"calib/virtuallidar_to_world/{name}.json",
                   pose(EYE, np.add(WORLD_M, (0.2, 0.3, 2.0))) | {"relative_error": {"delta_x": "", "delta_y": ""}})
        write_json(roadside / f"calib/virtuallidar_to_camera/{name}.json", pose(stretch.tolist(), (0.1, 0.2, 0.3)))
        write_json(roadside / f"calib/camera_intrinsic/{name}.json", {"cam_K": [20.0, 0, 8, 0, 20, 6, 0, 0, 1]})
        write_json(roadside / f"label/virtuallidar/{name}.json", [label(9.8, 19.5), label(1.0, 30.0, "Trafficcone")])
        if sensors and i == 0:
            write_cloud(roadside / f"velodyne/{name}.pcd", stamp_us, with_time=False)
            write_image(roadside / f"image/{name}.jpg")
        rows.append({"image_path": f"image/{name}.jpg", "image_timestamp": str(stamp_us),
                     "pointcloud_path": f"velodyne/{name}.pcd", "pointcloud_timestamp": str(stamp_us), "lidar_id": "1",
                     "intersection_loc": "here", "label_lidar_std_path": f"label/virtuallidar/{name}.json",
                     **{f"calib_{key}_path": f"calib/{key}/{name}.json" for key in (
                         "virtuallidar_to_world", "virtuallidar_to_camera", "camera_intrinsic")}})
    write_json(roadside / "data_info.json", rows)
    write_json(root / "cooperative/data_info.json", [{
        "vehicle_pointcloud_path": "vehicle-side/velodyne/000100.pcd",
        "cooperative_label_path": "cooperative/label_world/000100.json",
        "infrastructure_pointcloud_path": "infrastructure-side/velodyne/000007.pcd",
        "system_error_offset": {"delta_x": 0.5, "delta_y": -0.5}}])
    write_json(root / "cooperative/label_world/000100.json", [joint(10.0, 20.0, 1.2), joint(11.0, 60.0, -2.0)])
    return root
