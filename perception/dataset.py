"""Training scenes from simulated drives, kept on disk so that each drive is simulated once.

A scene is one small file: points as centimetres in 16 bits (finer than the sensor's noise), intensity in 8, ages as
hundredths of a second, pictures as JPEG of the quality that recorded drives hold.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, Truth
from data_specs.sensors import Sample
from perception.config import TrainConfig
from perception.scene import Scene, scene_of
from replay.simulate import sweep_pairs

Moments = Iterable[tuple[Sample, tuple[Sample, ...], Truth]]
Pairs = Callable[[str, int, float, float], Moments]  # scenario, seed, seconds, hz
CM_PER_M = 100.0
RARITY = {ObjectClass.BUS: 3.0, ObjectClass.MOTORCYCLE: 2.0, ObjectClass.BICYCLE: 1.0, ObjectClass.TRUCK: 0.5}
KEPT_M = 76.0  # farther points never turn into the grid
JPEG_QUALITY = 90  # as drives are recorded


def late_pairs(scenario: str, seed: int, seconds: float, hz: float) -> Moments:
    """Moments of a simulated drive whose pictures now and then come late, as on a real vehicle."""
    return sweep_pairs(scenario, seed, seconds, hz, late_images=True)


class DriveScenes:
    """Scenes of simulated drives by seed; a drive that is not in `folder` yet is simulated when it is first asked for."""

    def __init__(self, config: TrainConfig, folder: Path, image_hw: tuple[int, int], pictures: bool = True,
                 pairs: Pairs = late_pairs) -> None:
        self.folder = folder / f"{config.drive_seconds:g}s-{config.samples_hz:g}hz-{image_hw[0]}x{image_hw[1]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config, self._pairs, self._image_hw, self._pictures = config, pairs, image_hw, pictures
        self.scenes_of_drive = max(1, int(config.drive_seconds * config.samples_hz))

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene:
        """Scene `index` (modulo the drive's length) of the drive of a seed; with its pictures if both sides want them."""
        return read_scene(self._file(seed, index), pictures and self._pictures)

    def rarity(self, seed: int, index: int) -> float:
        """How much a scene is worth drawing: 1, and more for each class of few that it shows."""
        with np.load(self._file(seed, index)) as arrays:
            shown = (arrays["points_in_box"] > 0) | (arrays["pixels_visible"] > 24)
            return 1.0 + sum(RARITY.get(ObjectClass(label), 0.0) for label in np.unique(arrays["label"][shown]))

    def prepared(self, seed: int) -> Path:
        """The folder of the scenes of a seed's drive; it is simulated if it is not there."""
        scenario = self._config.scenarios[seed % len(self._config.scenarios)]
        drive = self.folder / f"{scenario}-{seed}"
        if not drive.is_dir():
            self._simulate(scenario, seed, drive)
        return drive

    def _file(self, seed: int, index: int) -> Path:
        files = sorted(self.prepared(seed).glob("*.npz"))
        return files[index % len(files)]

    def _simulate(self, scenario: str, seed: int, drive: Path) -> None:
        part = Path(mkdtemp(prefix=f"{seed}-", suffix=".part", dir=self.folder))
        moments = self._pairs(scenario, seed, self._config.drive_seconds, self._config.samples_hz)
        for i, (sample, earlier, truth) in enumerate(moments):
            write_scene(part / f"{i:04d}.npz", scene_of(sample, earlier, truth, self._image_hw))
        try:
            part.rename(drive)
        except OSError:  # another run has just put the same drive there
            rmtree(part)


def write_scene(path: Path, scene: Scene) -> None:
    """Write one scene; points beyond KEPT_M are dropped, and values are rounded as the module says."""
    near = np.hypot(scene.points[:, 0], scene.points[:, 1]) < KEPT_M
    points = scene.points[near]
    jpegs = [_jpeg(image) for image in scene.images]
    np.savez(path, xyz_cm=np.rint(points[:, :3] * CM_PER_M).clip(-32768, 32767).astype(np.int16),
             intensity=np.rint(points[:, 3] * 255).clip(0, 255).astype(np.uint8),
             age_cs=np.rint(points[:, 4] * 100).clip(0, 255).astype(np.uint8),
             jpeg=np.frombuffer(b"".join(jpegs), np.uint8), jpeg_sizes=np.array([len(j) for j in jpegs], np.int64),
             image_hw=np.array(scene.images.shape[1:3]), pixels_from_ego=scene.pixels_from_ego,
             boxes=np.column_stack([scene.boxes.center_m, scene.boxes.size_lwh_m, scene.boxes.yaw_rad]),
             label=scene.label, velocity_mps=scene.velocity_mps, points_in_box=scene.points_in_box,
             pixels_visible=scene.pixels_visible)


def read_scene(path: Path, with_pictures: bool = True) -> Scene:
    """The inverse of `write_scene`, up to its rounding."""
    with np.load(path) as arrays:
        points: Array = np.column_stack([arrays["xyz_cm"] / np.float32(CM_PER_M), arrays["intensity"] / np.float32(255),
                                         arrays["age_cs"] / np.float32(100)])
        sizes = arrays["jpeg_sizes"] if with_pictures else np.zeros(0, np.int64)
        packed = arrays["jpeg"].tobytes()
        pictures = [np.asarray(Image.open(BytesIO(packed[end - size:end]))) for end, size in zip(np.cumsum(sizes), sizes)]
        images = np.stack(pictures) if pictures else np.zeros((0, *arrays["image_hw"], 3), np.uint8)
        boxes = Boxes3D("ego", arrays["boxes"][:, :3], arrays["boxes"][:, 3:6], arrays["boxes"][:, 6])
        return Scene(points.astype(np.float32), images, arrays["pixels_from_ego"][:len(images)], boxes, arrays["label"],
                     arrays["velocity_mps"], arrays["points_in_box"], arrays["pixels_visible"])


def _jpeg(rgb: Array) -> bytes:
    packed = BytesIO()
    Image.fromarray(rgb).save(packed, "JPEG", quality=JPEG_QUALITY)
    return packed.getvalue()
