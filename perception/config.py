"""How a network is built and trained: plain values, kept in the weights file so that it can be built again."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from data_specs.errors import InputError, SpecError
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, class_of
from perception.grid import BevGrid


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Parts of a LiDAR detector; `name` says which set of weights it is."""

    name: str = "lidar-nano"
    classes: tuple[str, ...] = ("car", "truck", "bus", "pedestrian", "bicycle", "motorcycle")  # nuScenes names
    range_m: float = 51.2  # the grid reaches this far ahead, behind and to both sides
    z_range_m: tuple[float, float] = (-2.0, 4.8)  # of ego
    pillar_size_m: float = 0.4
    pillar_channels: int = 32
    stage_channels: tuple[int, ...] = (32, 64, 96)
    feature_channels: int = 48

    def __post_init__(self) -> None:
        for name in self.classes:
            class_of(name, NUSCENES_CLASSES, "DetectorConfig.classes")
        multiple = 2 ** len(self.stage_channels)
        if self.grid.nx % multiple:
            raise SpecError(f"grid of {self.grid.nx} pillars, expected a multiple of {multiple} for "
                            f"{len(self.stage_channels)} stages")

    @property
    def grid(self) -> BevGrid:
        """The pillars' grid."""
        return BevGrid((-self.range_m, self.range_m), (-self.range_m, self.range_m), self.z_range_m, self.pillar_size_m)

    @property
    def object_classes(self) -> tuple[ObjectClass, ...]:
        return tuple(NUSCENES_CLASSES[name] for name in self.classes)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run; everything random follows from `seed`."""

    seed: int = 0
    steps: int = 5000
    batch: int = 2  # scenes a step
    first_drive: int = 1000  # seeds below are held out: 0..99 for tests and the demo, 900..999 for calibration
    drives: int = 160
    drive_seconds: float = 20.0
    samples_hz: float = 1.0
    scenarios: tuple[str, ...] = ("crossing", "busy", "delivery", "suburb", "turning")  # taken in turn by seed
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1  # part of the steps in which the rate rises
    settle_from: float = 0.8  # part of the steps after which batch norms keep their averaged statistics
    clip_norm: float = 10.0
    ema_decay: float = 0.997
    bf16: bool = True  # convolutions in bfloat16: 4x as fast where the CPU has AMX

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.drives < 1:
            raise SpecError(f"steps {self.steps}, batch {self.batch}, drives {self.drives}, expected at least 1 each")
        if self.first_drive < 1000:
            raise SpecError(f"first_drive: {self.first_drive}, expected 1000 or more: lower seeds are held out")


def detector_config_from_json(text: str, where: str) -> DetectorConfig:
    """Read what `DetectorConfig.to_json` wrote; InputError names the key that is wrong."""
    known = [field.name for field in fields(DetectorConfig)]
    try:
        values: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(where, f"configuration that is no JSON ({error})", "a JSON object") from error
    if not isinstance(values, Mapping):
        raise InputError(where, f"configuration of type {type(values).__name__}", "a JSON object")
    foreign = sorted(set(values) - set(known))
    if foreign:
        raise InputError(where, f"configuration keys {foreign}", f"keys among {known}")
    try:
        lists_as_tuples: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return DetectorConfig(**lists_as_tuples)
    except (TypeError, SpecError) as error:
        raise InputError(where, str(error), "a configuration of this version") from error
