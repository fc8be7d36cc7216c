"""Weights from a file, into the detector that they belong to: ours (safetensors) or mmdetection3d's KITTI PointPillars (.pth).

What a file is, its content says, not its name. A .pth is a pickle: only tensors and plain values are read from it, no code.
"""
from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from data_specs.errors import InputError, MissingInput, UnknownFormat
from perception.assemble import build_detector
from perception.checkpoint import DEFAULT_WEIGHTS, load_weights
from perception.config_file import read_recipe
from perception.device import Device, chosen_device, ready
from perception.device_memory import out_of_memory_named
from perception.pointpillars import PointPillars
from perception.stage import ObjectDetector

ZIP_MAGIC = b"PK\x03\x04"  # torch's container since 1.6
PICKLE_MAGIC = b"\x80\x02"  # torch's container before


def load_detector(path: Path, device: str = "auto", dtype: str = "auto") -> ObjectDetector:
    """The detector whose weights the file holds, ready on a device; names of devices and dtypes as in perception.device.

    Raises MissingInput, UnknownFormat for a file of another kind, InputError for damaged or foreign weights, OutOfMemory where
    the device cannot hold the network.
    """
    if not path.is_file():
        raise MissingInput(path, "a file of weights (.safetensors, or mmdetection3d's KITTI PointPillars .pth)")
    with path.open("rb") as file:
        head = file.read(9)
    chosen = chosen_device(device, dtype)
    with out_of_memory_named(str(path)):
        if head[:4] == ZIP_MAGIC or head[:2] == PICKLE_MAGIC:
            return PointPillars(read_checkpoint(path), chosen.name, where=str(path))
        if head[8:9] == b"{":
            return ready(load_weights(path), chosen)
    raise UnknownFormat(path, f"a file that starts with {head[:4]!r}", "safetensors or a torch checkpoint (.pth)")


def fresh_detector(config: str, device: Device) -> ObjectDetector:
    """A detector of a configuration's name or file with fresh weights: it tells nothing, as fast as a trained one."""
    return ready(build_detector(read_recipe(config).network), device)


def shipped_weights() -> Path:
    """The weights that come with Roadweave."""
    return DEFAULT_WEIGHTS


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth by key, read without running anything in it; InputError if it holds anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(path, f"refused: {_first_line(error)}", "a checkpoint of tensors and plain values alone") from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(path, f"not readable ({_first_line(error)})", "a whole torch checkpoint") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(path, f"no state_dict of tensors ({type(content).__name__})", "mmdetection3d's KITTI PointPillars")
    return state


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
