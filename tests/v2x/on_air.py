"""Units at two crossings and what they put on the air, for tests of the gateway."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList
from data_specs.site import Site
from v2x.codecs.geonet import PORT_CPM, single_hop, with_basic_header
from v2x.geodesy import geo_from_map
from v2x.rsu import RoadsideUnit
from v2x.rsu_fleet import FleetUnit, fleet
from v2x.security.psids import CPM
from v2x.security.sign import Signer, read_signer

NOW_NS = 1_790_000_000_000_000_000
SENDER = "192.0.2.7:4000"


def street(policy: str = "off", other_policy: str = "off") -> tuple[Site, tuple[FleetUnit, ...]]:
    """Two crossings with two units each; `other_policy` is of the second."""
    site, units = fleet(4, policy)
    first, second = site.crossings
    return replace(site, crossings=(first, replace(second, policy=other_policy))), units


def cpm(unit: FleetUnit, generated_ns: int = NOW_NS, objects: int = 3) -> bytes:
    """A unit's message about some cars; as many objects, as many octets."""
    rng = np.random.default_rng(objects)
    boxes = Boxes3D(unit.rsu.name, rng.uniform(-20, 20, (objects, 3)) * [1, 1, 0], np.full((objects, 3), 2.0), np.zeros(objects))
    seen = ObjectList.build(boxes, unit.rsu.name, generated_ns, np.full(objects, ObjectClass.CAR, np.uint8),
                            track_id=np.arange(objects))
    (octets,) = RoadsideUnit(unit.rsu, unit.origin).octets(seen, generated_ns)
    return octets


def common(unit: FleetUnit, generated_ns: int = NOW_NS, payload: bytes | None = None, source: str | None = None) -> bytes:
    """A unit's message with GeoNetworking's common header, as it is signed."""
    place = geo_from_map(unit.origin, unit.rsu.map_from_rsu.translation_m[None])[0]
    return single_hop(payload or cpm(unit, generated_ns), PORT_CPM, source or unit.rsu.source, place, generated_ns)


def packet(unit: FleetUnit, generated_ns: int = NOW_NS, payload: bytes | None = None, source: str | None = None) -> bytes:
    """An unsigned GeoNetworking packet."""
    return with_basic_header(common(unit, generated_ns, payload, source), secured=False)


def signed_packet(unit: FleetUnit, signer: Signer, generated_ns: int = NOW_NS, psid: int = CPM,
                  payload: bytes | None = None) -> bytes:
    """A signed GeoNetworking packet."""
    return with_basic_header(signer.sign(common(unit, generated_ns, payload), psid, generated_ns), secured=True)


def signer_of(folder: Path, unit: FleetUnit) -> Signer:
    return read_signer(folder, unit.rsu.name)
