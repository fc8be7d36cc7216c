"""Detection on inputs of a few fixed sizes, so that its work can be captured once in a CUDA graph and then replayed.

Points are padded with rows of NaN, which belong to no pillar, and pictures with cameras that have none. A graph replays the very
kernels of its capture on the memory of then: inputs are copied into it and the strongest cells out of it.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.batch import SensorBatch
from perception.detector import Detector, Recall, nothing_recalled
from perception.head import Candidates

POINT_STEP = 100_000  # capacities are multiples of this: three sweeps of 64 beams fit in one, ten of nuScenes in three
LEAST_CAMERAS = 6
WARM_UPS = 3  # runs before the capture, in which libraries choose their kernels and take their memory


class AutocastDetector(Detector):
    """A folded Detector whose convolutions run in another dtype."""

    def __init__(self, network: Detector, device: str, dtype: torch.dtype) -> None:
        super().__init__(network.lidar, network.camera, network.merge, network.bev, network.head, network.memory)
        self.device, self.dtype = torch.device(device), dtype

    def candidates(self, batch: SensorBatch, recall: Recall = nothing_recalled) -> Candidates:
        """As Detector; on the host."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            found = super().candidates(batch.to(self.device), recall)
        return Candidates(*(getattr(found, field.name).cpu() for field in fields(Candidates)))


class StaticDetector(AutocastDetector):
    """A folded Detector on padded inputs; with `graph`, on a GPU, each size of input is captured once and replayed.

    A network with a memory is not captured: whether there is an earlier map differs from sample to sample.
    """

    def __init__(self, network: Detector, device: str, dtype: torch.dtype, graph: bool) -> None:
        super().__init__(network, device, dtype)
        self.to(device)
        self.graph = graph
        self._made: dict[tuple[int, int], tuple[SensorBatch, Callable[[], Tensor]]] = {}

    def candidates(self, batch: SensorBatch, recall: Recall = nothing_recalled) -> Candidates:
        """As Detector, of one scene; on the host."""
        if batch.size != 1:
            raise SpecError(f"a batch of {batch.size} scenes, expected 1")
        points = POINT_STEP * max(1, -(-len(batch.points) // POINT_STEP))
        cameras = max(batch.images.shape[1], LEAST_CAMERAS) if self.camera is not None else 0
        scene = padded(batch, points, cameras)
        if self.memory is not None:
            return super().candidates(scene, recall)
        if (points, cameras) not in self._made:
            self._made[points, cameras] = self._prepared(scene)
        inputs, work = self._made[points, cameras]
        for field in fields(SensorBatch):
            getattr(inputs, field.name).copy_(getattr(scene, field.name))
        return unpacked(work().cpu())

    def _prepared(self, batch: SensorBatch) -> tuple[SensorBatch, Callable[[], Tensor]]:
        """Memory for inputs of this size, and the work on what lies there, whose result is `packed`."""
        inputs = batch.to(self.device)

        def work() -> Tensor:
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False):
                return packed(Detector.candidates(self, inputs))

        if not self.graph:
            return inputs, work
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream(self.device).wait_stream(aside)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            result = work()

        def replayed() -> Tensor:
            captured.replay()
            return result

        return inputs, replayed


def padded(batch: SensorBatch, points: int, cameras: int) -> SensorBatch:
    """One scene with room for so many points and cameras; new points are NaN, new cameras have no picture."""
    rows = batch.points.new_full((points, batch.points.shape[1]), torch.nan)
    rows[:len(batch.points)] = batch.points
    _, c, _, height, width = batch.images.shape
    c = min(c, cameras)
    images = batch.images.new_zeros(1, cameras, height, width, 3).permute(0, 1, 4, 2, 3)
    matrices, has_image = batch.pixels_from_ego.new_zeros(1, cameras, 3, 4), batch.has_image.new_zeros(1, cameras)
    images[:, :c], matrices[:, :c], has_image[:, :c] = batch.images[:, :c], batch.pixels_from_ego[:, :c], batch.has_image[:, :c]
    return SensorBatch(rows, batch.scene.new_zeros(points), images, matrices, has_image, batch.has_points)


def packed(candidates: Candidates) -> Tensor:
    """Candidates as one tensor [b, m, numbers], so that they come to the host in one go; cells and labels are below 2^24."""
    columns = [getattr(candidates, field.name).float() for field in fields(Candidates)]
    return torch.cat([column if column.ndim == 3 else column[..., None] for column in columns], dim=2)


def unpacked(numbers: Tensor) -> Candidates:
    """The inverse of `packed`."""
    heat, label, cell, box, quality, spread = numbers.split([1, 1, 1, 10, 1, 10], dim=2)
    return Candidates(heat[..., 0], label[..., 0].long(), cell[..., 0].long(), box, quality, spread)
