"""The front door: fast to open, one line and exit code 2 when something is wrong."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROADWEAVE = Path(sys.executable).parent / "roadweave"
COMMANDS = ("demo", "doctor", "import", "info", "perceive", "fuse", "evaluate", "broker", "dashboard", "replay", "record",
            "simulate", "train")
HEAVY = ("torch", "open3d", "numba", "streamlit", "kafka", "scipy", "mcap", "pandas")


def roadweave(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROADWEAVE, *words], capture_output=True, text=True, timeout=60)


def test_help_names_the_commands_of_every_floor_and_loads_nothing_heavy():
    probe = f"""
import sys
sys.argv = ["roadweave", "--help"]
import roadweave
try:
    roadweave.main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert ran.stderr.strip() == "[]"
    for command in COMMANDS:
        assert f" {command} " in ran.stdout, command


@pytest.mark.parametrize("words, complaint", [
    (["info", "no-such-drive"], "no-such-drive"),
    (["import", "kitti", "no-such-folder", "drive"], "no-such-folder"),
    (["import", "pcap", "no-such-file", "drive"], "no-such-file"),
    (["replay", "no-such-drive", "--bus", "memory:"], "no-such-drive"),
    (["record", "drive", "--bus", "memory:"], "memory:"),
    (["demo", "--bus", "carrier-pigeon:", "--no-dashboard"], "carrier-pigeon"),
    (["demo", "--scenario", "moon", "--no-dashboard"], "moon"),
])
def test_an_error_is_one_line_and_exit_code_2(words, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = roadweave(*words)
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == "" and ran.stderr.startswith("roadweave: ") and len(ran.stderr.splitlines()) == 1
    assert complaint in ran.stderr
    assert list(tmp_path.iterdir()) == [], "nothing half-written is left"


def test_debug_shows_where_an_error_came_from():
    assert "Traceback" in roadweave("info", "no-such-drive", "--debug").stderr


def test_doctor_answers_in_json():
    found = json.loads(roadweave("doctor", "--json").stdout)
    assert any("torch" in json.dumps(row) for row in found.values())
