"""What is installed and found on this machine, and what to do about what is missing. Imports none of it, so it is quick."""
from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from replay.console import print_json, print_table

OK, MISSING, OFF = "ok", "missing", "off"  # off: there, or not needed, but not in use now
PYTHON_VERSION = (3, 11)
JAVA_VERSION = 17
WHAT_FOR = {
    "base": "drives, codecs, replay, metrics", "kafka": "the Kafka bus", "perception": "the network (torch)",
    "simulate": "the simulator (ray casting)", "dashboards": "the dashboard", "mmdet3d": "agreement tests with mmdetection3d",
    "dev": "tests and checks",
}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(?:;.*extra == [\"']([^\"']+)[\"'])?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for."""

    part: str
    state: str  # OK, MISSING or OFF
    found: str
    remedy: str  # what to do; "" where nothing need be done


def examine(broker_jars: Path | None = None, broker_port: int = 29092) -> list[Finding]:
    """Look for everything Roadweave can use; `broker_jars` is where the development broker keeps its jars."""
    root = Path(__file__).resolve().parent.parent
    return [_python(), *_extras(), _device(), _java(), *_jars(broker_jars), _broker(broker_port), _browser(), _weights(),
            _sample_data(root)]


def show(findings: list[Finding], as_json: bool) -> None:
    """Print the findings: a table with what to do under it, or {"ok", "findings": [...]}."""
    needed = [finding for finding in findings if finding.state == MISSING]
    if as_json:
        print_json({"ok": not needed, "findings": [asdict(finding) for finding in findings]})
        return
    print_table("roadweave doctor", ["part", "state", "found"], [(f.part, f.state, f.found) for f in findings],
                [f"{f.part}: {f.remedy}" for f in findings if f.remedy])


def _python() -> Finding:
    version = platform.python_version()
    right = tuple(map(int, platform.python_version_tuple()[:2])) >= PYTHON_VERSION
    want = ".".join(map(str, PYTHON_VERSION))
    return Finding("python", OK if right else MISSING, version, "" if right else f"install Python {want} or newer")


def _extras() -> Iterator[Finding]:
    """One finding for the base and for each extra, with the versions that are installed."""
    try:
        requirements = importlib.metadata.requires("roadweave") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("roadweave", MISSING, "not installed here", "run 'make setup', or pip install .")
        return
    names: dict[str, list[str]] = defaultdict(list)
    for requirement in requirements:
        parsed = _REQUIREMENT.match(requirement)
        if parsed:
            names[parsed[3] or "base"].append(parsed[1])
    for extra, packages in names.items():
        versions = {package: _version(package) for package in packages}
        lacking = [package for package, version in versions.items() if version is None]
        found = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        what = f"[{extra}] {WHAT_FOR.get(extra, '')}".rstrip()
        if not lacking:
            yield Finding(what, OK, found, "")
        elif extra == "mmdet3d":
            yield Finding(what, OFF, "not in this environment", "only for test-mmdet3d, which has its own: make setup-mmdet3d")
        else:
            lack = f"lacks {', '.join(lacking)}" + (f"; has {found}" if found else "")
            yield Finding(what, MISSING, lack, f"pip install 'roadweave{'' if extra == 'base' else f'[{extra}]'}', or make setup")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = f"CPU, {cores} cores"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("device", OK, f"{cpu}; no NVIDIA driver", "")
    listed = _output([tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]).strip()
    if not listed:
        return Finding("device", OK, f"{cpu}; nvidia-smi lists no GPU", "check the NVIDIA driver if a GPU should be there")
    return Finding("device", OK, f"{cpu}; {'; '.join(listed.splitlines())}", "")


def _java() -> Finding:
    install = f"only for a broker: apt-get install openjdk-{JAVA_VERSION}-jre-headless maven"
    home = os.environ.get("JAVA_HOME")
    java, maven = shutil.which("java", path=f"{home}/bin" if home else None), shutil.which("mvn")
    if java is None:
        return Finding("java, maven", OFF, "no java", install)
    said = _output([java, "-version"])
    version = re.search(r'version "(\d+)[^"]*"', said)
    if version is None or int(version[1]) < JAVA_VERSION:
        return Finding("java, maven", OFF, said.splitlines()[0] if said else "a java that does not answer", install)
    if maven is None:
        return Finding("java, maven", OFF, f"java {version[0][9:-1]}, no mvn", install)
    return Finding("java, maven", OK, f"java {version[0][9:-1]}, {maven}", "")


def _jars(folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        return
    jars = len(list(folder.glob("*.jar"))) if folder.is_dir() else 0
    if jars:
        yield Finding("broker jars", OK, f"{jars} in {folder}", "")
    else:
        yield Finding("broker jars", OFF, f"none in {folder}", "fetched by the first 'roadweave broker start' (54 MB)")


def _broker(port: int) -> Finding:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.3):
            return Finding("broker", OK, f"something listens on 127.0.0.1:{port}", "")
    except OSError:
        return Finding("broker", OFF, f"nothing on 127.0.0.1:{port}", "only for --bus kafka: roadweave broker start")


def _browser() -> Finding:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return Finding("browser", OK, path, "")
    return Finding("browser", OFF, "no chromium", "only for the browser tests: apt-get install chromium")


def _weights() -> Finding:
    spec = importlib.util.find_spec("perception")
    folders = [Path(place) / "weights" for place in (spec.submodule_search_locations or [] if spec else [])]
    found = sorted(path for folder in folders for path in folder.glob("*.safetensors"))
    if not found:
        return Finding("weights", MISSING, "none shipped", "install a complete Roadweave, or train some: roadweave train --help")
    return Finding("weights", OK, ", ".join(f"{path.name} ({path.stat().st_size / 1e6:.1f} MB)" for path in found), "")


def _sample_data(root: Path) -> Finding:
    folder = Path(os.environ.get("SAMPLE_DATA_DIR", root.parent / "shared" / "data"))
    if not folder.is_dir():
        return Finding("sample data", OFF, f"none at {folder}", "only for the sample_data tests: set SAMPLE_DATA_DIR")
    names = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    return Finding("sample data", OK, f"{folder}: {names}", "")


def _output(command: list[str]) -> str:
    """What a command says on both its outputs; nothing if it fails or takes over 5 s."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout + run.stderr
