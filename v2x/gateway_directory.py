"""Who the site file knows, and which crossing a message belongs to.

A unit is named by its certificate, its GeoNetworking address (16 hex digits, or the 12 of the MAC address in it) or the IP
address that its datagrams come from, with a port or without; never by the station id that it says.
"""
from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable

from data_specs.messages import GeoPoint
from data_specs.site import Crossing, Rsu, Site
from v2x.geodesy import FLATTENING, SEMI_MAJOR_M

STRICTNESS = ("off", "preferred", "required")
_MAC_DIGITS = 12
_E2 = FLATTENING * (2 - FLATTENING)


class Directory:
    """The site's units and crossings, ready to be asked for each message."""

    def __init__(self, site: Site) -> None:
        self._crossings = {crossing.id: crossing for crossing in site.crossings}
        self._areas = [_Area(crossing) for crossing in site.crossings]
        self._by_name: dict[str, Rsu] = {}
        for rsu in site.rsus:
            for name in (rsu.name, _spelled(rsu.source), rsu.certificate.lower()):
                if name:
                    self._by_name[name] = rsu
        policies = {crossing.policy for crossing in site.crossings}
        self.strictest = strictest(policies)
        self.laxest = min(policies, key=STRICTNESS.index, default="off")

    def unit(self, *names: str) -> Rsu | None:
        """The unit that goes by the first of these names that is known."""
        for name in names:
            rsu = self._by_name.get(name)
            if rsu is None and len(name) == 16:
                rsu = self._by_name.get(name[-_MAC_DIGITS:])
            if rsu is not None:
                return rsu
        return None

    def crossing_at(self, place: GeoPoint | None) -> Crossing | None:
        """The crossing whose polygon holds a place; None where none does, or the place is not known."""
        if place is None:
            return None
        return next((area.crossing for area in self._areas if area.holds(place)), None)

    def crossing_of(self, rsu: Rsu | None, place: GeoPoint | None) -> tuple[Crossing | None, str]:
        """The crossing a message belongs to, its sender's before its place's, and the policy that counts.

        The policy is the stricter of both: a name of a unit at a crossing without a policy opens no door at another one.
        """
        own = None if rsu is None else self._crossings[rsu.crossing]
        there = self.crossing_at(place)
        policies = [crossing.policy for crossing in (own, there) if crossing is not None]
        return own or there, strictest(policies)


def strictest(policies: Iterable[str]) -> str:
    """The strictest of some policies; "off" where there is none."""
    return max(policies, key=STRICTNESS.index, default="off")


class _Area:
    """A crossing's polygon, asked for each message: in plain numbers, since arrays of one point cost more than they save.

    Degrees become metres by the ellipsoid's radii of curvature at the origin (NIMA TR8350.2): 1 cm off at 300 m.
    """

    def __init__(self, crossing: Crossing) -> None:
        self.crossing = crossing
        latitude = math.radians(crossing.origin.latitude_deg)
        bent = 1.0 - _E2 * math.sin(latitude) ** 2
        self._north_m = math.radians(SEMI_MAJOR_M * (1.0 - _E2) / bent**1.5)  # of a degree
        self._east_m = math.radians(SEMI_MAJOR_M / math.sqrt(bent) * math.cos(latitude))
        corners = crossing.polygon_m.tolist()
        self._sides = list(zip(corners, [*corners[1:], *corners[:1]]))
        self._reach_m = max((abs(metres) for corner in corners for metres in corner), default=0.0)

    def holds(self, place: GeoPoint) -> bool:
        """Whether the polygon holds a place: a ray to the East crosses its sides an odd number of times."""
        y = (place.latitude_deg - self.crossing.origin.latitude_deg) * self._north_m
        if not abs(y) <= self._reach_m:
            return False
        x = (place.longitude_deg - self.crossing.origin.longitude_deg) * self._east_m
        inside = False
        for (from_x, from_y), (to_x, to_y) in self._sides:
            if (from_y > y) != (to_y > y) and x < from_x + (y - from_y) / (to_y - from_y) * (to_x - from_x):
                inside = not inside
        return inside


def host_and_port(host: str, port: int) -> str:
    """How a datagram's sender is written: 192.0.2.7:4000, [2001:db8::7]:4000."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(source: str) -> str:
    """The host of an address as `host_and_port` writes it."""
    return source.rpartition(":")[0].strip("[]")


def _spelled(source: str) -> str:
    """A site file's source as senders are looked up: hex digits in lower case, an IPv6 address in its shortest form."""
    source = source.strip().lower()
    try:
        return str(ipaddress.ip_address(source.strip("[]")))
    except ValueError:
        return source
