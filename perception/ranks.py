"""Several processes that train one network together, as `torchrun` starts them: each takes a share of every batch.

Losses are divided by what the whole batch holds and gradients are added up, so that what is learnt is what one process with
the whole batch would learn.
Source: Li et al., PyTorch Distributed (VLDB 2020), 3.1; here with one sum a step instead of overlapping ones.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from data_specs.errors import InputError


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def share(self, places: int) -> range:
        """Which of the places of a batch this process takes."""
        return range(self.rank, places, self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, elementwise."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def any(self, here: bool, device: torch.device | str = "cpu") -> bool:
        """Whether it is so in any process: all must take a turn together."""
        return bool(self.total(torch.tensor(float(here), device=device)))

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes; what no process has a gradient of keeps none."""
        if self.size == 1:
            return
        learnt = list(parameters)
        owned = self.total(torch.tensor([float(p.grad is not None) for p in learnt], device=learnt[0].device))
        shared = [p for p, owners in zip(learnt, owned.tolist()) if owners]
        flat = self.total(torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in shared]))
        for parameter, gradient in zip(shared, flat.split([p.numel() for p in shared])):
            # In the parameter's own layout: fused optimizers walk through both memories alike.
            parameter.grad = torch.empty_like(parameter).copy_(gradient.view_as(parameter))

    def average(self, values: Iterable[Tensor]) -> None:
        """Replace every tensor of floats by its mean over all processes: statistics of batch norms, each of its own share."""
        kept = [value for value in values if value.is_floating_point()]
        if self.size > 1 and kept:
            flat = self.total(torch.cat([value.flatten() for value in kept])) / self.size
            for value, mean in zip(kept, flat.split([value.numel() for value in kept])):
                value.copy_(mean.view_as(value))


ALONE = Ranks()


@contextmanager
def ranks_of_torchrun(device: str) -> Iterator[Ranks]:
    """This process among those that torchrun started, joined within the block; ALONE where nobody started several."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise InputError("environment", f"WORLD_SIZE {size} without RANK and MASTER_ADDR", "all three, as torchrun sets them")
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Ranks(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
