"""Datagrams per second through the gateway's loop on one core, unsigned and signed, and where it stops keeping up.

Every datagram is a CPM of 16 objects in GeoNetworking over UDP, from a process on another core: each is new, fresh and of one
of 64 units. The gateway checks all of it and publishes to the bus in memory, or with --bus kafka://host:port to a broker.
A rate is kept up where nothing is lost, the kernel dropped nothing and the last datagram is out within 0.25 s of being sent;
the knee is the highest such rate tried. The peer is a bare loop of recv on such a socket, which does nothing with what it gets.
Rates are also given per second of processor time, which other work on the machine does not change.
"""
from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from data_specs.clock import its_ms_from_unix_ns  # noqa: E402
from data_specs.site import Site  # noqa: E402
from replay.bus import Bus, MemoryBus  # noqa: E402
from tests.bench.bench_codecs import sixteen_objects  # noqa: E402
from tests.bench.harness import Row, report  # noqa: E402
from v2x.buses import open_bus  # noqa: E402
from v2x.codecs.geonet import PORT_CPM, single_hop, with_basic_header  # noqa: E402
from v2x.gateway import Gateway  # noqa: E402
from v2x.gateway_outlet import Tally  # noqa: E402
from v2x.gateway_run import serve, warm_up  # noqa: E402
from v2x.gateway_udp import UdpInlet  # noqa: E402
from v2x.rsu_fleet import fleet  # noqa: E402
from v2x.security.pki import make_keys  # noqa: E402
from v2x.security.psids import CPM  # noqa: E402
from v2x.security.sign import read_signer  # noqa: E402
from v2x.security.store import read_trust_store  # noqa: E402
from v2x.security.verify import Verifier  # noqa: E402

UNITS = 64
SECONDS = 2.0  # of each rate
UNSIGNED_RATES = (1000, 2000, 4000, 5000, 6000, 8000, 10_000, 12_000, 16_000)
SIGNED_RATES = (500, 1000, 2000, 2500, 3000, 4000, 5000, 6000)
TARGETS = {"unsigned": 4000, "signed": 2000}
_SETTLED_S = 0.25
_STATION_BIT, _TIME_BIT, _TIME_BITS = 16, 52, 42  # of a CPM: where stationId and referenceTime stand


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate tried."""

    rate: int
    sent: int
    tally: Tally
    cpu_s: float
    settled_s: float  # from the last datagram's sending to the end of the work

    @property
    def kept_up(self) -> bool:
        return self.tally.accepted == self.sent and self.tally.kernel_drops <= 0 and self.settled_s <= _SETTLED_S

    @property
    def per_cpu_s(self) -> float:
        return self.tally.received / self.cpu_s


def stamped(octets: bytes, station_id: int, generated_ns: int) -> bytes:
    """The CPM of another station at another time."""
    bits = 8 * len(octets)
    value = int.from_bytes(octets)
    for at, width, number in ((_STATION_BIT, 32, station_id), (_TIME_BIT, _TIME_BITS, its_ms_from_unix_ns(generated_ns))):
        shift = bits - at - width
        value = value & ~(((1 << width) - 1) << shift) | number << shift
    return value.to_bytes(len(octets))


def send(port: int, rate: int, seconds: float, keys: str, said: multiprocessing.Queue) -> None:
    """Prepare datagrams for a time to come, then send them at their times; tells how many, and when the last one went."""
    pin(-1)
    octets, (_, units) = sixteen_objects(), fleet(UNITS)
    signers = [read_signer(Path(keys), unit.rsu.name) for unit in units] if keys else []
    count = round(rate * seconds)
    start_ns = time.time_ns() + round((1.0 + count * (1.2e-3 if keys else 1e-4)) * 1e9)
    datagrams = []
    for i in range(count):
        at_ns, unit = start_ns + round(i / rate * 1e9), units[i % UNITS]
        content = single_hop(stamped(octets, unit.rsu.station_id, at_ns), PORT_CPM, unit.rsu.source, unit.origin, at_ns)
        datagrams.append(with_basic_header(signers[i % UNITS].sign(content, CPM, at_ns) if keys else content, bool(keys)))
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i, datagram in enumerate(datagrams):
        while (wait_s := (start_ns - time.time_ns()) / 1e9 + i / rate) > 0:
            time.sleep(min(wait_s, 0.002))
        out.sendto(datagram, ("127.0.0.1", port))
    said.put((count, time.monotonic()))


def pin(core: int) -> None:
    """Keep this process on one of its cores, counted from the first (0) or the last (-1)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def gateway(site: Site, keys: str) -> Gateway:
    if not keys:
        return Gateway(site)
    store = read_trust_store(Path(keys))
    return Gateway(site, {crossing.id: Verifier(store, crossing.origin) for crossing in site.crossings})


