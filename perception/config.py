"""How a network is built and trained: plain values, kept in the weights file so that it can be built again."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from data_specs.errors import InputError, SpecError
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, class_of
from perception.augment import SensorLoss
from perception.grid import BevGrid
from perception.tables import from_table


@dataclass(frozen=True, slots=True)
class LidarConfig:
    """The LiDAR branch."""

    pillar_size_m: float = 0.4
    pillar_channels: int = 20
    stem_channels: tuple[int, ...] = (32,)  # each halves the canvas


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """The camera branch; pictures are brought to image_hw."""

    image_hw: tuple[int, int] = (128, 352)
    width: int = 16
    blocks: tuple[int, ...] = (1, 2, 2)
    bottleneck: bool = False
    finest_stage: int = 0  # features are given at the stride of this stage: 4, 8, ..
    channels: int = 24
    depth_bins: int = 40
    farthest_m: float = 72.0
    heights_m: tuple[float, ...] = (0.3, 1.0, 1.8, 2.9)  # of voxels' centres, in ego
    bev_channels: int = 32

    def __post_init__(self) -> None:
        if not 0 <= self.finest_stage < len(self.blocks):
            raise SpecError(f"finest_stage: {self.finest_stage}, expected 0 to {len(self.blocks) - 1}, a stage of blocks")
        stride = 4 * 2**self.finest_stage
        if any(size % stride or size < 2 * stride for size in self.image_hw):
            raise SpecError(f"image_hw: {self.image_hw[0]} x {self.image_hw[1]} pixels, expected multiples of {stride}, the "
                            "stride of its features, and at least two of them")
        if self.depth_bins < 2 or not self.heights_m:
            raise SpecError(f"depth_bins {self.depth_bins} and {len(self.heights_m)} heights_m, expected at least 2 and 1")


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Parts of a detector; `name` says which set of weights it is. One of `lidar` and `camera` may be None."""

    name: str = "nano"
    classes: tuple[str, ...] = ("car", "truck", "bus", "pedestrian", "bicycle", "motorcycle")  # nuScenes names
    range_m: float = 51.2  # the grid reaches this far ahead, behind and to both sides
    z_range_m: tuple[float, float] = (-2.0, 4.8)  # of ego
    cell_m: float = 0.8  # of the map on which branches meet and the head works
    lidar: LidarConfig | None = LidarConfig()
    camera: CameraConfig | None = CameraConfig()
    stage_channels: tuple[int, ...] = (40, 64, 96)
    stage_blocks: tuple[int, ...] = (1, 1, 2)
    feature_channels: int = 48
    head_channels: int = 48
    tells_velocity: bool = True  # False: objects' velocities stay NaN, since these weights have not learnt them well enough
    memory: bool = False  # the map of the sample before takes part, moved with the ego

    def __post_init__(self) -> None:
        for name in self.classes:
            class_of(name, NUSCENES_CLASSES, "DetectorConfig.classes")
        if self.lidar is None and self.camera is None:
            raise SpecError("lidar and camera: both None, expected at least one branch")
        if len(self.stage_channels) != len(self.stage_blocks):
            raise SpecError(f"stage_blocks: {len(self.stage_blocks)} stages, expected {len(self.stage_channels)}: "
                            "as many as stage_channels")
        multiple = 2 ** (len(self.stage_channels) - 1)
        if self.grid.nx % multiple:
            raise SpecError(f"grid of {self.grid.nx} cells, expected a multiple of {multiple} for "
                            f"{len(self.stage_channels)} stages")
        if self.lidar is not None:
            stride, wanted = 2 ** len(self.lidar.stem_channels), self.cell_m / self.lidar.pillar_size_m
            if abs(stride - wanted) > 1e-6:
                raise SpecError(f"pillar_size_m: {self.lidar.pillar_size_m} with {len(self.lidar.stem_channels)} stages of stem "
                                f"gives cells of {self.lidar.pillar_size_m * stride:g} m, expected cell_m {self.cell_m:g}")

    @property
    def grid(self) -> BevGrid:
        """The grid on which branches meet and the head works."""
        return self._grid(self.cell_m)

    @property
    def pillar_grid(self) -> BevGrid:
        """The pillars' grid; SpecError without a LiDAR branch."""
        if self.lidar is None:
            raise SpecError(f"{self.name}: no LiDAR branch, expected one for a grid of pillars")
        return self._grid(self.lidar.pillar_size_m)

    @property
    def object_classes(self) -> tuple[ObjectClass, ...]:
        return tuple(NUSCENES_CLASSES[name] for name in self.classes)

    @property
    def image_hw(self) -> tuple[int, int]:
        """The size of its pictures; without a camera branch the least there is."""
        return self.camera.image_hw if self.camera else (1, 1)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def _grid(self, size_m: float) -> BevGrid:
        return BevGrid((-self.range_m, self.range_m), (-self.range_m, self.range_m), self.z_range_m, size_m)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run; everything random follows from `seed`."""

    seed: int = 0
    steps: int = 9500
    batch: int = 4  # scenes a step
    first_drive: int = 1000  # seeds below are held out: 0..99 for tests and the demo, 900..999 for calibration
    drives: int = 500
    drives_at_start: int = 60  # the drives that are drawn from grow steadily to all, by a third of the steps
    drive_seconds: float = 20.0
    samples_hz: float = 0.5
    scenarios: tuple[str, ...] = ("crossing", "busy", "delivery", "suburb", "turning")  # taken in turn by seed
    candidates: int = 3  # scenes that each place in a batch is drawn from, by how rare what they show is
    sensor_loss: SensorLoss = SensorLoss()  # noqa: RUF009 (frozen)
    paste_until: float = 0.8  # part of the steps in which objects are pasted into scenes without pictures
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05  # part of the steps in which the rate rises
    beta_nll_from: float = 0.7  # part of the steps after which boxes learn by beta-NLL, and no longer by L1
    settle_from: float = 0.85  # part of the steps after which batch norms keep their averaged statistics
    clip_norm: float = 10.0
    ema_decay: float = 0.998
    half: bool = True  # convolutions in 16 bits: 4x as fast where the CPU has AMX
    recorded: tuple[str, ...] = ()  # drives and info-v2 pickles that are trained on instead of simulated drives

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.drives < 1 or self.candidates < 1:
            raise SpecError(f"steps {self.steps}, batch {self.batch}, drives {self.drives}, candidates {self.candidates}, "
                            "expected at least 1 each")
        if self.first_drive < 1000:
            raise SpecError(f"first_drive: {self.first_drive}, expected 1000 or more: lower seeds are held out")


def detector_config_from_json(text: str, where: str) -> DetectorConfig:
    """Read what `DetectorConfig.to_json` wrote; InputError names the key that is wrong."""
    try:
        values: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(where, f"configuration that is no JSON ({error})", "a JSON object") from error
    return from_table(DetectorConfig, values, where)
