"""Between the confidence names of J2735 and standard deviations.

A name gives the half width of the 95 % interval (SAE J2735, DE_PositionConfidence and the like: "95 % confidence"), 1.96
standard deviations of a normal error. A standard deviation becomes the narrowest name that holds it; wider than all of them
becomes "unavailable".
"""
from __future__ import annotations

import math

from v2x.codecs.uncertainty import SIGMAS_95

UNAVAILABLE = "unavailable"
Widths = dict[str, float]  # name -> half width, widest first

POSITION_M: Widths = {
    "a500m": 500.0, "a200m": 200.0, "a100m": 100.0, "a50m": 50.0, "a20m": 20.0, "a10m": 10.0, "a5m": 5.0, "a2m": 2.0,
    "a1m": 1.0, "a50cm": 0.5, "a20cm": 0.2, "a10cm": 0.1, "a5cm": 0.05, "a2cm": 0.02, "a1cm": 0.01,
}
ELEVATION_M: Widths = {
    "elev-500-00": 500.0, "elev-200-00": 200.0, "elev-100-00": 100.0, "elev-050-00": 50.0, "elev-020-00": 20.0,
    "elev-010-00": 10.0, "elev-005-00": 5.0, "elev-002-00": 2.0, "elev-001-00": 1.0, "elev-000-50": 0.5, "elev-000-20": 0.2,
    "elev-000-10": 0.1, "elev-000-05": 0.05, "elev-000-02": 0.02, "elev-000-01": 0.01,
}
SPEED_MPS: Widths = {
    "prec100ms": 100.0, "prec10ms": 10.0, "prec5ms": 5.0, "prec1ms": 1.0, "prec0-1ms": 0.1, "prec0-05ms": 0.05,
    "prec0-01ms": 0.01,
}
HEADING_RAD: Widths = {
    name: math.radians(degrees) for name, degrees in {
        "prec10deg": 10.0, "prec05deg": 5.0, "prec01deg": 1.0, "prec0-1deg": 0.1, "prec0-05deg": 0.05, "prec0-0125deg": 0.0125,
        "prec0-01deg": 0.01,
    }.items()
}
SIZE_M: Widths = {
    "size-100-00": 100.0, "size-050-00": 50.0, "size-020-00": 20.0, "size-010-00": 10.0, "size-005-00": 5.0,
    "size-002-00": 2.0, "size-001-00": 1.0, "size-000-50": 0.5, "size-000-20": 0.2, "size-000-10": 0.1, "size-000-05": 0.05,
    "size-000-02": 0.02, "size-000-01": 0.01,
}


def sigma_of(name: str, widths: Widths) -> float:
    """Standard deviation of a confidence name; NaN for "unavailable"."""
    return widths.get(name, math.nan) / SIGMAS_95


def name_of(sigma: float, widths: Widths) -> str:
    """The narrowest name that holds a standard deviation; "unavailable" for NaN and for what is wider than all names."""
    fitting = [name for name, width in widths.items() if sigma * SIGMAS_95 <= width * (1 + 1e-9)]
    return fitting[-1] if fitting else UNAVAILABLE
