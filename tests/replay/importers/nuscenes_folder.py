"""Made-up nuScenes folders, as mmdetection3d's info-v2 pickles describe them, that the tests of this folder share."""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.arrays import Array

LIDAR_FROM_CAMERA = np.array([[1.0, 0, 0, 0.1], [0, 0, 1, 0.5], [0, -1, 0, -0.3], [0, 0, 0, 1]])  # looking along LiDAR's +y
EGO_FROM_LIDAR = np.array([[0.0, 1, 0, 0.9], [-1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])
START_S = 1532402927.647951
SPEED_MPS, TURN_RADPS = 10.0, 0.3
SWEEP_STEP_S = 0.05


def info(**changes: Any) -> dict[str, Any]:
    """One small sample as an info-v2 pickle has it."""
    global_from_ego = np.eye(4)
    global_from_ego[:3, 3] = [400.0, 1100.0, 0.0]
    camera = {"img_path": "front.jpg", "cam2img": [[60.0, 0, 32], [0, 60, 18], [0, 0, 1]], "timestamp": 1532402927.61246,
              "cam2ego": (EGO_FROM_LIDAR @ LIDAR_FROM_CAMERA).tolist(), "lidar2cam": np.linalg.inv(LIDAR_FROM_CAMERA).tolist()}
    instance = {"bbox_3d": [0.0, 10.0, -1.0, 4.0, 1.8, 1.6, 1.5], "bbox_label_3d": 0, "num_lidar_pts": np.int64(3),
                "velocity": [1.0, 2.0]}
    return {"token": "abc", "timestamp": START_S, "ego2global": global_from_ego.tolist(),
            "images": {"CAM_FRONT": camera}, "instances": [instance, instance | {"bbox_label_3d": -1}],
            "lidar_points": {"lidar_path": "sweep.bin", "num_pts_feats": 5, "lidar2ego": EGO_FROM_LIDAR.tolist()}} | changes


def write(folder: Path, infos: list[dict[str, Any]], categories: dict[str, int] | None = None) -> Path:
    """The pickle, one picture and one cloud of two points, in `folder`."""
    content = {"metainfo": {"categories": categories or {"car": 0, "pedestrian": 1}}, "data_list": infos}
    (folder / "infos.pkl").write_bytes(pickle.dumps(content, 2))
    points = np.array([[0, 10, -1, 255, 7], [0, 9, -1, 51, 31]], np.float32)
    (folder / "sweep.bin").write_bytes(points.tobytes())
    Image.fromarray(np.full((36, 64, 3), 90, np.uint8)).save(folder / "front.jpg")
    return folder


def global_from_ego(seconds: float) -> Array:
    """Pose [4, 4] of an ego that drives and turns steadily, `seconds` after START_S."""
    turn = TURN_RADPS * seconds
    radius_m = SPEED_MPS / TURN_RADPS
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    pose[:3, 3] = [400.0 + radius_m * np.sin(turn), 1100.0 + radius_m * (1 - np.cos(turn)), 0.0]
    return pose


def cloud_at(world_m: Array, seconds: float) -> Array:
    """What a LiDAR returns of still points [n, 3] in the global frame, as rows [n, 5] f32 of its file."""
    global_from_lidar = global_from_ego(seconds) @ EGO_FROM_LIDAR
    xyz_m = (world_m - global_from_lidar[:3, 3]) @ global_from_lidar[:3, :3]
    return np.column_stack([xyz_m, np.full((len(xyz_m), 2), 5.0)]).astype(np.float32)


def drive_past(folder: Path, world_m: Array, key_frames: int = 2, sweeps: int = 10) -> list[dict[str, Any]]:
    """Key frames half a second apart and the ten sweeps before each, the oldest of them the key frame before.

    Writes their clouds to samples/LIDAR_TOP and sweeps/LIDAR_TOP, the pickle, and returns its samples to be changed.
    """
    infos = []
    for number in range(key_frames):
        seconds = 0.5 * number
        key_from_global = np.linalg.inv(global_from_ego(seconds) @ EGO_FROM_LIDAR)
        listed = []
        for i in range(1, sweeps + 1):
            then = seconds - i * SWEEP_STEP_S
            sweep_from_key = np.linalg.inv(key_from_global @ global_from_ego(then) @ EGO_FROM_LIDAR)
            listed.append({"timestamp": round(START_S + then, 6), "ego2global": global_from_ego(then).astype(np.float32).tolist(),
                           "lidar_points": {"num_pts_feats": None, "lidar_path": f"./data/nuscenes/{file_at(then)}",
                                            "lidar2ego": EGO_FROM_LIDAR.astype(np.float32).tolist(),
                                            "lidar2sensor": sweep_from_key.astype(np.float32).tolist()},
                           "sample_data_token": f"sweep {then:.2f}"})
        infos.append(info(timestamp=round(START_S + seconds, 6), ego2global=global_from_ego(seconds).tolist(), images={},
                          lidar_sweeps=listed, lidar_points={"lidar_path": Path(file_at(seconds)).name, "num_pts_feats": 5,
                                                             "lidar2ego": EGO_FROM_LIDAR.tolist()}))
        for i in range(sweeps + 1):
            file = folder / file_at(seconds - i * SWEEP_STEP_S)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cloud_at(world_m, seconds - i * SWEEP_STEP_S).tobytes())
    write(folder, infos)
    return infos


def file_at(seconds: float) -> str:
    """Where nuScenes keeps the cloud of a moment: key frames, twice a second, in samples/, the rest in sweeps/."""
    kind = "samples" if round(seconds / SWEEP_STEP_S) % 10 == 0 and seconds >= 0 else "sweeps"
    return f"{kind}/LIDAR_TOP/at_{round(seconds * 1000):+05d}ms.pcd.bin"
