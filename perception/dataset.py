"""Training scenes from simulated drives, kept on disk so that each drive is simulated once.

A scene is one small file: points as centimetres in 16 bits (finer than the sensor's noise), intensity in 8.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import Truth
from data_specs.sensors import Sample
from perception.batch import Scene, scene_of
from perception.config import TrainConfig

Pairs = Callable[[str, int, float, float], Iterable[tuple[Sample, Truth]]]  # scenario, seed, seconds, hz
CM_PER_M = 100.0


class DriveScenes:
    """Scenes of simulated drives by seed; a drive that is not in `folder` yet is simulated when it is first asked for."""

    def __init__(self, config: TrainConfig, folder: Path, pairs: Pairs) -> None:
        self.folder = folder / f"{config.drive_seconds:g}s-{config.samples_hz:g}hz"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config, self._pairs = config, pairs
        self.scenes_of_drive = max(1, int(config.drive_seconds * config.samples_hz))

    def load(self, seed: int, index: int) -> Scene:
        """Scene `index` (modulo the drive's length) of the drive of a seed."""
        scenario = self._config.scenarios[seed % len(self._config.scenarios)]
        drive = self.folder / f"{scenario}-{seed}"
        if not drive.is_dir():
            self._simulate(scenario, seed, drive)
        files = sorted(drive.glob("*.npz"))
        return read_scene(files[index % len(files)])

    def _simulate(self, scenario: str, seed: int, drive: Path) -> None:
        part = Path(mkdtemp(prefix=f"{seed}-", suffix=".part", dir=self.folder))
        pairs = self._pairs(scenario, seed, self._config.drive_seconds, self._config.samples_hz)
        for i, (sample, truth) in enumerate(pairs):
            write_scene(part / f"{i:04d}.npz", scene_of(sample, truth))
        try:
            part.rename(drive)
        except OSError:  # another run has just put the same drive there
            rmtree(part)


def write_scene(path: Path, scene: Scene) -> None:
    """Write one scene; points beyond 327 m are dropped, and intensity is rounded to 1/255."""
    centimetres = np.rint(scene.points[:, :3] * CM_PER_M)
    near = (np.abs(centimetres) < np.iinfo(np.int16).max).all(axis=1)
    np.savez(path, xyz_cm=centimetres[near].astype(np.int16),
             intensity=np.rint(scene.points[near, 3] * 255).clip(0, 255).astype(np.uint8),
             boxes=np.column_stack([scene.boxes.center_m, scene.boxes.size_lwh_m, scene.boxes.yaw_rad]),
             label=scene.label, points_in_box=scene.points_in_box)


def read_scene(path: Path) -> Scene:
    """The inverse of `write_scene`, up to its rounding."""
    with np.load(path) as arrays:
        points: Array = np.column_stack([arrays["xyz_cm"] / np.float32(CM_PER_M), arrays["intensity"] / np.float32(255)])
        boxes = Boxes3D("ego", arrays["boxes"][:, :3], arrays["boxes"][:, 3:6], arrays["boxes"][:, 6])
        return Scene(points.astype(np.float32), boxes, arrays["label"], arrays["points_in_box"])
