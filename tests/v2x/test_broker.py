"""A development broker starts, stops, keeps what it holds, and says in one line why it cannot."""
from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_specs.errors import BusError
from tests.v2x.test_buses import read
from v2x import broker_jars
from v2x.broker import Node, free_ports, read_cluster, start_cluster, stop_cluster
from v2x.broker_jars import fetch_jars, java_command, what_is_missing
from v2x.commands import app
from v2x.kafka import KafkaBus


@pytest.fixture
def bare_machine(monkeypatch, tmp_path) -> Path:
    """A machine whose PATH is one empty folder, with no jars yet; put programs into the folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(broker_jars, "jars_folder", lambda: tmp_path / "cache" / "jars")
    (tmp_path / "bin").mkdir()
    java_command.cache_clear()
    yield tmp_path / "bin"
    java_command.cache_clear()


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_java_the_command_to_install_it_is_told(bare_machine, tmp_path):
    with pytest.raises(BusError, match=r"needs Java 17 or newer, found none in PATH; install Java 17 \(Debian: apt-get install"):
        start_cluster(tmp_path / "kafka")
    assert "needs Java 17" in what_is_missing()


def test_an_old_java_is_refused_by_what_it_says(bare_machine):
    program(bare_machine / "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    with pytest.raises(BusError, match=r'bin/java says openjdk version "11.0.2"'):
        java_command()


def test_without_maven_the_command_to_install_it_is_told(bare_machine):
    with pytest.raises(BusError, match=r"found no mvn; install it \(Debian: apt-get install maven\)"):
        fetch_jars()


def test_what_maven_says_is_passed_on_and_nothing_half_fetched_is_left(bare_machine, tmp_path):
    program(bare_machine / "mvn", "echo '[ERROR] Could not transfer artifact: Unknown host repo.maven.apache.org'; exit 1")
    with pytest.raises(BusError, match=r"not fetch Apache Kafka 4\.\d\.\d: \[ERROR\] Could not transfer artifact: Unknown host"):
        fetch_jars()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("nodes", "port", "said"), [
    (2, 29092, "a broker of 2 nodes was asked for, expected 1 or 3"),
    (1, 80, "port 80 was asked for, expected 1024 to 65524"),
])
def test_a_cluster_that_cannot_be_is_refused(tmp_path, nodes, port, said):
    with pytest.raises(BusError, match=said):
        start_cluster(tmp_path, nodes, port)


def test_a_damaged_cluster_file_is_named(tmp_path):
    (tmp_path / "cluster.json").write_text('{"id": "x"}')
    with pytest.raises(BusError, match=r"cluster.json: KeyError 'home', expected what 'roadweave broker start' wrote"):
        read_cluster(tmp_path)


def test_a_process_that_inherited_the_number_is_not_taken_for_the_broker(tmp_path):
    home = tmp_path / "cluster-of-1"
    (home / "node-1").mkdir(parents=True)
    (home / "node-1" / "pid").write_text(str(os.getpid()))
    (tmp_path / "cluster.json").write_text(json.dumps(
        {"id": "x", "home": home.name, "nodes": [{"id": 1, "port": 1, "controller_port": 2}]}))
    assert stop_cluster(tmp_path) == 0


def test_a_node_that_puts_another_program_in_its_place_runs_all_the_while(tmp_path):
    node = Node(1, 1, 2, tmp_path)
    itself_again = 'exec sh -c "$0" "$0" "$1"'
    process = subprocess.Popen(["sh", "-c", itself_again, itself_again, str(node.properties)])
    node.pid_file.write_text(str(process.pid))
    try:
        assert all(node.pid() == process.pid for _ in range(20_000))
    finally:
        process.kill()
        process.wait()


def test_status_and_stop_of_nothing_say_so(tmp_path):
    status = CliRunner().invoke(app, ["broker", "status", "--dir", str(tmp_path), "--json"])
    assert (status.exit_code, json.loads(status.stdout)) == (1, {"running": False, "bootstrap": "", "nodes": []})
    stop = CliRunner().invoke(app, ["broker", "stop", "--dir", str(tmp_path)])
    assert (stop.exit_code, stop.stdout) == (0, f"no broker ran in {tmp_path}\n")


@pytest.fixture
def startable() -> None:
    if missing := what_is_missing():
        pytest.skip(missing)


@pytest.mark.kafka
def test_a_taken_port_is_named(startable, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BusError, match=rf"port {port} of 127.0.0.1 is taken \(Address already in use\)"):
            start_cluster(tmp_path, port=port)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_stopped_broker_starts_again_with_what_it_held(startable, tmp_path):
    port = free_ports(1)[0]
    options = ["--dir", str(tmp_path), "--port", str(port), "--json"]
    try:
        started = CliRunner().invoke(app, ["broker", "start", *options])
        assert json.loads(started.stdout) == {"bootstrap": f"127.0.0.1:{port}", "url": f"kafka://127.0.0.1:{port}", "nodes": 1}
        bus = KafkaBus(f"127.0.0.1:{port}")
        bus.publish("topic", b"kept", key="k", time_ns=1)
        bus.close()
        assert start_cluster(tmp_path, port=port) == read_cluster(tmp_path)  # runs already
        with pytest.raises(BusError, match=rf"a 1-node broker runs at 127.0.0.1:{port}; stop it first"):
            start_cluster(tmp_path, nodes=3, port=port)
        assert stop_cluster(tmp_path) == 1
        start_cluster(tmp_path, port=port)
        bus = KafkaBus(f"127.0.0.1:{port}")
        assert [r.value for r in read(bus.subscribe(["topic"]), 1)] == [b"kept"]
        bus.close()
    finally:
        stop_cluster(tmp_path)
    assert read_cluster(tmp_path).nodes[0].pid() is None


@pytest.mark.kafka
@pytest.mark.slow
def test_a_node_that_cannot_start_is_told_with_its_last_words_and_none_is_left(startable, monkeypatch, tmp_path):
    monkeypatch.setattr("v2x.broker._require_free", lambda port: None)  # as if the port were taken a moment later
    port = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", port + 2)):
        with pytest.raises(BusError, match=rf"Kafka node 3 ended while starting: .*127.0.0.1:{port + 2}.*Address already in use"):
            start_cluster(tmp_path, nodes=3, port=port)
    assert processes_of(str(tmp_path)) == []


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_a_development_broker_does_not_outlive_a_test_that_is_killed(startable):
    code = "import signal, v2x.broker as b\nwith b.DevelopmentBroker() as d:\n print(d._folder, flush=True)\n signal.pause()"
    test = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    folder = test.stdout.readline().strip()
    test.kill()
    test.wait()
    deadline = time.monotonic() + 10.0
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    shutil.rmtree(folder)
    assert left == []


def processes_of(folder: str) -> list[Path]:
    """Processes whose command line names the folder."""
    return [p for p in Path("/proc").glob("[0-9]*/cmdline") if folder.encode() in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
