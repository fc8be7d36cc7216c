import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from replay.bus import MemoryBus
from tests.v2x.on_air import packet, street
from v2x.broker import free_ports
from v2x.gateway import Gateway
from v2x.gateway_run import serve
from v2x.gateway_udp import UdpInlet
from v2x.rsu_run import write_site

PATIENCE_S = 60.0


def site_file(folder: Path, policy: str = "off") -> Path:
    write_site(folder / "site.toml", street(policy)[0])
    return folder / "site.toml"


def roadweave(*words: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "roadweave", "gateway", *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def of_now(count: int) -> list[bytes]:
    now_ns = time.time_ns()
    return [packet(street()[1][0], now_ns // 1_000_000 * 1_000_000 - i * 1_000_000) for i in range(count)]


def test_what_came_before_the_stop_is_still_dealt_with():
    site, _ = street()
    bus, stop = MemoryBus(), threading.Event()
    with UdpInlet([("127.0.0.1", 0)]) as inlet, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for datagram in of_now(50):
            out.sendto(datagram, ("127.0.0.1", int(inlet.addresses[0].rpartition(":")[2])))
        stop.set()
        tally = serve(inlet, Gateway(site), bus, stop)
    assert (tally.received, tally.accepted, tally.kernel_drops) == (50, 50, 0)
    assert len(bus.subscribe(["rsu.messages"]).poll()) == 50


def test_the_counts_are_told_while_it_runs(monkeypatch):
    monkeypatch.setattr("v2x.gateway_run.TELL_EVERY_S", 0.5)
    site, _ = street()
    told = []
    with UdpInlet([("127.0.0.1", 0)]) as inlet:
        serve(inlet, Gateway(site), MemoryBus(), threading.Event(), seconds=0.8, told=told.append)
    assert [tally.received for tally in told] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_workers_share_a_port_add_up_and_stop_when_asked(tmp_path, ending):
    (port,) = free_ports(1)
    process = roadweave("--site", site_file(tmp_path), "--bus", "memory:", "--listen", f"127.0.0.1:{port}", "--workers", 2,
                        "--seconds", 120, "--json")
    said = process.stderr.readline()
    assert said.startswith(f"listening on 127.0.0.1:{port}; receive buffer "), said + process.stderr.read()
    time.sleep(3.0)  # the other worker may bind a little later
    for datagram in of_now(40):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(datagram, ("127.0.0.1", port))
    time.sleep(2.0)
    process.send_signal(ending)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    counts = json.loads(out)
    assert (counts["received"], counts["accepted"]) == (40, 40)


@pytest.mark.parametrize(("words", "said"), [
    (("--bus", "memory:"), "memory: keeps all it is given, expected --seconds with it"),
    (("--bus", "memory:", "--seconds", "1", "--listen", "nowhere"), "address: 'nowhere', expected host:port"),
    (("--bus", "memory:", "--seconds", "1", "--workers", "2", "--listen", "127.0.0.1:0"), "--listen: port 0, expected a port"),
    (("--bus", "tcp://x", "--listen", "127.0.0.1:0"), "--bus: 'tcp://x', expected"),
    (("--bus", "memory:", "--pcap", "absent.pcap"), "absent.pcap: missing, expected a pcap file"),
])
def test_what_cannot_be_run_is_one_line_and_exit_code_2(tmp_path, words, said):
    process = roadweave("--site", site_file(tmp_path), *words)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("roadweave: ") and said in err


def test_a_policy_without_a_trust_store_is_named_with_its_crossings(tmp_path):
    process = roadweave("--site", site_file(tmp_path, "required"), "--bus", "memory:", "--seconds", "1")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert err.startswith("roadweave: crossing crossing: policy is not off, expected a trust store")


def test_a_port_that_is_taken_is_named(tmp_path):
    with UdpInlet([("127.0.0.1", 0)]) as inlet:
        (address,) = inlet.addresses
        process = roadweave("--site", site_file(tmp_path), "--bus", "memory:", "--seconds", "1", "--listen", address)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert err.startswith(f"roadweave: {address}: ") and "expected an address of this machine that is free" in err
