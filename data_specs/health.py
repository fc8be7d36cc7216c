"""How a roadside unit is doing, as the fusion worker sees it."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RsuHealth:
    """Counts since the worker started, and what was last heard."""

    rsu: str  # publisher as in Header
    time_ns: int  # event time of this report
    last_generated_ns: int
    messages: int
    objects: int
    refused: int  # messages that did not decode, or that the policy turned away
    rate_hz: float  # over the last seconds
    age_p50_ms: float  # generated to received; NaN = unknown
