from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

import roadweave

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(roadweave.app, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout


def test_keys_are_made_and_shown(tmp_path):
    made = json.loads(run("keys", "make", str(tmp_path / "keys"), "--units", "rsu-a, rsu-b", "--json"))["certificates"]
    assert [Path(path).name for path in made] == ["root.oer", "authority.oer", "rsu-a.oer", "rsu-b.oer"]
    unit = tmp_path / "keys" / "units" / "rsu-a.oer"
    shown = json.loads(run("keys", "show", str(unit), "--json"))
    assert shown == made[str(unit)]
    assert shown["name"] == "rsu-a" and 639 in shown["signs_psids"] and shown["issues_for_psids"] == []
    table = run("keys", "show", str(unit))
    assert "rsu-a" in table and shown["publisher"] in table


def test_no_private_key_is_ever_shown(tmp_path):
    said = run("keys", "make", str(tmp_path / "keys"))
    for path in (tmp_path / "keys" / "private").iterdir():
        secret = path.read_text(encoding="ascii").splitlines()[1]
        assert secret not in said


def test_a_folder_that_is_there_is_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, str(ROOT / "roadweave.py"), "keys", "make", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert result.returncode == 2
    assert result.stderr == f"roadweave: {tmp_path}: there already, expected a folder to be made; keys are never overwritten\n"


def test_the_front_door_loads_no_cryptography():
    told = subprocess.run([sys.executable, "-c", "import sys, roadweave; print('cryptography' in sys.modules)"],
                          capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert told.stdout == "False\n", told.stderr
