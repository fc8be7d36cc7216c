"""Puts a fleet of simulated roadside units on the air: from what a user asked for to messages sent."""
from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from data_specs.clock import NS_PER_MS
from data_specs.errors import InputError, UnknownFormat
from data_specs.site import POLICIES, Site
from replay.console import say
from replay.faults import Link, PoseBias
from v2x.buses import KAFKA, open_bus
from v2x.gateway_udp import parse_address
from v2x.rsu_fleet import FleetUnit, fleet, scans_of, site_toml
from v2x.rsu_send import WIRE_FORMATS, BusOutlet, Fleet, Outlet, Sent, Trouble, UdpOutlet
from v2x.security.sign import Signer, read_signer

UDP = "udp://"
LAP_S = 20.0  # of the simulated drive that is sent over and over: rays are cast once, before anything is sent


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """What `roadweave rsu` is started with."""

    to: str
    scenario: str
    count: int
    wire: str
    clock_offset_ms: float
    pose_bias_m: float
    loss: float
    duplicate: float
    delay_ms: float
    jitter_ms: float
    false_objects: float
    sign: Path | None  # folder of keys
    site: Path | None  # site file to write
    policy: str  # of the crossings in it
    speed: float
    seconds: float
    seed: int

    def __post_init__(self) -> None:
        if self.wire not in WIRE_FORMATS:
            raise UnknownFormat("--format", repr(self.wire), f"one of {', '.join(WIRE_FORMATS)}")
        if not self.to.startswith((UDP, KAFKA)):
            raise UnknownFormat("--to", repr(self.to), f"{UDP}host:port or {KAFKA}host:port[,host:port]")
        if self.policy not in POLICIES:
            raise UnknownFormat("--policy", repr(self.policy), f"one of {', '.join(POLICIES)}")
        if self.sign is not None and not self.to.startswith(UDP):
            raise InputError("--sign", self.to, f"{UDP}host:port: a bus carries messages without their envelope")

    @property
    def trouble(self) -> Trouble:
        return Trouble(Link(self.loss, self.duplicate, self.delay_ms, self.jitter_ms), round(self.clock_offset_ms * NS_PER_MS),
                       PoseBias(y_m=self.pose_bias_m), self.false_objects)


def run_fleet(settings: FleetSettings, stop: threading.Event) -> Sent:
    """Simulate, then send until `stop` is set or the time is over; a site file is written before anything is sent.

    Raises MissingExtra without a ray caster, MissingInput without a unit's key, BusError where no broker answers.
    """
    trouble = settings.trouble
    site, units = fleet(settings.count, settings.policy)
    signers = {} if settings.sign is None else {unit.rsu.name: read_signer(settings.sign, unit.rsu.name) for unit in units}
    with closing(_outlet(settings, signers)) as outlet:
        if settings.site is not None:
            write_site(settings.site, with_certificates(site, signers))
        sender = _fleet(settings, units, trouble)
        say(f"{settings.count} units send to {settings.to}")
        return sender.run(outlet, stop, settings.seconds, settings.speed)


def with_certificates(site: Site, signers: Mapping[str, Signer]) -> Site:
    """The site with the digest of each signing unit's certificate."""
    return replace(site, rsus=tuple(
        replace(rsu, certificate=signers[rsu.name].publisher) if rsu.name in signers else rsu for rsu in site.rsus))


def write_site(path: Path, site: Site) -> None:
    """Write a site file; the one already there stays until the new one is whole."""
    aside = path.with_name(f".{path.name}.making")
    aside.write_text(site_toml(site), encoding="utf-8")
    aside.replace(path)


def _fleet(settings: FleetSettings, units: Sequence[FleetUnit], trouble: Trouble) -> Fleet:
    scans = scans_of(settings.scenario, settings.seed, min(LAP_S, settings.seconds * settings.speed))
    return Fleet(units, scans, WIRE_FORMATS[settings.wire], trouble, settings.seed)


def _outlet(settings: FleetSettings, signers: Mapping[str, Signer]) -> Outlet:
    wire_format = WIRE_FORMATS[settings.wire]
    if settings.to.startswith(UDP):
        return UdpOutlet(*parse_address(settings.to.removeprefix(UDP)), wire_format, signers)
    return BusOutlet(open_bus(settings.to), wire_format)
