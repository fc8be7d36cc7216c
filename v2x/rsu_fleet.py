"""Many simulated roadside units from one simulated crossing: its ray casting is heavy, so copies stand at other places.

Copy k of the crossing lies k km to the North of the one before, ten to a column, with stations, addresses and names of its own;
its units see what the first crossing's units see.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from data_specs.messages import GeoPoint
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.console import progress
from replay.drive import Event, rsu_objects
from replay.simulate import simulate
from replay.simulate.simulation import site as simulated_site

SPACING_DEG = 0.01  # 1.1 km to the North, 0.7 km to the East
_COLUMN = 10
_FIRST_STATION = 101
_FIRST_ADDRESS = 0x0200_0000_0101  # a locally administered MAC address
# What stands before it in a GeoNetworking address: not set by hand, a roadside unit, reserved bits (EN 302 636-4-1, 6.3).
_ADDRESS_PREFIX = 15 << 2 << 8


@dataclass(frozen=True, slots=True)
class Scan:
    """What one unit of the simulated crossing found in one scan."""

    after_ns: int  # since the drive's start
    unit: int  # its place among the crossing's units
    objects: ObjectList  # in the unit's frame


@dataclass(frozen=True, slots=True)
class FleetUnit:
    """One unit of the fleet."""

    rsu: Rsu
    origin: GeoPoint  # of its crossing
    sees: int  # which unit of the simulated crossing it sees through
    phase: float  # when in a tenth of a second it sends, after the unit it sees through: 0 to 1


def fleet(count: int, policy: str = "off") -> tuple[Site, tuple[FleetUnit, ...]]:
    """`count` units at as many crossings as they need, and the site file's content for them."""
    base = simulated_site()
    copies = -(-count // len(base.rsus))
    crossings = tuple(_moved(base.crossings[0], copy, policy) for copy in range(copies))
    units = []
    for number in range(count):
        copy, sees = divmod(number, len(base.rsus))
        rsu = _renamed(base.rsus[sees], number, crossings[copy].id)
        units.append(FleetUnit(rsu, crossings[copy].origin, sees, copy / copies))
    return Site(crossings, tuple(unit.rsu for unit in units)), tuple(units)


def scans_of(scenario: str, seed: int, seconds: float) -> tuple[Scan, ...]:
    """What the crossing's units find in a simulated drive, in order of time; errors as `simulate` raises them."""
    simulation = simulate(scenario, seed, seconds, cameras=False)
    info = simulation.describe()
    topics = {rsu_objects(rsu.name): i for i, rsu in enumerate(info.site.rsus)}
    events: list[Event] = [event for event in progress(simulation, "simulating", total=len(simulation)) if event.topic in topics]
    scans = [Scan(event.time_ns - info.start_ns, topics[event.topic], event.payload) for event in events]  # type: ignore[arg-type]
    return tuple(sorted(scans, key=lambda scan: scan.after_ns))


def site_toml(site: Site) -> str:
    """A site as the TOML that `read_site` reads."""
    lines: list[str] = []
    for table, rows in site.to_dict().items():
        for row in rows:
            lines += [f"[[{table}]]", *(f"{key} = {_toml(value)}" for key, value in row.items()), ""]
    return "\n".join(lines)


def _moved(crossing: Crossing, copy: int, policy: str) -> Crossing:
    column, row = divmod(copy, _COLUMN)
    origin = crossing.origin
    moved = GeoPoint(origin.latitude_deg + row * SPACING_DEG, origin.longitude_deg + column * SPACING_DEG, origin.altitude_m)
    return replace(crossing, id=crossing.id if copy == 0 else f"{crossing.id}-{copy + 1}", origin=moved, policy=policy)


def _renamed(rsu: Rsu, number: int, crossing: str) -> Rsu:
    name, pose = f"rsu-{number + 1}", rsu.map_from_rsu
    return Rsu(name, crossing, _FIRST_STATION + number, f"{_ADDRESS_PREFIX:04x}{_FIRST_ADDRESS + number:012x}", "",
               SE3("map", name, pose.rotation, pose.translation_m))


def _toml(value: object) -> str:
    """Strings, numbers and lists as TOML has them; an unknown altitude counts as 0."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return "0.0" if value is None else repr(value)
