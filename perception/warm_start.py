"""A new run's weights from trained networks: a network of two sensors begins where networks of either have come.

A LiDAR-only network learns from points faster than one that shares its training with cameras; begun from it, the fused network
keeps what the points told and learns what pictures add. How far that carries: data_specs/decisions/network.md.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from data_specs.errors import InputError
from perception.checkpoint import load_weights
from perception.training_run import Run

MEETING = "merge.mix.0.weight"  # of a detector: [out, LiDAR channels then camera channels, 3, 3]


def start_from(run: Run, sources: Sequence[Path]) -> None:
    """Give a run at step 0 the weights of `sources` (weights files); tensors that none of them has stay as they are.

    Each tensor comes from the first file that has it in its shape. Where two sensors' features meet, a network of one sensor has
    fewer input channels: they fill the first ones and the others start at zero, so that the new sensor says nothing at first.
    Raises MissingInput or InputError for a file that is none of weights, InputError for one of which nothing fits.
    """
    wanted = run.detector.network.state_dict()
    taken: dict[str, Tensor] = {}
    for path in sources:
        offered = load_weights(path).network.state_dict()
        fitting = {name: tensor for name, like in wanted.items()
                   if name not in taken and (tensor := _fitted(name, like, offered)) is not None}
        if not fitting:
            raise InputError(path, "no tensor that fits and that no file before it has", "weights of a network alike in part")
        taken |= fitting
    for network in (run.detector.network, run.average.network):
        network.load_state_dict(taken, strict=False)


def _fitted(name: str, like: Tensor, offered: Mapping[str, Tensor]) -> Tensor | None:
    tensor = offered.get(name)
    if tensor is None or tensor.shape == like.shape:
        return tensor
    if name != MEETING or tensor.shape[1] > like.shape[1] or tensor.shape[::2] != like.shape[::2]:
        return None
    filled = like.new_zeros(like.shape)
    filled[:, :tensor.shape[1]] = tensor
    return filled
