"""Other people's codecs as oracles: they live in an environment of their own, and are run there.

`.venv-peers` has asn1tools and pycrate. Tests that need it skip, saying so, where it is absent.
"""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"


def run_peer(script: str, *arguments: str, lines: list[Any]) -> list[Any]:
    """Run a script of this folder there: one JSON value a line in, one a line out."""
    if not PYTHON.is_file():
        pytest.skip(f"no peers to compare with: {PYTHON} is missing; README.md says how to make it")
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).parent / script), *arguments], input="\n".join(map(json.dumps, lines)) + "\n",
        capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