def sender(port: int, rate: int, keys: str) -> tuple[multiprocessing.Process, multiprocessing.Queue]:
    spawn = multiprocessing.get_context("spawn")
    said = spawn.Queue()
    process = spawn.Process(target=send, args=(port, rate, SECONDS, keys, said))
    process.start()
    return process, said


def tried(rate: int, keys: str, bus: Bus) -> Trial:
    """The gateway at one rate, until nothing has come for a while."""
    site, _ = fleet(UNITS, "required" if keys else "off")
    inlet, stop, result = UdpInlet([("127.0.0.1", 0)]), threading.Event(), []
    port = int(inlet.addresses[0].rpartition(":")[2])
    process, said = sender(port, rate, keys)
    watch = threading.Thread(target=lambda: (result.append(said.get(timeout=120.0)), time.sleep(_SETTLED_S), stop.set()))
    watch.start()
    cpu_s = time.process_time()
    tally = serve(inlet, gateway(site, keys), bus, stop)
    ended_s, cpu_s = time.monotonic(), time.process_time() - cpu_s
    watch.join()
    process.join()
    inlet.close()
    sent, last_s = result[0]
    return Trial(rate, sent, tally, cpu_s, max(0.0, ended_s - last_s - _SETTLED_S))


def bare_per_cpu_s(rate: int) -> float:
    """Datagrams per processor second of a loop that receives and does nothing."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind(("127.0.0.1", 0))
    process, said = sender(receiver.getsockname()[1], rate, "")
    count, cpu_s = 0, time.process_time()
    try:
        receiver.settimeout(30.0)
        while True:
            receiver.recv(65_535)
            count += 1
            receiver.settimeout(3.0)
    except TimeoutError:
        pass
    cpu_s = time.process_time() - cpu_s
    said.get(timeout=60.0)
    process.join()
    receiver.close()
    return count / cpu_s


def rows(bus_url: str, keys: str, notes: list[str]) -> Iterator[Row]:
    bare = bare_per_cpu_s(8000)
    for kind, rates, folder in (("unsigned", UNSIGNED_RATES, ""), ("signed", SIGNED_RATES, keys)):
        knee, trials = 0, []
        for rate in rates:
            bus = MemoryBus() if bus_url == "memory:" else open_bus(bus_url)
            trial = tried(rate, folder, bus)
            bus.close()
            trials.append(trial)
            notes.append(f"{kind} at {rate}/s: {trial.sent} sent, {trial.tally.accepted} accepted, kernel drops "
                         f"{trial.tally.kernel_drops}, refused {dict(trial.tally.refused)}, done {trial.settled_s:.2f} s after "
                         f"the last, processor {trial.cpu_s / (SECONDS + _SETTLED_S):.0%}")
            if trial.kept_up:
                knee = rate
            elif rate > TARGETS[kind]:
                break
        at_target = next(trial for trial in trials if trial.rate == TARGETS[kind])
        best = max(trial.per_cpu_s for trial in trials)
        yield Row(f"gateway_{kind}", best, "datagrams/CPU s", "bare recv loop", bare, best / bare)
        yield Row(f"gateway_{kind}_knee", float(knee), "datagrams/s")
        yield Row(f"gateway_{kind}_drops_at_{TARGETS[kind]}", float(at_target.tally.kernel_drops), "datagrams")


def main() -> None:
    bus_url = sys.argv[sys.argv.index("--bus") + 1] if "--bus" in sys.argv else "memory:"
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "unknown"
    pin(0)
    warm_up()
    with UdpInlet([("127.0.0.1", 0)]) as inlet:
        notes = [f"receive buffer {inlet.buffer_octets:,} octets; bus {bus_url}; machine load before: {load}"]
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        make_keys(keys, [unit.rsu.name for unit in fleet(UNITS)[1]], time.time_ns() - 3600 * 10**9)
        found = list(rows(bus_url, str(keys), notes))
    report("Gateway, one core", found, tuple(notes))


if __name__ == "__main__":
    main()
