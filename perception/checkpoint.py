"""Weights files: a detector in one safetensors file that says how to build it, written whole or not at all."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from data_specs.errors import InputError, MissingInput
from perception.assemble import build_detector
from perception.config import DetectorConfig, detector_config_from_json
from perception.detect import CalibratedDetector
from perception.device_memory import out_of_memory_named
from perception.tables import nearest

FORMAT = "roadweave-detector-2"
OLD_FORMATS = {"roadweave-lidar-1": "the LiDAR-only network of version 0.1"}
SHIPPED = Path(__file__).parent / "weights"  # of the networks that come with Roadweave
DEFAULT_WEIGHTS = SHIPPED / "nano.safetensors"


def save_weights(path: Path, detector: CalibratedDetector, config: DetectorConfig, facts: Mapping[str, Any]) -> None:
    """Write weights, configuration and `facts` (plain JSON: what trained them, what they score) under a temporary name first."""
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().contiguous().clone() for key, value in detector.state_dict().items()}
    save_file(tensors, part, {"format": FORMAT, "config": config.to_json(), "facts": json.dumps(dict(facts))})
    part.replace(path)


def load_weights(path: Path) -> CalibratedDetector:
    """The detector of a weights file, ready to detect.

    Raises MissingInput if there is no such file, InputError if it is not ours or its tensors do not fit, naming them, and
    OutOfMemory if its grid is too large for this machine.
    """
    tensors, metadata = _read(path)
    config = detector_config_from_json(metadata["config"], str(path))
    with out_of_memory_named(str(path)):
        detector = build_detector(config)
    require_fit(detector.state_dict(), tensors, str(path))
    _require_finite(tensors, path)
    detector.load_state_dict(tensors)
    return detector.eval()


def read_facts(path: Path) -> dict[str, Any]:
    """What a weights file says about its training and its scores."""
    return json.loads(_read(path)[1].get("facts", "{}"))


def require_fit(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor], where: str) -> None:
    """Raise InputError unless both have the same names and shapes; a foreign or missing name is told with its nearest match."""
    missing, foreign = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    if missing:
        raise InputError(where, f"{len(missing)} tensors missing, first {missing[0]!r}{nearest(missing[0], foreign)}",
                         f"{len(wanted)} tensors")
    if foreign:
        raise InputError(where, f"{len(foreign)} foreign tensors, first {foreign[0]!r}{nearest(foreign[0], wanted)}",
                         f"{len(wanted)} tensors")
    for name, tensor in wanted.items():
        if got[name].shape != tensor.shape:
            raise InputError(f"{where}: {name}", f"shape {tuple(got[name].shape)}", f"{tuple(tensor.shape)}")


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise MissingInput(path, "a weights file (safetensors)")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise InputError(path, str(error), "a safetensors file") from error
    found = metadata.get("format", "none")
    if found in OLD_FORMATS:
        raise InputError(path, f"format {found!r}, {OLD_FORMATS[found]}", repr(FORMAT),
                         "take the weights that come with this version, or train anew: roadweave train --help")
    if found != FORMAT or "config" not in metadata:
        raise InputError(path, f"format {found!r}", f"{FORMAT!r} with its configuration")
    return tensors, metadata


def _require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name}", f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} numbers NaN or infinite",
                             "finite ones")
