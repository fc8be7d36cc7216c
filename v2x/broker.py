"""A development Kafka on loopback: Apache Kafka in KRaft mode, one node or three, in the background.

A cluster lives in a folder: `cluster.json` says its nodes, each node has its properties, its log and its data, so a stopped
cluster starts again with what it held. Where the program comes from: v2x/broker_jars.py.
"""
from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_specs.errors import BusError
from v2x.broker_jars import fetch_jars, java_command

DEFAULT_PORT = 29092
CONTROLLER_PORT_OFFSET = 10  # a node's controller listens this far above its clients' port
STARTED = "Kafka Server started"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # small and quick to start, not fast at length


@dataclass(frozen=True, slots=True)
class Node:
    """One broker and controller of a cluster."""

    id: int  # from 1
    port: int
    controller_port: int
    folder: Path

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    def pid(self) -> int | None:
        """The process that runs this node, or None. A process that merely inherited the number does not count."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if _runs(pid, self.properties) else None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes of one folder."""

    id: str  # Kafka's cluster id: 22 characters of URL-safe base64
    nodes: tuple[Node, ...]

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)


def start_cluster(folder: Path, nodes: int = 1, port: int = DEFAULT_PORT) -> Cluster:
    """Start a cluster of 1 or 3 nodes and wait until it serves; the one that already runs in `folder` if it is the same.

    Raises BusError where Java or the jars are missing, a port is taken, another cluster runs in the folder, or a node does not
    come up: then its last log lines are told, and nothing is left running.
    """
    if nodes not in (1, 3):
        raise BusError(f"a broker of {nodes} nodes was asked for, expected 1 or 3")
    if not 1024 <= port <= 65535 - CONTROLLER_PORT_OFFSET - nodes:
        raise BusError(f"port {port} was asked for, expected 1024 to {65535 - CONTROLLER_PORT_OFFSET - nodes}")
    ports = [(port + i, port + CONTROLLER_PORT_OFFSET + i) for i in range(nodes)]
    running = read_cluster(folder)
    if running is not None and any(node.pid() for node in running.nodes):
        if [node.port for node in running.nodes] == [p for p, _ in ports] and all(node.pid() for node in running.nodes):
            return running
        raise BusError(f"{folder}: a {len(running.nodes)}-node broker runs at {running.bootstrap}; stop it first: "
                       f"roadweave broker stop --dir {folder}")
    return _start(folder, ports)


def stop_cluster(folder: Path) -> int:
    """End the nodes that run in `folder` and wait for them; how many there were. What they hold stays on disk."""
    cluster = read_cluster(folder)
    return 0 if cluster is None else stop_nodes(cluster.nodes)


