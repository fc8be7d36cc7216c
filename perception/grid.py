"""The bird's-eye grid that every network works on: square pillars over a rectangle of the ego's xy plane."""
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
            low, high = getattr(self, name)
            if not (isfinite(low) and isfinite(high) and low < high):
                raise SpecError(f"{name}: {low} to {high}, expected finite metres, low < high")
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
