"""Start the dashboard: Streamlit with our routes on one port, on loopback unless told otherwise.

`serve` runs it in this process until stopped; `start` starts it as a process of its own, as the demo does.
"""
from __future__ import annotations

import errno
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from data_specs.errors import InputError, MissingExtra
from replay.console import say

HOST = "127.0.0.1"
PORT = 8501
PORTS_TRIED = 20
APP = Path(__file__).parent / "app.py"
_OPTIONS = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": True,
    "theme.base": "dark",
    "theme.primaryColor": "#56b4e9",
    "theme.backgroundColor": "#0d1117",
    "theme.secondaryBackgroundColor": "#161b22",
    "theme.textColor": "#d5dce5",
    "theme.borderColor": "#2a323d",
    "theme.baseRadius": "4px",
    "theme.baseFontSize": 14,
}


def command_line(drives: Path, *, bus_url: str | None = None, port: int = PORT, host: str = HOST,
                 live_drive: Path | None = None) -> list[str]:
    """The command that serves these drives, with this Python; it says the address on standard error once it serves."""
    command = [sys.executable, "-m", "roadweave", "dashboard", "--drives", str(drives), "--port", str(port), "--host", host]
    command += ["--bus", bus_url] if bus_url else []
    return command + (["--live-drive", str(live_drive)] if live_drive else [])


def free_port(host: str = HOST, port: int = PORT, tries: int = PORTS_TRIED) -> int:
    """The first port from `port` on that nobody listens on; 0 asks the system for any; InputError if all are taken."""
    last = ""
    for candidate in range(port, port + (tries if port else 1)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise InputError(f"{host}:{candidate}", error.strerror or str(error), "an address to listen on") from error
                last = error.strerror or "in use"
                continue
            return int(probe.getsockname()[1])
    raise InputError(f"{host}:{port}", last, f"a free port among {port} to {port + tries - 1}", "choose another with --port")


def serve(drives: Path, bus_url: str | None = None, port: int = PORT, host: str = HOST, live_drive: Path | None = None) -> None:
    """Serve the pages until stopped, saying the address on standard error once they are up.

    The Live page shows the broker at `bus_url`; without one, `live_drive` (or the first drive of the folder that holds what
    can be fused) replayed in a loop. Raises BusError for a bus that lives inside one process, InputError for a port that is
    taken or a folder that is not there.
    """
    try:
        import streamlit
    except ImportError as error:
        raise MissingExtra("the dashboard", "dashboards") from error
    from streamlit.runtime.pages_manager import PagesManager

    from dashboards.routes import routes
    from dashboards.state import prepare

    PagesManager.uses_pages_directory = False  # else a first visit to /live runs pages/live.py alone, without app.py
    chosen = free_port(host, port, tries=1)
    prepare(drives, bus_url, live_drive)
    threading.Thread(target=_announce, args=(address_of(host, chosen),), name="announce", daemon=True).start()
    streamlit.App(APP, routes=routes()).run(config={"server.port": chosen, "server.address": host, **_OPTIONS})


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that runs as a process of its own."""

    address: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(drives: Path, *, bus_url: str | None = None, port: int = PORT, host: str = HOST, live_drive: Path | None = None,
          timeout_s: float = 90.0) -> Dashboard:
    """Start a dashboard as its own process on the first free port from `port` on, and return once it answers.

    Raises InputError with what the process said if it ends, or does not answer within `timeout_s`.
    """
    chosen = free_port(host, port)
    command = command_line(drives, bus_url=bus_url, port=chosen, host=host, live_drive=live_drive)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        dashboard = Dashboard(address_of(host, chosen), process)
        deadline = time.monotonic() + timeout_s
        while not _answers(dashboard.address):
            if process.poll() is not None or time.monotonic() > deadline:
                dashboard.stop()
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise InputError(dashboard.address, lines[-1] if lines else "no answer", f"a page within {timeout_s:.0f} s")
            time.sleep(0.1)
    return dashboard


def address_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce(address: str) -> None:
    while not _answers(address):
        time.sleep(0.05)
    say(f"Roadweave dashboard: {address}")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5.0) as response:
            return response.status == 200
    except OSError:
        return False
