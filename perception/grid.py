"""The grids that networks work on: square pillars over a rectangle of the ego's xy plane, and boxes of equal voxels."""
from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from data_specs.errors import SpecError

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class BevGrid:
    """Pillars [iy, ix] of one size; a point belongs to pillar floor((xyz - low) / size), computed in float32.

    Ranges are half-open, in metres, in the frame of the points. A pillar reaches over the whole z range.
    """

    x_range_m: Range
    y_range_m: Range
    z_range_m: Range
    pillar_size_m: float

    def __post_init__(self) -> None:
        for name in ("x_range_m", "y_range_m", "z_range_m"):
            _require_range(name, getattr(self, name))
        if not (isfinite(self.pillar_size_m) and self.pillar_size_m > 0.0):
            raise SpecError(f"pillar_size_m: {self.pillar_size_m}, expected metres above 0")
        for name in ("x_range_m", "y_range_m"):
            low, high = getattr(self, name)
            pillars = (high - low) / self.pillar_size_m
            if round(pillars) < 1 or abs(pillars - round(pillars)) > 1e-6:
                raise SpecError(f"{name}: {high - low:.6g} m is {pillars:.6g} pillars of {self.pillar_size_m} m, "
                                "expected a whole number")

    @property
    def nx(self) -> int:
        """Pillars along x."""
        return round((self.x_range_m[1] - self.x_range_m[0]) / self.pillar_size_m)

    @property
    def ny(self) -> int:
        """Pillars along y."""
        return round((self.y_range_m[1] - self.y_range_m[0]) / self.pillar_size_m)

    @property
    def low_m(self) -> tuple[float, float, float]:
        """Corner with the smallest x, y and z."""
        return self.x_range_m[0], self.y_range_m[0], self.z_range_m[0]

    @property
    def cell_m(self) -> tuple[float, float, float]:
        """Extent of one pillar along x, y and z."""
        return self.pillar_size_m, self.pillar_size_m, self.z_range_m[1] - self.z_range_m[0]

    @property
    def voxels(self) -> VoxelGrid:
        """The same cells as voxels, one of them in each pillar."""
        return VoxelGrid(self.x_range_m, self.y_range_m, self.z_range_m, self.cell_m)


@dataclass(frozen=True, slots=True)
class VoxelGrid:
    """Voxels [iz, iy, ix] of one size; a point belongs to voxel floor((xyz - low) / size), computed in float32.

    Ranges are half-open, in metres, in the frame of the points.
    """

    x_range_m: Range
    y_range_m: Range
    z_range_m: Range
    voxel_size_m: tuple[float, float, float]  # along x, y and z

    def __post_init__(self) -> None:
        if len(self.voxel_size_m) != 3 or not all(isfinite(size) and size > 0.0 for size in self.voxel_size_m):
            raise SpecError(f"voxel_size_m: {self.voxel_size_m}, expected three numbers of metres above 0")
        for name, size_m in zip(("x_range_m", "y_range_m", "z_range_m"), self.voxel_size_m):
            low, high = getattr(self, name)
            _require_range(name, (low, high))
            voxels = (high - low) / size_m
            if round(voxels) < 1 or abs(voxels - round(voxels)) > 1e-6:
                raise SpecError(f"{name}: {high - low:.6g} m is {voxels:.6g} voxels of {size_m} m, expected a whole number")

    @property
    def nx(self) -> int:
        """Voxels along x."""
        return round((self.x_range_m[1] - self.x_range_m[0]) / self.voxel_size_m[0])

    @property
    def ny(self) -> int:
        """Voxels along y."""
        return round((self.y_range_m[1] - self.y_range_m[0]) / self.voxel_size_m[1])

    @property
    def nz(self) -> int:
        """Voxels along z."""
        return round((self.z_range_m[1] - self.z_range_m[0]) / self.voxel_size_m[2])

    @property
    def cells(self) -> int:
        """Voxels in all."""
        return self.nx * self.ny * self.nz

    @property
    def low_m(self) -> tuple[float, float, float]:
        """Corner with the smallest x, y and z."""
        return self.x_range_m[0], self.y_range_m[0], self.z_range_m[0]


def _require_range(name: str, range_m: Range) -> None:
    low, high = range_m
    if not (isfinite(low) and isfinite(high) and low < high):
        raise SpecError(f"{name}: {low} to {high}, expected finite metres, low < high")
