import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from data_specs.errors import InputError
from data_specs.messages import RoadsideMessage
from replay.drive import (
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    VEHICLE_OBJECTS,
    Event,
    rsu_objects,
)
from replay.importers.dair_v2x import DairV2xImporter
from replay.metrics.cooperative import evaluate_cooperative
from replay.recorded import open_drive
from replay.recorder import Recorder, import_drive
from tests.v2x.scene import START_NS, crossing_events, info, objects_at
from v2x.commands import app
from v2x.fuse import fuse_drive


def recorded(path, *, vehicle=True, roadside=True, ticks=12):
    """A drive with what the vehicle and the units found, without messages."""
    with Recorder(path, info()) as recorder:
        for event in crossing_events(ticks):
            if event.topic == VEHICLE_OBJECTS:
                if vehicle:
                    recorder.write(event)
            elif roadside:
                name, said = event.payload.header.publisher, event.payload.objects
                objects = objects_at(name, name, event.time_ns, said.boxes.center_m[:, :2], sigma_m=0.3)
                recorder.write(Event(event.time_ns, rsu_objects(name), objects))
    return path


def test_what_units_found_goes_through_octets_into_tracks(tmp_path):
    path = recorded(tmp_path / "drive")
    fused = fuse_drive(path)
    drive = open_drive(path)
    assert {topic: drive.info.topics[topic].count for topic in (ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, FUSED_TRACKS)} == {
        ROADSIDE_MESSAGES: 24, ROADSIDE_OBJECTS: 24, FUSED_TRACKS: 12}
    assert fused.encoded_octets > 24 * 50 and fused.dropped == 0
    messages = [event.payload for event in drive.events(topics=[ROADSIDE_MESSAGES])]
    assert {message.header.publisher for message in messages if isinstance(message, RoadsideMessage)} == {"rsu-1", "rsu-2"}
    last = list(drive.events(topics=[FUSED_TRACKS]))[-1]
    assert len(last.payload) == 3 and last.time_ns == START_NS + 1_100_000_000


def test_fusing_again_gives_the_same_and_counts_nothing_twice(tmp_path):
    path = recorded(tmp_path / "drive")
    first, again = fuse_drive(path), fuse_drive(path)
    assert (first.events, first.objects) == (again.events, again.objects)
    assert (again.encoded_octets, again.info.topics[FUSED_TRACKS].count) == (0, 12)


@pytest.mark.parametrize("given", [{"vehicle": False}, {"roadside": False}])
def test_one_side_alone_is_enough(tmp_path, given):
    path = recorded(tmp_path / "drive", **given)
    assert fuse_drive(path).objects[FUSED_TRACKS] > 0


def test_a_drive_with_nothing_to_fuse_is_refused_and_left_as_it_was(tmp_path):
    path = recorded(tmp_path / "drive", vehicle=False, roadside=False)
    before = (path / "drive.json").read_bytes()
    with pytest.raises(InputError, match=r"expected vehicle.objects, rsu.messages or units' objects"):
        fuse_drive(path)
    assert (path / "drive.json").read_bytes() == before


def test_the_command_prints_one_json_object(tmp_path):
    result = CliRunner().invoke(app, ["fuse", str(recorded(tmp_path / "drive")), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["topics"][FUSED_TRACKS]["events"] == 12
    assert printed["topics"][RSU_HEALTH]["events"] > 0


@pytest.mark.sample_data
@pytest.mark.slow
@pytest.mark.parametrize("apply_offset", [False, True])
def test_the_real_vehicle_and_unit_make_one_picture_without_doubles(sample_data, tmp_path, apply_offset):
    source, labels = sample_data / "dair_v2x_c", tmp_path / "labels"
    for folder, _, files in os.walk(source):
        for file in filter(lambda name: name.endswith(".json"), files):
            target = labels / os.path.relpath(folder, source) / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.path.join(folder, file))
    path = tmp_path / "drive"
    import_drive(DairV2xImporter(labels, apply_offset), path)
    fuse_drive(path)
    result = evaluate_cooperative(open_drive(path))
    assert result.value("recall", "fused") > 0.95 > result.value("recall", "vehicle")
    assert result.value("precision", "fused") > 0.9
    assert result.value("duplicates", "fused") <= 5
    assert np.isfinite(result.value("co_visible_distance_m"))
