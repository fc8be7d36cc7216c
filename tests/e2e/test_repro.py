"""`roadweave repro` as a user runs it, over drives that the commands themselves made."""
from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data_specs.errors import InputError
from perception.load import shipped_weights
from replay.drive import (
    EGO_SAMPLES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    Event,
    rsu_objects,
)
from replay.recorded import open_drive
from replay.recorder import Recorder, extend_drive
from roadweave import app
from tests.replay.drives import sample
from tests.v2x.scene import crossing_events, info, objects_at
from v2x.fuse import fuse_drive


def crossing(path):
    """A drive with the vehicle's samples and the units' objects; nothing derived yet."""
    rng = np.random.default_rng(0)
    with Recorder(path, info()) as recorder:
        for event in crossing_events(4):
            if event.topic == VEHICLE_OBJECTS:
                recorder.write(Event(event.time_ns, EGO_SAMPLES, sample(event.time_ns, rng)))
                continue
            name, said = event.payload.header.publisher, event.payload.objects
            objects = objects_at(name, name, event.time_ns, said.boxes.center_m[:, :2], sigma_m=0.3)
            recorder.write(Event(event.time_ns, rsu_objects(name), objects))
    return path


def repro(*words):
    ran = CliRunner().invoke(app, ["repro", *map(str, words), "--json"])
    return ran.exit_code, json.loads(ran.stdout) if ran.stdout else {}, ran.exception


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = crossing(tmp_path_factory.mktemp("repro") / "drive")
    assert CliRunner().invoke(app, ["perceive", str(path), "--device", "cpu", "--json"]).exit_code == 0
    fuse_drive(path)
    fuse_drive(path)  # from the messages that the first time made
    return path


def test_perceived_and_fused_topics_are_made_again_bit_by_bit(made):
    before = (made / "drive.json").read_bytes()
    code, said, _ = repro(made)
    assert (code, said["same"], said["first"]) == (0, True, None)
    assert {row["topic"]: row["by"] for row in said["topics"]} == {VEHICLE_OBJECTS: "perceive"} | dict.fromkeys(
        [ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, FUSED_TRACKS, RSU_HEALTH], "fuse")
    assert {row["topic"]: row["records"] for row in said["topics"]}[FUSED_TRACKS] == 4
    assert (made / "drive.json").read_bytes() == before


def test_a_track_that_somebody_moved_is_found(made, tmp_path):
    drive = crossing(tmp_path / "drive")
    fuse_drive(drive)
    tracks = list(open_drive(drive).events(topics=[FUSED_TRACKS]))
    moved_m = tracks[-1].payload.boxes.center_m.copy()
    moved_m[0, 0] += 0.5
    last = tracks[-1].payload
    tracks[-1] = replace(tracks[-1], payload=replace(last, boxes=replace(last.boxes, center_m=moved_m)))
    facts = {FUSED_TRACKS: open_drive(drive).info.facts[FUSED_TRACKS]}
    extend_drive(drive, tracks, [FUSED_TRACKS], facts)
    code, said, _ = repro(drive)
    assert (code, said["first"]["topic"], said["first"]["field"]) == (1, FUSED_TRACKS, "boxes.center_m[0, 0]")
    assert float(said["first"]["recorded"]) == moved_m[0, 0]


def test_other_weights_than_the_recorded_ones_are_refused(made, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(shipped_weights().read_bytes() + b"\0")
    code, _, error = repro(made, "--weights", other)
    assert code == 1 and isinstance(error, InputError), "main makes exit code 2 of it"
    assert "other.safetensors: SHA-256" in str(error) and "that made vehicle.objects; name that file with --weights" in str(error)


@pytest.mark.slow
def test_a_demo_is_simulated_and_made_again_bit_by_bit(tmp_path):
    command, out = Path(sys.executable).parent / "roadweave", tmp_path / "demo"
    demo = [command, "demo", "--seed", "3", "--seconds", "2", "--out", out, "--no-dashboard", "--json"]
    ran = subprocess.run(demo, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    ran = subprocess.run([command, "repro", out, "--json"], capture_output=True, text=True, timeout=280)
    said = json.loads(ran.stdout)
    assert (ran.returncode, said["same"]) == (0, True), said
    assert {"truth", "ego.poses", VEHICLE_OBJECTS, ROADSIDE_MESSAGES, FUSED_TRACKS} <= {row["topic"] for row in said["topics"]}
