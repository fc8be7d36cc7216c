"""Slices of the outcome table: by range, speed, who can see, age of V2X, weather, scenario and area of the map.

- range and speed: of the truth that a detection took, else its own.
- seen by: truths alone, so these slices have a recall and no AP. The ego sees what its sensors hold a trace of (see
  replay/metrics/visibility.py); a roadside unit, what it has 5 returns of. Who cannot be said to be seen or not is in no slice.
- V2X age: how old the newest roadside word was at the moment (see replay/metrics/message_age.py); "no V2X" where there was none.
- weather, scenario: of the whole drive, as `conditions_of` reads them.
- area: squares of AREA_M of a site's map, by where the object is; drives of another map have other squares.
Meteorological visibility is 3.912 / extinction (Koschmieder's law at a contrast of 0.02; WMO-No. 8, part I, 9.1.4); below 5 km it
is haze, below 1 km fog (WMO-No. 407, International Cloud Atlas, hydrometeors and lithometeors).
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data_specs.arrays import Array
from replay.drive import DriveInfo
from replay.metrics.outcomes import BY_EGO, BY_NOBODY, BY_RSU_ALONE, Outcomes

RANGES_M = ((0.0, 20.0), (20.0, 40.0), (40.0, np.inf))
SPEEDS_MPS = ((0.0, 0.5), (0.5, 5.0), (5.0, np.inf))
AGES_S = ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0), (1.0, np.inf))
SEEN_BY = {"seen by ego": BY_EGO, "seen by RSU alone": BY_RSU_ALONE, "hidden from both": BY_NOBODY}
AREA_M = 50.0
_CONTRAST, _FOG_M, _HAZE_M = 3.912, 1000.0, 5000.0


def conditions_of(info: DriveInfo) -> dict[str, str]:
    """What is known of a whole drive: "weather", "scenario" and "map", those that it tells."""
    facts: Mapping[str, Any] = info.facts
    found = {name: str(facts[name]) for name in ("weather", "scenario") if facts.get(name)}
    haze_per_m = facts.get("conditions", {}).get("haze_per_m") if isinstance(facts.get("conditions"), Mapping) else None
    if "weather" not in found and haze_per_m is not None:
        found["weather"] = _weather(_CONTRAST / haze_per_m if haze_per_m > 0 else np.inf)
    place = "+".join(crossing.id for crossing in info.site.crossings) or str(facts.get("location") or "")
    return found | ({"map": place} if place else {})


def slices_of(pool: Outcomes, drive: Array, conditions: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Array]]:
    """Names and masks [n] of the slices of AP and recall. `drive` [n] is the place of each row's drive in `conditions`."""
    for what, values, spans, unit in (("range", pool.range_m, RANGES_M, "m"), ("speed", pool.speed_mps, SPEEDS_MPS, "m/s"),
                                      ("V2X age", pool.v2x_age_s, AGES_S, "s")):
        for low, high in spans:
            yield span_name(what, low, high, unit), (values >= low) & (values < high)
    aged = ~np.isnan(pool.v2x_age_s)
    if aged.any():
        yield "no V2X", ~aged
    for what in ("weather", "scenario"):
        of_drive = np.array([one.get(what, "") for one in conditions], str)
        for value in sorted(set(of_drive) - {""}):
            yield f"{what} {value}", (of_drive == value)[drive]
    yield from _areas(pool, np.array([one.get("map", "") for one in conditions], str)[drive])


def span_name(what: str, low: float, high: float, unit: str) -> str:
    """ "range 0-20 m", "range 40+ m"."""
    return f"{what} {low:g}+ {unit}" if high == np.inf else f"{what} {low:g}-{high:g} {unit}"


def _areas(pool: Outcomes, place: Array) -> Iterator[tuple[str, Array]]:
    square = np.floor(pool.place_m / AREA_M).astype(np.int64)
    for name in sorted(set(place) - {""}):
        here = place == name
        for east, north in np.unique(square[here & pool.is_truth & pool.counts], axis=0):
            mask = here & (square == [east, north]).all(axis=1)
            yield f"area {name} {_side(east, 'E', 'W')} {_side(north, 'N', 'S')}", mask


def _side(number: int, ahead: str, behind: str) -> str:
    """Square 0 East is "E0-50", square -1 is "W0-50"."""
    place = int(number) if number >= 0 else -int(number) - 1
    return f"{ahead if number >= 0 else behind}{place * AREA_M:g}-{(place + 1) * AREA_M:g}"


def _weather(visible_m: float) -> str:
    return "fog" if visible_m < _FOG_M else "haze" if visible_m < _HAZE_M else "clear"
