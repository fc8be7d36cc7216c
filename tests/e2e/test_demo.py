"""The demo as a user runs it, and the promise that both buses give the same tracks."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_specs import arrow
from replay.bus import Bus, MemoryBus
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, TRUTH, Event
from replay.recorded import RecordedDrive, open_drive
from replay.runner import run
from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing
from v2x.bus_stage import BusFusion
from v2x.buses import open_bus
from v2x.looped import PLAYED_TOPICS

SECONDS = 10
pytestmark = pytest.mark.slow


class Kept:
    """A sink that is a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("drives") / "demo"
    words = ["demo", "--seed", "2", "--seconds", str(SECONDS), "--out", str(out), "--no-dashboard", "--json"]
    ran = subprocess.run([Path(sys.executable).parent / "roadweave", *words], capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    return out, json.loads(ran.stdout)


def tracks_through(bus: Bus, drive: RecordedDrive) -> list[tuple[int, bytes]]:
    kept = Kept()
    run(drive.events(topics=PLAYED_TOPICS), [BusFusion(bus, drive.info)], kept)
    bus.close()
    return sorted((event.time_ns, arrow.dumps(event.payload)) for event in kept.events if event.topic == FUSED_TRACKS)


def test_fusion_sees_what_is_hidden_from_the_ego_and_never_harms(demo):
    _, said = demo
    vehicle, fused = said["sources"]["vehicle"], said["sources"]["fused"]
    assert set(said["sources"]) == {"vehicle", "roadside", "fused"}
    assert vehicle["hidden"] >= 30, "a scene without hidden objects would prove nothing"
    assert vehicle["mAP"] >= 0.3 and fused["mAP"] >= vehicle["mAP"]
    assert fused["hidden_recall"] >= 0.8 and vehicle["hidden_recall"] <= 0.3


def test_the_json_has_its_shape(demo):
    out, said = demo
    assert Path(said["drive"]) == out
    for source in said["sources"].values():
        assert {"mAP", "AP", "hidden_recall", "position_error_m"} <= set(source)
    assert {"simulation", "perception", "fusion"} <= set(said["latency_ms"])
    assert all(0.0 <= stage["p50"] <= stage["p99"] for stage in said["latency_ms"].values())


def test_the_drive_holds_the_whole_line(demo):
    drive = open_drive(demo[0])
    counts = {topic: found.count for topic, found in drive.info.topics.items()}
    assert counts["ego.samples"] == counts["vehicle.objects"] == counts["truth"] == 10 * SECONDS
    assert counts["rsu.messages"] > 10 * SECONDS and counts["fused.tracks"] > 0.9 * 10 * SECONDS


def test_neither_ids_nor_rows_of_the_truth_cross_the_air(demo):
    """What units say lies near the truth, as errors have it, and their ids are no function of the truth's."""
    drive = open_drive(demo[0])
    truths = {event.time_ns: event.payload.objects for event in drive.events(topics=[TRUTH])}
    moments = np.array(sorted(truths))
    distance_m, same_id = [], []
    for event in drive.events(topics=[ROADSIDE_OBJECTS]):
        truth = truths[int(moments[np.abs(moments - event.time_ns).argmin()])]
        said = event.payload
        apart_m = np.linalg.norm(said.boxes.center_m[:, None, :2] - truth.boxes.center_m[None, :, :2], axis=2)
        nearest = apart_m.argmin(axis=1)
        distance_m.append(apart_m.min(axis=1))
        same_id.append(said.track_id == truth.track_id[nearest])
    distances_m = np.concatenate(distance_m)
    assert 0.05 < np.median(distances_m) < 1.0
    assert (distances_m < 0.01).mean() < 0.02, "a wire that counts centimetres would carry the truth to within one"
    assert (distances_m > 3.0).any(), "a unit that never errs is not a sensor"
    assert np.concatenate(same_id).mean() < 0.1


@pytest.mark.kafka
def test_both_buses_give_the_recorded_tracks(demo):
    if lacking := what_is_missing():
        pytest.skip(f"no broker here: {lacking}")
    drive = open_drive(demo[0])
    recorded = [(event.time_ns, arrow.dumps(event.payload)) for event in drive.events(topics=[FUSED_TRACKS])]
    assert tracks_through(MemoryBus(), drive) == recorded
    with DevelopmentBroker() as broker:
        assert tracks_through(open_bus(f"kafka://{broker.bootstrap}"), drive) == recorded
