"""The simulated drive as an importer's source."""
import hashlib
import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open3d")

from data_specs.arrays import array_fields
from data_specs.errors import InputError, MissingExtra, UnknownFormat
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.sensors import Sample
from replay.metrics.visibility import hidden_from_ego
from replay.simulate import simulate, sweep_pairs, training_pairs
from replay.simulate.scenarios import SCENARIOS

SECONDS = 0.5


def octets(payload) -> bytes:
    """All that a payload says, as bytes."""
    if isinstance(payload, Sample):
        parts = [part for cloud in payload.clouds for part in (cloud.xyz_m, cloud.intensity, cloud.ring)]
        return b"".join(part.tobytes() for part in [*parts, *(image.rgb for image in payload.images)])
    if isinstance(payload, Truth):
        return octets(payload.objects) + b"".join(getattr(payload, name).tobytes() for name in array_fields(Truth)) + repr(
            payload.attribute).encode()
    if isinstance(payload, EgoPose):
        return payload.map_from_ego.matrix().tobytes() + payload.velocity_mps.tobytes()
    assert isinstance(payload, ObjectList)
    arrays = [getattr(payload, name) for name in array_fields(ObjectList)]
    return b"".join(a.tobytes() for a in [payload.boxes.center_m, payload.boxes.size_lwh_m, payload.boxes.yaw_rad, *arrays])


def digest(events, topics=None) -> str:
    hashed = hashlib.sha256()
    for event in events:
        if topics is None or event.topic in topics:
            hashed.update(f"{event.time_ns} {event.topic}".encode() + octets(event.payload))
    return hashed.hexdigest()


@pytest.fixture(scope="module")
def events():
    return list(simulate("crossing", 5, SECONDS))


def test_the_same_seed_gives_the_same_bytes(events):
    assert digest(simulate("crossing", 5, SECONDS)) == digest(events)


def test_another_seed_or_scenario_gives_another_drive():
    drives = [simulate(name, seed, 0.1, cameras=False, roadside=False)
              for name, seed in (("crossing", 5), ("crossing", 6), ("busy", 5))]
    assert len({digest(drive) for drive in drives}) == 3


def test_leaving_out_cameras_or_roadside_units_changes_nothing_in_the_rest(events):
    roadside = {topic for topic in {event.topic for event in events} if topic.startswith("rsu.")}
    assert digest(simulate("crossing", 5, SECONDS, cameras=False), roadside) == digest(events, roadside)
    bare = simulate("crossing", 5, SECONDS, cameras=False, roadside=False)
    alone, among = ([e.payload.clouds[0].xyz_m for e in drive if e.topic == "ego.samples"] for drive in (bare, events))
    assert all(np.array_equal(a, b) for a, b in zip(alone, among, strict=True))


def test_training_pairs_are_the_drives_own_samples(events):
    sample, truth = next(training_pairs("crossing", 5, SECONDS))
    first = next(e.payload for e in events if e.topic == "ego.samples")
    assert np.array_equal(sample.clouds[0].xyz_m, first.clouds[0].xyz_m)
    assert truth.objects.boxes.frame == "map" and (truth.points_in_box >= 0).all() and (truth.pixels_visible == -1).all()
    assert len(list(training_pairs("crossing", 5, 2.0, hz=2.0))) == 4


def test_events_come_in_order_of_time_then_topic_and_as_many_as_described(events):
    keys = [(event.time_ns, event.topic) for event in events]
    drive = simulate("crossing", 5, SECONDS)
    info = drive.describe()
    assert keys == sorted(keys) and len(events) == len(drive)
    assert {topic: t.count for topic, t in info.topics.items()} == dict(Counter(event.topic for event in events))
    assert {topic: t.kind for topic, t in info.topics.items()} == {event.topic: type(event.payload).__name__ for event in events}
    assert info.start_ns == keys[0][0] and keys[-1][0] <= info.end_ns + 100_000_000
    assert set(info.facts["rsu_latency_ms"]) == {rsu.name for rsu in info.site.rsus} == {"rsu-1", "rsu-2"}