def read_cluster(folder: Path) -> Cluster | None:
    """The cluster last started in `folder`, running or not; None where there never was one."""
    try:
        said = json.loads((folder / "cluster.json").read_text())
        home = folder / said["home"]
        return Cluster(said["id"], tuple(
            Node(n["id"], n["port"], n["controller_port"], (home / f"node-{n['id']}").resolve()) for n in said["nodes"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BusError(f"{folder / 'cluster.json'}: {type(error).__name__} {error}, expected what 'roadweave broker start' "
                       "wrote; remove the folder and start anew") from error


def stop_nodes(nodes: Sequence[Node]) -> int:
    """Ask the nodes to end, in turn so that the last ones still find a controller, and kill what has not by the deadline."""
    stopped = 0
    for node in nodes:
        pid = node.pid()
        if pid is not None:
            stopped += 1
            majority = 2 * sum(other.pid() is not None for other in nodes) > len(nodes)
            os.kill(pid, signal.SIGTERM)
            # Without a majority of controllers a node waits in vain for leave to go; all it holds is with the kernel by then.
            if not _wait_until_gone(node, STOP_TIMEOUT_S if majority else 2.0):
                os.kill(pid, signal.SIGKILL)
                _wait_until_gone(node, 5.0)
        node.pid_file.unlink(missing_ok=True)
    return stopped


class DevelopmentBroker:
    """A cluster on free ports in a temporary folder, for tests and benchmarks: gone at the end of a `with` block.

    On Linux it ends, too, when the thread that started it does, however that comes about.
    """

    def __init__(self, nodes: int = 1, settings: Callable[[Node], Mapping[str, object]] | None = None) -> None:
        """`settings` adds to a node's properties, or overrules them."""
        self._size, self._settings = nodes, settings

    def __enter__(self) -> DevelopmentBroker:
        self._folder = Path(tempfile.mkdtemp(prefix="roadweave-kafka-"))
        try:
            free = free_ports(2 * self._size)
            self.cluster = _start(self._folder, list(zip(free[:self._size], free[self._size:])), True, self._settings)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        stop_nodes(self.cluster.nodes)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def bootstrap(self) -> str:
        return self.cluster.bootstrap

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    def kill(self, node: int = 1) -> None:
        """End one node at once, as a crash would."""
        chosen = self.cluster.nodes[node - 1]
        pid = chosen.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _wait_until_gone(chosen, 5.0)

    def restart(self, node: int = 1) -> None:
        """Start a node that was killed again, on its ports and its data."""
        chosen = self.cluster.nodes[node - 1]
        _launch(chosen, fetch_jars(), ends_with_parent=True)
        _wait_until_up((chosen,))


def free_ports(n: int) -> list[int]:
    """n loopback ports that nobody listens on; held open together, so they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _start(folder: Path, ports: Sequence[tuple[int, int]], ends_with_parent: bool = False,
           settings: Callable[[Node], Mapping[str, object]] | None = None) -> Cluster:
    java_command()
    jars = fetch_jars()
    for port in (p for pair in ports for p in pair):
        _require_free(port)
    cluster = _prepare(folder, ports, settings)
    _format(cluster, jars)
    try:
        for node in cluster.nodes:
            _launch(node, jars, ends_with_parent)
        _wait_until_up(cluster.nodes)
    except BaseException:  # an interrupt, too, leaves nothing running
        for node in cluster.nodes:
            if (pid := node.pid()) is not None:
                os.kill(pid, signal.SIGKILL)
                _wait_until_gone(node, 5.0)
        raise
    return cluster


def _prepare(folder: Path, ports: Sequence[tuple[int, int]],
             settings: Callable[[Node], Mapping[str, object]] | None) -> Cluster:
    """Write the nodes' properties. Clusters of one and of three nodes keep their data apart: neither can read the other's."""
    home = folder / f"cluster-of-{len(ports)}"
    home.mkdir(parents=True, exist_ok=True)
    id_file = home / "id"
    if not id_file.exists():
        id_file.write_text("r" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22])  # "-" must not come first
    nodes = tuple(Node(i, port, controller, (home / f"node-{i}").resolve()) for i, (port, controller) in enumerate(ports, 1))
    cluster = Cluster(id_file.read_text(), nodes)
    for node in nodes:
        node.folder.mkdir(exist_ok=True)
        said = {**_properties(node, nodes), **(settings(node) if settings is not None else {})}
        node.properties.write_text("".join(f"{k}={v}\n" for k, v in said.items()))
        (node.folder / "log4j2.properties").write_text(_LOGGING)
    said = {"id": cluster.id, "home": home.name,
            "nodes": [{"id": n.id, "port": n.port, "controller_port": n.controller_port} for n in nodes]}
    (folder / "cluster.json.new").write_text(json.dumps(said))
    (folder / "cluster.json.new").replace(folder / "cluster.json")
    return cluster


def _properties(node: Node, nodes: Sequence[Node]) -> Mapping[str, object]:
    """Kafka's settings of one node; https://kafka.apache.org/documentation/#configuration"""
    copies, in_sync = (3, 2) if len(nodes) == 3 else (1, 1)
    return {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": ",".join(f"{n.id}@127.0.0.1:{n.controller_port}" for n in nodes),
        "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": node.folder / "data",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # A dead leader is replaced, and a killed node let in again, after about 2 s; with Kafka's defaults after 14.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "controller.quorum.fetch.timeout.ms": 1000,
        "controller.quorum.election.timeout.ms": 500,
    }


_LOGGING = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %m (%c)%n%throwable
"""


def _java(node: Node, jars: Path, *main: str) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={node.folder / 'log4j2.properties'}"
    return [java_command(), *_JVM, logging, "-cp", f"{jars}/*", *main]


def _format(cluster: Cluster, jars: Path) -> None:
    """Give the nodes' storage its cluster id, side by side; storage that has one already is left as it is."""
    new = [node for node in cluster.nodes if not (node.folder / "data" / "meta.properties").exists()]
    tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster.id, "-c")
    runs = [subprocess.Popen(_java(node, jars, *tool, str(node.properties)), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True) for node in new]
    said = [run.communicate()[0] for run in runs]
    for node, run, text in zip(new, runs, said):
        if run.returncode:
            raise BusError(f"{node.folder}: Kafka could not format its storage: {_what_went_wrong(text)}")


def _launch(node: Node, jars: Path, ends_with_parent: bool = False) -> None:
    command = _java(node, jars, "kafka.Kafka", str(node.properties))
    setpriv = shutil.which("setpriv")
    if ends_with_parent and setpriv is not None:  # a test that is killed outright leaves nothing behind either
        command = [setpriv, "--pdeathsig", "KILL", *command]
    with node.log.open("w") as log:
        process = subprocess.Popen(command, cwd=node.folder, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    node.pid_file.write_text(str(process.pid))
    while node.pid() is None and process.poll() is None:  # its command line is not there at once
        time.sleep(0.005)


def _wait_until_up(nodes: Sequence[Node]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        logs = {node: node.log.read_text(errors="replace") for node in nodes}
        waiting = [node for node, text in logs.items() if STARTED not in text]
        if not waiting:
            return
        for node in waiting:
            if node.pid() is None:
                raise BusError(f"{node.log}: Kafka node {node.id} ended while starting: {_what_went_wrong(logs[node])}")
        if time.monotonic() > deadline:
            raise BusError(f"{waiting[0].log}: Kafka node {waiting[0].id} did not start within {START_TIMEOUT_S:.0f} s: "
                           f"{_what_went_wrong(logs[waiting[0]])}")
        time.sleep(0.1)


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise BusError(f"port {port} of 127.0.0.1 is taken ({os.strerror(error.errno or 0)}); name another with --port, or end "
                       "what listens there") from error


def _runs(pid: int, properties: Path) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:  # our own child has ended: without this it would stay as a zombie
            return False
    except ChildProcessError:
        pass  # another process started it: whether it runs is told by /proc below
    try:
        # While a process puts another program in its place its command line is empty for a moment; a zombie's stays so.
        for _ in range(100):
            if said := Path(f"/proc/{pid}/cmdline").read_bytes():
                return str(properties).encode() in said.split(b"\0")
            time.sleep(0.001)
    except OSError:
        pass
    return False


def _wait_until_gone(node: Node, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while node.pid() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _what_went_wrong(text: str, count: int = 3) -> str:
    """On one line: a log's first error and the exceptions told with it (those after it are its echo), else its last lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if " ERROR " in line or " FATAL " in line), None)
    if first is None:
        return " | ".join(lines[-count:]) or "it said nothing"
    told = [line for line in lines[first + 1:] if "Exception" in line and " INFO " not in line]
    return " | ".join([lines[first], *told[:count - 1]])
