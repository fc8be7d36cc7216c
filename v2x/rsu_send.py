"""Simulated roadside units on the air: scans become messages, go wrong as asked, and are sent when they are due.

Over UDP a CPM goes in GeoNetworking and BTP, an SDSM as its MessageFrame, either of them signed if asked; on Kafka both go as a
gateway would publish them.
"""
from __future__ import annotations

import heapq
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.errors import InputError
from data_specs.messages import Header
from replay.bus import Bus
from replay.drive import ROADSIDE_MESSAGES
from replay.faults import Link, PoseBias, biased, with_ghosts
from v2x.codecs.geonet import PORT_CPM, single_hop, with_basic_header
from v2x.geodesy import geo_from_map
from v2x.records import message_headers
from v2x.rsu import LIDAR, RoadsideUnit
from v2x.rsu_fleet import FleetUnit, Scan
from v2x.security.psids import psids_of

WIRE_FORMATS = {"cpm": "etsi-cpm-2.1.1", "sdsm": "sae-sdsm"}
_TICK_NS = 100_000_000
_LONGEST_WAIT_S = 0.1  # how long a stop may go unnoticed


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with every unit, and with its way to the receiver."""

    link: Link = field(default_factory=Link)
    clock_offset_ns: int = 0  # how far the units' clocks are ahead
    bias: PoseBias = field(default_factory=PoseBias)
    ghosts: float = 0.0  # mean number of false objects in a scan


class Signs(Protocol):
    """A unit's signer: v2x/security/sign.py."""

    def sign(self, payload: bytes, psid: int, generated_ns: int) -> bytes:
        """The payload in Ieee1609Dot2Data."""
        ...


class Outlet(Protocol):
    """Where messages go."""

    def send(self, unit: FleetUnit, octets: bytes, generated_ns: int) -> None: ...
    def close(self) -> None: ...


@dataclass
class Sent:
    """What a fleet has sent."""

    messages: int = 0
    octets: int = 0  # of the messages, without what they are wrapped in
    lost: int = 0  # on purpose
    copies: int = 0  # on purpose
    worst_lag_ns: int = 0  # how far behind its time a message was sent


class UdpOutlet:
    """Datagrams to one receiver."""

    def __init__(self, host: str, port: int, wire_format: str, signers: Mapping[str, Signs]) -> None:
        """`signers` by a unit's name; a unit without one sends unsigned. InputError for a host that has no address."""
        try:
            family, _, _, _, self._address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise InputError(f"udp://{host}:{port}", str(error), "a host with an address") from error
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._geonetworking, self._signers = wire_format == WIRE_FORMATS["cpm"], signers
        self._psid = psids_of(wire_format)[0]

    def send(self, unit: FleetUnit, octets: bytes, generated_ns: int) -> None:
        self._socket.sendto(self._wrapped(unit, octets, generated_ns), self._address)

    def close(self) -> None:
        self._socket.close()

    def _wrapped(self, unit: FleetUnit, octets: bytes, generated_ns: int) -> bytes:
        content = octets
        if self._geonetworking:
            place = geo_from_map(unit.origin, unit.rsu.map_from_rsu.translation_m[None])[0]
            content = single_hop(octets, PORT_CPM, unit.rsu.source, place, generated_ns)
        signer = self._signers.get(unit.rsu.name)
        if signer is not None:
            content = signer.sign(content, self._psid, generated_ns)
        return with_basic_header(content, signer is not None) if self._geonetworking else content


class BusOutlet:
    """Records of a bus, as a gateway publishes them."""

    def __init__(self, bus: Bus, wire_format: str) -> None:
        self._bus, self._wire_format = bus, wire_format

    def send(self, unit: FleetUnit, octets: bytes, generated_ns: int) -> None:
        header = Header(unit.rsu.source, self._wire_format, generated_ns, time.time_ns(), 0, 1, octets)
        self._bus.publish(ROADSIDE_MESSAGES, octets, key=unit.rsu.crossing, time_ns=generated_ns,
                          headers=message_headers(header, unit.origin))

    def close(self) -> None:
        self._bus.flush()
        self._bus.close()


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """A message on its way."""

    at_ns: int
    number: int
    unit: FleetUnit = field(compare=False)
    octets: bytes = field(compare=False)
    generated_ns: int = field(compare=False)


