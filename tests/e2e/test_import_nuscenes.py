"""Importing the real nuScenes key frame as a user does."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sample_data, pytest.mark.slow]


def said_by(*words: str | Path) -> dict:
    command = [Path(sys.executable).parent / "roadweave", *words, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_key_frame_is_imported_and_described(sample_data, tmp_path):
    drive = tmp_path / "drive"
    said_by("import", "nuscenes", sample_data / "nuscenes_keyframe", drive)
    said = said_by("info", drive)
    assert {topic: facts["count"] for topic, facts in said["topics"].items()} == {"ego.poses": 1, "ego.samples": 1, "truth": 1}
    assert said["topics"]["truth"]["objects"] == 69 and said["importer"] == "nuscenes"
    assert not any("sweeps" in note for note in said["notes"])
