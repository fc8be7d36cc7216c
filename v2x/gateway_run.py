"""Runs a gateway: one process, or several that share the ports, or once over a capture; until stopped or for a time.

With several processes the kernel spreads senders over them (SO_REUSEPORT, by address and port), and each has a replay window
and a verifier of its own: a message that comes again from another address may reach another process, and is then left to the
fusion worker, which drops what it knows already.
"""
from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from data_specs.errors import DecodeError, InputError, RoadweaveError
from data_specs.site import read_signed_site
from replay.bus import Bus
from replay.console import say
from v2x.buses import open_bus
from v2x.codecs import cpm_v211
from v2x.codecs.machine import compile_now
from v2x.gateway import Gateway
from v2x.gateway_capture import datagrams_of
from v2x.gateway_heard import heard
from v2x.gateway_outlet import Outlet, Tally
from v2x.gateway_udp import RECEIVE_BUFFER_OCTETS, UdpInlet

TELL_EVERY_S = 5.0
_WAIT_S = 0.2  # how long a stop may go unnoticed
_DRAIN_S = 1.0  # how long what lies in the buffers is still read after a stop


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What a gateway is started with."""

    site: Path
    bus: str
    addresses: tuple[tuple[str, int], ...]
    trust: Path | None = None  # folder of whom to believe; None = signatures are not checked
    workers: int = 1
    seconds: float | None = None  # None = until stopped
    buffer_octets: int = RECEIVE_BUFFER_OCTETS


Told = Callable[[Tally], object]


def run_gateway(settings: GatewaySettings, stop: threading.Event, told: Told = lambda tally: None) -> Tally:
    """Receive until `stop` is set or the time is over; `told` gets the counts every few seconds.

    Raises InputError for a site, trust store or address that cannot be used, BusError where no broker answers at the start.
    """
    gateway = make_gateway(settings)
    if settings.workers > 1:
        return _run_workers(settings, stop, told)
    warm_up()
    with closing(open_bus(settings.bus)) as bus, closing(_inlet(settings)) as inlet:
        say(_listening(inlet))
        return serve(inlet, gateway, bus, stop, settings.seconds, told)


def run_capture(settings: GatewaySettings, path: Path) -> Tally:
    """Judge a capture's packets by the clock that captured them, and publish what passes."""
    gateway = make_gateway(settings)
    with closing(open_bus(settings.bus)) as bus:
        outlet = Outlet(bus, _trouble)
        for datagram in datagrams_of(path):
            outlet.take(datagram, gateway.admit(datagram.octets, datagram.source, datagram.received_ns))
        bus.flush()
    return outlet.tally


def make_gateway(settings: GatewaySettings) -> Gateway:
    """The core for a site file and a trust store; InputError names what is wrong with them."""
    site = read_signed_site(settings.site)
    if settings.trust is None:
        return Gateway(site)
    from v2x.security.store import read_trust_store
    from v2x.security.verify import Verifier

    store = read_trust_store(settings.trust)
    return Gateway(site, {crossing.id: Verifier(store, crossing.origin) for crossing in site.crossings})


def warm_up() -> None:
    """Load what reads messages fast, before the first one waits for it."""
    compile_now()
    with suppress(DecodeError):  # these two octets are no message, but read all the same
        heard(bytes([cpm_v211.PROTOCOL_VERSION, cpm_v211.MESSAGE_ID]), cpm_v211.WIRE_FORMAT, "", 0)


def serve(inlet: UdpInlet, gateway: Gateway, bus: Bus, stop: threading.Event, seconds: float | None = None,
          told: Told = lambda tally: None) -> Tally:
    """The loop of one process: read, judge, pass on; what has come before the stop is still dealt with."""
    outlet = Outlet(bus, _trouble)
    began_s = tell_s = time.monotonic()
    end_s = None if seconds is None else began_s + seconds
    while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
        _pass_on(inlet, gateway, outlet, _WAIT_S)
        if time.monotonic() - tell_s >= TELL_EVERY_S:
            tell_s = time.monotonic()
            told(_counted(outlet, inlet))
    drained_s = time.monotonic() + _DRAIN_S
    while time.monotonic() < drained_s and _pass_on(inlet, gateway, outlet, 0.0):
        pass
    with _told_errors():
        bus.flush()
    return _counted(outlet, inlet)


def _pass_on(inlet: UdpInlet, gateway: Gateway, outlet: Outlet, wait_s: float) -> int:
    """Deal with one round of datagrams; their number."""
    datagrams = inlet.receive(wait_s)
    for datagram in datagrams:
        outlet.take(datagram, gateway.admit(datagram.octets, datagram.source, datagram.received_ns))
    return len(datagrams)


def _counted(outlet: Outlet, inlet: UdpInlet) -> Tally:
    return replace(outlet.tally, refused=outlet.tally.refused.copy(), kernel_drops=inlet.drops())


def _inlet(settings: GatewaySettings) -> UdpInlet:
    return UdpInlet(settings.addresses, settings.buffer_octets, shared=settings.workers > 1)


def _listening(inlet: UdpInlet) -> str:
    return (f"listening on {', '.join(inlet.addresses)}; receive buffer {inlet.buffer_octets:,} octets a socket")


def _run_workers(settings: GatewaySettings, stop: threading.Event, told: Told) -> Tally:
    """One process a worker; their counts come through pipes and add up here."""
    if any(port == 0 for _, port in settings.addresses):
        raise InputError("--listen", "port 0", "a port that all workers can share")
    spawn = get_context("spawn")
    ends, workers = [], []
    halt = spawn.Event()
    for number in range(settings.workers):
        here, there = spawn.Pipe(duplex=False)
        worker = spawn.Process(target=_work, args=(settings, halt, there, number == 0), name=f"gateway-{number}", daemon=True)
        worker.start()
        there.close()
        ends.append(here)
        workers.append(worker)
    tallies = [Tally() for _ in workers]
    try:
        while any(worker.is_alive() for worker in workers):
            if stop.is_set():
                halt.set()
            if wait([end for end in ends if not end.closed], _WAIT_S):
                _hear(ends, tallies)
                told(sum(tallies, Tally()))
    finally:
        halt.set()
        for worker in workers:
            worker.join(5.0 + _DRAIN_S)
    _hear(ends, tallies)
    return sum(tallies, Tally())


def _hear(ends: list[Connection], tallies: list[Tally]) -> None:
    """Take the workers' newest counts; RoadweaveError where one says that it failed."""
    for i, end in enumerate(ends):
        with suppress(EOFError):
            while not end.closed and end.poll():
                said = end.recv()
                if isinstance(said, RoadweaveError):
                    raise said
                tallies[i] = said
            continue
        end.close()


def _work(settings: GatewaySettings, halt: threading.Event, pipe: Connection, speaks: bool) -> None:
    """A worker process: the first one says where it listens; the parent alone is stopped from outside."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        gateway = make_gateway(settings)
        warm_up()
        with closing(open_bus(settings.bus)) as bus, closing(_inlet(settings)) as inlet:
            if speaks:
                say(_listening(inlet))
            pipe.send(serve(inlet, gateway, bus, halt, settings.seconds, pipe.send))
    except RoadweaveError as error:
        pipe.send(RoadweaveError(str(error)))


def _trouble(text: str) -> None:
    say(f"roadweave: {text}")


@contextmanager
def _told_errors() -> Iterator[None]:
    """A bus that fails at the end is told; the counts are still given."""
    try:
        yield
    except RoadweaveError as error:
        _trouble(str(error))
