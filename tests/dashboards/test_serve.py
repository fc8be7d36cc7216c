import socket
import subprocess
import sys

import pytest

from dashboards import state
from dashboards.serve import command_line, free_port, start
from data_specs.errors import BusError, InputError, SpecError
from tests.dashboards.small_drive import record_small_drive


def test_a_taken_port_is_passed_over_or_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1:{port}: Address already in use, expected a free port .* --port"):
            free_port(port=port, tries=1)
        assert free_port(port=port) > port
    assert free_port(port=0) > 0


def test_a_bus_inside_one_process_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(BusError, match="dashboard: memory: lives inside one process"):
        state.prepare(tmp_path, "memory:", None)


def test_a_folder_without_drives_is_served_and_live_says_why_it_is_empty(tmp_path):
    served = state.prepare(tmp_path, None, None)
    status = served.feed.status()
    assert status.link == "down"
    assert "holds vehicle.objects and rsu.messages; give --bus kafka://host:port" in status.trouble


def test_nothing_is_served_before_it_is_prepared():
    state._served.clear()
    with pytest.raises(SpecError, match="nothing is served yet"):
        state.served()


def test_the_command_line_names_everything(tmp_path):
    command = command_line(tmp_path, bus_url="kafka://127.0.0.1:1", port=5, live_drive=tmp_path / "a")
    assert command[0] == sys.executable
    assert command[command.index("dashboard"):] == [
        "dashboard", "--drives", str(tmp_path), "--port", "5", "--host", "127.0.0.1", "--bus", "kafka://127.0.0.1:1",
        "--live-drive", str(tmp_path / "a")]


def test_the_command_refuses_in_one_line(tmp_path):
    run = subprocess.run([sys.executable, "-m", "roadweave", "dashboard", "--drives", str(tmp_path), "--bus", "memory:"],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("roadweave: dashboard: memory: lives inside one process")


@pytest.mark.slow
def test_a_dashboard_runs_as_its_own_process_until_it_is_stopped(tmp_path):
    record_small_drive(tmp_path / "small", steps=2)
    dashboard = start(tmp_path, port=0)
    assert dashboard.address.startswith("http://127.0.0.1:")
    dashboard.stop()
    assert dashboard.process.poll() is not None
    with pytest.raises(InputError, match="expected a folder of drives"):
        start(tmp_path / "nowhere", port=0)


def test_no_part_of_the_dashboards_brings_torch():
    parts = ["serve", "routes", "state", "load", "feed", "sources", "layers", "scene", "look", "canvas", "commands"]
    check = (f"import importlib, sys\nfor name in {parts}: importlib.import_module('dashboards.' + name)\n"
             "import v2x.worker, v2x.looped, v2x.codecs\nassert 'torch' not in sys.modules, 'torch'")
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
