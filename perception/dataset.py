"""Training scenes from simulated and from recorded drives, kept on disk so that each drive is simulated or read once.

A scene is one small file: points as centimetres in 16 bits (finer than the sensor's noise), intensity in 8, ages as
hundredths of a second, pictures as JPEG of the quality that recorded drives hold.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput
from data_specs.objects import ObjectClass, Truth
from data_specs.sensors import Sample
from perception.augment import without_cameras
from perception.config import TrainConfig
from perception.scene import Scene, scene_of
from perception.stage import SampleMemory
from perception.targets import FEWEST_PIXELS
from replay.console import progress
from replay.drive import EGO_SAMPLES, TRUTH, Event
from replay.importers.nuscenes import NuScenesImporter
from replay.manifest import MANIFEST
from replay.recorded import open_drive
from replay.simulate import sweep_pairs

Moments = Iterable[tuple[Sample, tuple[Sample, ...], Truth]]
Pairs = Callable[[str, int, float, float], Moments]  # scenario, seed, seconds, hz
CM_PER_M = 100.0
RARITY = {ObjectClass.BUS: 3.0, ObjectClass.MOTORCYCLE: 2.0, ObjectClass.BICYCLE: 1.0, ObjectClass.TRUCK: 0.5}
KEPT_M = 76.0  # farther points never turn into the grid
JPEG_QUALITY = 90  # as drives are recorded
RECORDED_STEP_NS = 450_000_000  # scenes nearer in time than nuScenes' key frames show the same again


def late_pairs(scenario: str, seed: int, seconds: float, hz: float) -> Moments:
    """Moments of a simulated drive whose pictures now and then come late, as on a real vehicle."""
    return sweep_pairs(scenario, seed, seconds, hz, late_images=True)


class SceneFiles:
    """Scenes in files: read with their pictures or without, and their rarity, remembered."""

    def __init__(self, pictures: bool) -> None:
        self._pictures = pictures
        self._rarity: dict[Path, float] = {}

    def read(self, path: Path, pictures: bool) -> Scene:
        """A scene; who trains without cameras gets it without what only pictures show."""
        if self._pictures:
            return read_scene(path, pictures)
        scene = read_scene(path, with_pictures=False)
        return without_cameras(scene, np.zeros(0, bool))

    def rarity(self, path: Path) -> float:
        """How much a scene is worth drawing: 1, and more for each class of few that it shows."""
        if path not in self._rarity:
            with np.load(path) as arrays:
                points, pixels = arrays["points_in_box"], arrays["pixels_visible"]
                shown = (points > 0) | (pixels >= FEWEST_PIXELS) | ((points < 0) & (pixels < 0))
                classes = np.unique(arrays["label"][shown])
            self._rarity[path] = 1.0 + sum(RARITY.get(ObjectClass(label), 0.0) for label in classes)
        return self._rarity[path]


class DriveScenes:
    """Scenes of simulated drives by seed; a drive that is not in `folder` yet is simulated when it is first asked for."""

    def __init__(self, config: TrainConfig, folder: Path, image_hw: tuple[int, int], pictures: bool = True,
                 pairs: Pairs = late_pairs) -> None:
        self.folder = folder / f"{config.drive_seconds:g}s-{config.samples_hz:g}hz-{image_hw[0]}x{image_hw[1]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config, self._pairs, self._image_hw = config, pairs, image_hw
        self._files = SceneFiles(pictures)
        self._of_drive: dict[int, list[Path]] = {}
        self.scenes_of_drive = max(1, int(config.drive_seconds * config.samples_hz))

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene:
        """Scene `index` (modulo the drive's length) of the drive of a seed; with its pictures if both sides want them."""
        return self._files.read(self._file(seed, index), pictures)

    def rarity(self, seed: int, index: int) -> float:
        """How much a scene is worth drawing (SceneFiles.rarity)."""
        return self._files.rarity(self._file(seed, index))

    def prepared(self, seed: int) -> Path:
        """The folder of the scenes of a seed's drive; it is simulated if it is not there."""
        scenario = self._config.scenarios[seed % len(self._config.scenarios)]
        drive = self.folder / f"{scenario}-{seed}"
        if not drive.is_dir():
            moments = self._pairs(scenario, seed, self._config.drive_seconds, self._config.samples_hz)
            write_drive(drive, moments, self._image_hw)
        return drive

    def _file(self, seed: int, index: int) -> Path:
        if seed not in self._of_drive:
            self._of_drive[seed] = sorted(self.prepared(seed).glob("*.npz"))
        files = self._of_drive[seed]
        return files[index % len(files)]


class RecordedScenes:
    """Scenes of recorded drives and info-v2 pickles, all in one pool: moments that have truth, RECORDED_STEP_NS apart or more.

    Sweeps and late pictures come from the samples before each. Raises InputError if a recording has no such moment.
    """

    def __init__(self, recordings: Sequence[str | Path], folder: Path, image_hw: tuple[int, int], pictures: bool = True) -> None:
        folders = [read_recording(Path(recording), folder, image_hw) for recording in progress(recordings, "reading drives")]
        self._paths = [path for drive in folders for path in sorted(drive.glob("*.npz"))]
        self._files = SceneFiles(pictures)
        self.scenes_of_drive = len(self._paths)

    def load(self, seed: int, index: int, pictures: bool = True) -> Scene:
        """Scene `index` of all; the seed says nothing."""
        return self._files.read(self._paths[index % len(self._paths)], pictures)

    def rarity(self, seed: int, index: int) -> float:
        """How much a scene is worth drawing (SceneFiles.rarity)."""
        return self._files.rarity(self._paths[index % len(self._paths)])


def read_recording(recording: Path, folder: Path, image_hw: tuple[int, int]) -> Path:
    """The folder in `folder` of the scenes of a drive or an info-v2 pickle; another content of it gives another folder."""
    says = recording / MANIFEST if recording.is_dir() else recording
    if not says.is_file():
        raise MissingInput(recording, f"a drive (a folder with {MANIFEST}) or an info-v2 pickle")
    digest = hashlib.sha256(says.read_bytes()).hexdigest()[:12]
    drive = folder / f"recorded-{recording.stem}-{digest}-{image_hw[0]}x{image_hw[1]}"
    if drive.is_dir():
        return drive
    if recording.is_dir():
        events = open_drive(recording).events(topics=[EGO_SAMPLES, TRUTH])
    else:
        events = iter(NuScenesImporter(recording))
    folder.mkdir(parents=True, exist_ok=True)
    if not write_drive(drive, moments_of(events), image_hw):
        raise InputError(recording, f"no moment with both {EGO_SAMPLES} and {TRUTH}", "a drive with truth to train on")
    return drive


def moments_of(events: Iterable[Event]) -> Moments:
    """Samples with truth of their own time, RECORDED_STEP_NS apart or more, and the samples before each, newest first."""
    memory, latest, kept_ns = SampleMemory(), None, None
    for event in events:
        if isinstance(event.payload, Sample):
            latest = event.payload, memory.before(event.payload)
            continue
        is_new = kept_ns is None or event.time_ns - kept_ns >= RECORDED_STEP_NS
        if isinstance(event.payload, Truth) and latest is not None and latest[0].taken_ns == event.time_ns and is_new:
            kept_ns = event.time_ns
            yield *latest, event.payload


def write_drive(drive: Path, moments: Moments, image_hw: tuple[int, int]) -> int:
    """Write the scenes of moments as the folder `drive`, whole or not at all, and say how many; of none there is no folder."""
    part, count = Path(mkdtemp(prefix=f"{drive.name}-", suffix=".part", dir=drive.parent)), 0
    try:
        for sample, earlier, truth in moments:
            write_scene(part / f"{count:06d}.npz", scene_of(sample, earlier, truth, image_hw))
            count += 1
        if count:
            part.rename(drive)
    except OSError:
        if not drive.is_dir():  # if it is, another run has just put the same drive there
            raise
    finally:
        rmtree(part, ignore_errors=True)
    return count


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