class Fleet:
    """Units that send what a simulated drive shows them, over and over."""

    def __init__(self, units: Sequence[FleetUnit], scans: Sequence[Scan], wire_format: str, trouble: Trouble,
                 seed: int = 0) -> None:
        self._senders = [(unit, RoadsideUnit(unit.rsu, unit.origin, wire_format=wire_format)) for unit in units]
        self._scans, self._trouble = scans, trouble
        self._rng = np.random.default_rng(seed)

    def run(self, outlet: Outlet, stop: threading.Event, seconds: float, speed: float = 1.0) -> Sent:
        """Send for so many seconds, or until `stop` is set; what is still on its way at the end is sent when due."""
        sent, began_ns, waiting = Sent(), time.time_ns(), []
        for after_ns, unit, sender, scan in self._schedule():
            at_ns = began_ns + round(after_ns / speed)
            if at_ns - began_ns > seconds * NS_PER_S or stop.is_set():
                break
            _send_until(at_ns, waiting, outlet, sent, stop)
            sent.worst_lag_ns = max(sent.worst_lag_ns, time.time_ns() - at_ns)
            for octets, generated_ns in self.messages(unit, sender, scan, at_ns):
                self._post(waiting, sent, unit, octets, generated_ns, at_ns)
        _send_until(max((due.at_ns for due in waiting), default=0), waiting, outlet, sent, stop)
        return sent

    def messages(self, unit: FleetUnit, sender: RoadsideUnit, scan: Scan, at_ns: int) -> list[tuple[bytes, int]]:
        """The octets of a scan made at a time, with a clock and a pose as wrong as asked, and when they say they were made."""
        trouble = self._trouble
        generated_ns = at_ns + trouble.clock_offset_ns
        generated_ns -= generated_ns % NS_PER_MS
        boxes = replace(scan.objects.boxes, frame=unit.rsu.name)  # a copy of the unit that saw it
        objects = replace(scan.objects, boxes=boxes, source=unit.rsu.name, measured_ns=np.full(len(boxes), generated_ns))
        objects = biased(objects, trouble.bias)
        objects = with_ghosts(objects, trouble.ghosts, LIDAR.range_m, generated_ns, self._rng)
        return [(octets, generated_ns) for octets in sender.octets(objects, generated_ns)]

    def _schedule(self) -> Iterator[tuple[int, FleetUnit, RoadsideUnit, Scan]]:
        """Who scans when, since the start and without an end: the drive's scans again and again."""
        lap_ns = (max(scan.after_ns for scan in self._scans) // _TICK_NS + 1) * _TICK_NS
        turns = sorted(((scan.after_ns + round(unit.phase * _TICK_NS), number, unit, sender, scan)
                        for number, (unit, sender) in enumerate(self._senders) for scan in self._scans if scan.unit == unit.sees),
                       key=lambda turn: turn[:2])
        lap = 0
        while turns:
            for after_ns, _, unit, sender, scan in turns:
                yield lap * lap_ns + after_ns, unit, sender, scan
            lap += 1

    def _post(self, waiting: list[_Due], sent: Sent, unit: FleetUnit, octets: bytes, generated_ns: int, at_ns: int) -> None:
        arrivals_ns = self._trouble.link.arrivals_ns(at_ns, self._rng)
        sent.lost += not arrivals_ns
        sent.copies += len(arrivals_ns) > 1
        for arrival_ns in arrivals_ns:
            heapq.heappush(waiting, _Due(arrival_ns, sent.messages + len(waiting), unit, octets, generated_ns))


def _send_until(end_ns: int, waiting: list[_Due], outlet: Outlet, sent: Sent, stop: threading.Event) -> None:
    """Send what is due until a time, and wait for that time."""
    while not stop.is_set():
        now_ns = time.time_ns()
        while waiting and waiting[0].at_ns <= now_ns:
            due = heapq.heappop(waiting)
            outlet.send(due.unit, due.octets, due.generated_ns)
            sent.messages += 1
            sent.octets += len(due.octets)
        next_ns = min(end_ns, waiting[0].at_ns) if waiting else end_ns
        if next_ns <= now_ns:
            return
        time.sleep(min((next_ns - now_ns) / NS_PER_S, _LONGEST_WAIT_S))
