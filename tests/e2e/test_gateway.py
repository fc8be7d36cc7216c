"""Simulated units, the real gateway, a real Kafka and the fusion worker: what does not belong never reaches fusion."""
from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data_specs.site import Site
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, DriveInfo
from tests.v2x.on_air import cpm, packet, signed_packet, signer_of
from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing
from v2x.kafka import KafkaBus
from v2x.records import DEAD_LETTERS
from v2x.rsu_fleet import FleetUnit, fleet
from v2x.rsu_run import with_certificates, write_site
from v2x.security.pki import make_keys
from v2x.worker import FusionWorker

NS_PER_S, DAY_NS = 1_000_000_000, 24 * 3600 * 1_000_000_000
PATIENCE_S = 60.0

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def own_broker() -> Iterator[DevelopmentBroker]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker() as started:
        yield started


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """Believed units, units that nobody here knows, and believed ones whose certificates have ended."""
    folder = tmp_path_factory.mktemp("pki")
    make_keys(folder / "believed", ["rsu-1", "rsu-2"], time.time_ns() - 10 * DAY_NS)
    make_keys(folder / "foreign", ["rsu-1"], time.time_ns() - 10 * DAY_NS)
    make_keys(folder / "old", ["rsu-1"], time.time_ns() - 10 * DAY_NS, days=5)
    for kind in ("roots", "authorities"):
        for path in (folder / "old" / kind).iterdir():
            (folder / "believed" / kind / f"old-{path.name}").write_bytes(path.read_bytes())
    return folder


