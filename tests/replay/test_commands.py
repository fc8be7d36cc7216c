import json
import subprocess
import sys
from pathlib import Path

import pytest

from replay.drive import EGO_POSES, TRUTH, VEHICLE_OBJECTS
from replay.recorder import Recorder
from tests.replay.drives import drive_info, events

ROOT = Path(__file__).resolve().parents[2]


def roadweave(*words):
    """(exit code, standard output, standard error) of one command."""
    run = subprocess.run([sys.executable, ROOT / "roadweave.py", *map(str, words)], capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "drive"
    with Recorder(path, drive_info()) as recorder:
        for event in events(4):
            if event.topic in (EGO_POSES, TRUTH, VEHICLE_OBJECTS):
                recorder.write(event)
    return path


def test_info_prints_one_json_object_and_nothing_else(drive):
    code, out, err = roadweave("info", drive, "--json")
    said = json.loads(out)
    objects = 4 * 4 + (0 + 1 + 2 + 0)  # vehicle lists of four, truths of none to two
    assert (code, err, said["objects"], said["samples"], said["messages"]) == (0, "", objects, 0, 0)
    assert {"duration_s", "topics"} <= said.keys()


def test_info_prints_a_table_with_the_notes(drive):
    code, out, _ = roadweave("info", drive)
    assert code == 0 and "vehicle.objects" in out and "a note" in out and "0.3 s, made by test" in out


def test_evaluate_prints_scores_with_their_counts(drive):
    code, out, _ = roadweave("evaluate", drive, "--protocol", "nuscenes", "--json")
    said = json.loads(out)
    assert code == 0 and said["protocol"] == "nuscenes"
    assert {"name", "value", "unit", "slice", "count"} <= said["scores"][0].keys()
    assert {"mAP", "NDS", "car_AP_2.0"} <= {score["name"] for score in said["scores"]}


@pytest.mark.parametrize("words, complaint", [
    (("info", "nowhere"), "roadweave: nowhere/drive.json: missing, expected a drive: a folder with a drive.json\n"),
    (("import", "nuscenes", "nowhere", "target"),
     "roadweave: nowhere: missing, expected an info-v2 pickle, or a folder with one\n"),
])
def test_bad_input_is_one_line_and_exit_code_2(words, complaint):
    assert roadweave(*words) == (2, "", complaint)