def test_truth_leaves_out_the_ego_and_knows_all_its_columns(events):
    poses = {e.time_ns: e.payload for e in events if e.topic == "ego.poses"}
    for event in events:
        if event.topic != "truth":
            continue
        truth, ego = event.payload, poses[event.time_ns].map_from_ego.translation_m
        assert np.linalg.norm(truth.objects.boxes.center_m[:, :2] - ego[:2], axis=1).min() > 1.0
        assert (truth.points_in_box >= 0).all() and (truth.pixels_visible >= 0).all() and (truth.roadside_points >= 0).all()
        assert len(set(truth.objects.track_id.tolist())) == len(truth) >= 12
        assert set(truth.attribute) <= {"vehicle.moving", "vehicle.stopped", "vehicle.parked", "pedestrian.moving",
                                        "pedestrian.standing", "cycle.with_rider"}


def test_roadside_objects_stand_in_the_units_frame_under_ids_that_are_not_the_truths(events):
    found = [event for event in events if event.topic == "rsu.rsu-1.objects"]
    assert len(found) == 5 and all(event.payload.boxes.frame == event.payload.source == "rsu-1" for event in found)
    assert all((event.payload.measured_ns == event.time_ns).all() for event in found)
    assert np.mean([event.payload.boxes.center_m[:, 2].mean() for event in found]) < -4.0  # below the mast's head


def test_the_ego_moves_as_its_velocity_says(events):
    poses = [event.payload for event in events if event.topic == "ego.poses"]
    for before, after in itertools.pairwise(poses):
        passed_s = (after.taken_ns - before.taken_ns) / 1e9
        moved = (after.map_from_ego.translation_m - before.map_from_ego.translation_m) / passed_s
        np.testing.assert_allclose(moved, before.velocity_mps, atol=0.5)


@pytest.mark.slow
def test_a_drive_has_objects_that_only_the_road_sees():
    hidden, ego = 0, np.zeros(3)
    for event in simulate("crossing", 1, 6.0):
        if event.topic == "ego.poses":
            ego = event.payload.map_from_ego.translation_m
        elif event.topic == "truth":
            hidden += int(hidden_from_ego(event.payload, ego).sum())
    assert hidden >= 30


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(UnknownFormat, match=f"'motorway', expected one of {', '.join(SCENARIOS)}"):
        simulate("motorway")


@pytest.mark.parametrize(("arguments", "message"), [
    ({"seconds": 0.0}, "seconds: 0, expected more than 0"), ({"seconds": float("nan")}, "seconds: nan"),
    ({"seed": -1}, "seed: -1, expected 0")])
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        simulate("crossing", **arguments)


def test_a_rate_that_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="hz: 0, expected more than 0"):
        training_pairs(hz=0.0)


def test_without_the_ray_caster_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("replay.simulate.scene.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs the extra \[simulate\]"):
        simulate()


def test_sweep_pairs_are_moments_of_the_drive_with_the_samples_before_them():
    drive = [event.payload for event in simulate("crossing", 5, 1.1, roadside=False) if event.topic == "ego.samples"]
    (sample, earlier, truth), = list(sweep_pairs("crossing", 5, 1.1, 1.0))[1:]
    assert octets(sample).startswith(octets(drive[10])) and len(sample.images) == 6
    assert [octets(before) for before in earlier] == [octets(replace(drive[tick], images=())) for tick in (8, 5)]
    assert (truth.pixels_visible >= 0).all() and truth.objects.boxes.frame == "map"


def test_late_pictures_stand_in_the_sample_that_they_were_taken_with():
    pairs = list(sweep_pairs("crossing", 5, 14.0, 1.0, late_images=True))
    pictured = [next(s for s in (sample, *earlier) if s.images) for sample, earlier, _ in pairs]
    late = [(sample.taken_ns - taken.taken_ns) // 100_000_000 for (sample, _, _), taken in zip(pairs, pictured)]
    assert set(late) <= {0, 1, 2, 3} and len(set(late)) > 1
    assert all(image.taken_ns == taken.taken_ns for taken in pictured for image in taken.images)


def test_sweep_pairs_keep_half_a_second_apart():
    with pytest.raises(InputError, match="hz: 5, expected more than 0 and at most 2"):
        next(sweep_pairs(hz=5.0))