class RunningGateway:
    """`roadweave gateway` in a process of its own, until the block ends."""

    def __init__(self, site: Path, bus: str, trust: Path | None) -> None:
        words = ["gateway", "--site", str(site), "--bus", bus, "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen([sys.executable, "-m", "roadweave", *words, *(["--trust", str(trust)] if trust else [])],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        assert said.startswith("listening on 127.0.0.1:"), said + self.process.stderr.read()
        self.port = int(said.split(";")[0].rpartition(":")[2])

    def __enter__(self) -> RunningGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err
        self.counts = json.loads(out)

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for datagram in datagrams:
                out.sendto(datagram, ("127.0.0.1", self.port))
                time.sleep(0.01)


def street(policy: str, keys: Path, certified: bool = False) -> tuple[Site, tuple[FleetUnit, ...]]:
    site, units = fleet(2, policy)
    return (with_certificates(site, {"rsu-1": signer_of(keys / "believed", units[0])}) if certified else site), units


def messages_on(bus: KafkaBus, topic: str, count: int) -> list:
    """The topic's records from its start: `count`, or as many as come in time."""
    reader, found, end_s = bus.subscribe([topic]), [], time.monotonic() + 15.0
    while len(found) < count and time.monotonic() < end_s:
        found += reader.poll(0.5)
    found += reader.poll(1.0)
    reader.close()
    return found


def attempts(units: tuple[FleetUnit, ...], keys: Path) -> dict[str, bytes]:
    """One datagram of each kind, all of now; named by what a crossing that requires signatures says to it."""
    now_ns = time.time_ns()
    now_ns -= now_ns % 1_000_000
    signer = signer_of(keys / "believed", units[0])
    good = signed_packet(units[0], signer, now_ns)
    return {
        "accepted": good,
        "replayed": good,
        "unsigned": packet(units[1], now_ns),
        "unknown-signer": signed_packet(units[0], signer_of(keys / "foreign", units[0]), now_ns + 1_000_000),
        "expired": signed_packet(units[0], signer_of(keys / "old", units[0]), now_ns + 2_000_000),
        "bad-signature": (altered := signed_packet(units[0], signer, now_ns + 3_000_000))[:-1] + bytes([altered[-1] ^ 1]),
        "stale": signed_packet(units[0], signer, now_ns - 10 * NS_PER_S),
    }


@pytest.mark.parametrize(("policy", "let_in"), [
    ("required", ["accepted"]),
    ("preferred", ["accepted", "unsigned", "unknown-signer"]),
    ("off", ["accepted", "unsigned", "unknown-signer", "expired", "bad-signature", "stale"]),
])
def test_each_policy_lets_in_what_it_says_and_keeps_the_rest_with_the_reason(own_broker, keys, tmp_path, policy, let_in):
    site, units = street(policy, keys)
    write_site(tmp_path / "site.toml", site)
    with RunningGateway(tmp_path / "site.toml", own_broker.url, keys / "believed") as gateway:
        tried = attempts(units, keys)
        gateway.send(*tried.values())
        time.sleep(1.0)
    refused = Counter(name for name in tried if name not in let_in)
    assert gateway.counts["refused"] == refused
    assert gateway.counts["kernel_drops"] == gateway.counts["undelivered"] == 0
    bus = KafkaBus(own_broker.bootstrap)
    letters = messages_on(bus, DEAD_LETTERS, refused.total())
    assert Counter(letter.headers["reason"].decode() for letter in letters) == refused
    assert {letter.value for letter in letters} == {tried[name] for name in refused}
    assert len(messages_on(bus, ROADSIDE_MESSAGES, len(let_in))) == len(let_in)
    bus.close()


def test_signed_messages_become_tracks_and_forged_ones_among_them_do_not(own_broker, keys, tmp_path):
    site, units = street("required", keys)
    site = replace(site, rsus=site.rsus[:1])
    write_site(tmp_path / "site.toml", site)
    signer = signer_of(keys / "believed", units[0])
    forger = signer_of(keys / "foreign", units[0])
    with RunningGateway(tmp_path / "site.toml", own_broker.url, keys / "believed") as gateway:
        for _ in range(20):
            now_ns = time.time_ns() // 1_000_000 * 1_000_000
            genuine = cpm(units[0], now_ns, objects=3)
            forged = cpm(units[0], now_ns, objects=9)
            gateway.send(signed_packet(units[0], signer, now_ns, payload=genuine), packet(units[0], now_ns, forged),
                         signed_packet(units[0], forger, now_ns, payload=forged))
            time.sleep(0.08)
        time.sleep(1.0)
    assert gateway.counts["accepted"] == gateway.counts["signed"] == 20
    assert gateway.counts["refused"] == {"unsigned": 20, "unknown-signer": 20}
    bus = KafkaBus(own_broker.bootstrap)
    seen = messages_on(bus, ROADSIDE_MESSAGES, 20)
    assert {record.headers["publisher"].decode() for record in seen} == {signer.publisher}
    worker = FusionWorker(bus, DriveInfo("street", units[0].origin, 0, 0, {}, site, "test"))
    end_s = time.monotonic() + PATIENCE_S
    while worker.counts["records"] < 20 and time.monotonic() < end_s:
        worker.step(0.5)
    worker.finish()
    worker.close()
    assert worker.counts["refused"] == 0
    tracks = [record for record in messages_on(bus, FUSED_TRACKS, 1) if record.value]
    assert tracks
    assert worker.counts["tracks"] > 0
    assert worker.counts["tracks"] <= 3 * len(tracks)
    bus.close()


def test_simulated_units_reach_fusion_through_the_gateway(own_broker, keys, tmp_path):
    pytest.importorskip("open3d")
    site_path = tmp_path / "site.toml"
    write_site(site_path, street("required", keys)[0])
    with RunningGateway(site_path, own_broker.url, keys / "believed") as gateway:
        words = ["rsu", "--to", f"udp://127.0.0.1:{gateway.port}", "--count", "2", "--seconds", "2", "--json",
                 "--sign", str(keys / "believed"), "--loss", "0.2", "--duplicate", "0.2", "--jitter-ms", "30"]
        done = subprocess.run([sys.executable, "-m", "roadweave", *words], capture_output=True, text=True, timeout=240,
                              check=False)
        assert done.returncode == 0, done.stderr
        sent = json.loads(done.stdout)
        time.sleep(1.0)
    assert sent["lost"] > 0 and sent["copies"] > 0
    assert gateway.counts["received"] == sent["messages"]
    assert gateway.counts["accepted"] >= sent["messages"] - sent["copies"] - 2
    assert set(gateway.counts["refused"]) <= {"replayed", "stale"}
    bus = KafkaBus(own_broker.bootstrap)
    assert len(messages_on(bus, ROADSIDE_MESSAGES, gateway.counts["accepted"])) == gateway.counts["accepted"]
    bus.close()
