from dataclasses import replace

import numpy as np

from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, Event
from tests.v2x.scene import START_NS, TICK_NS, objects_at
from v2x.resume import Published, published_by_key, renaming


def tracks(tick: int, xy_m, ids) -> Event:
    objects = objects_at("map", "fused", START_NS + tick * TICK_NS, xy_m, track_id=ids)
    return Event(START_NS + tick * TICK_NS, FUSED_TRACKS, objects)


def test_tracks_made_anew_get_the_numbers_of_the_published_ones_they_lie_on():
    published = tracks(0, [[0.0, 0.0], [20.0, 0.0]], [41, 17]).payload
    made = tracks(0, [[20.3, 0.1], [0.1, 0.0], [50.0, 0.0]], [1, 2, 3]).payload
    assert renaming(made, published, highest_id=41).of(made.track_id).tolist() == [17, 41, 44]


def test_no_two_tracks_ever_share_a_number_after_a_renaming():
    published = tracks(0, [[0.0, 0.0]], [3]).payload
    made = tracks(0, [[0.0, 0.0], [0.5, 0.0], [9.0, 9.0]], [1, 2, 3]).payload
    ids = renaming(made, published, highest_id=3).of(np.arange(1, 10)).tolist()
    assert len(set(ids)) == len(ids)
    assert ids[0] == 3


def test_detections_without_a_number_stay_without():
    published = tracks(0, [[0.0, 0.0]], [3]).payload
    assert renaming(published, published, 3).of(np.array([-1])).tolist() == [-1]


def test_nothing_is_resumed_from_an_empty_list():
    published = replace(tracks(0, [[0.0, 0.0]], [3]).payload)
    assert renaming(published[[]], published, 3).ids == {}


def test_what_was_published_is_known_by_topic_and_source_up_to_its_last_time():
    other = Event(START_NS, ROADSIDE_OBJECTS, objects_at("map", "rsu-1", START_NS, [[0.0, 0.0]]))
    found = published_by_key([("north", tracks(1, [[0.0, 0.0]], [5])), ("north", tracks(2, [], [])), ("south", other)])
    north = found["north"]
    assert [north.has(tracks(tick, [], [])) for tick in (1, 2, 3)] == [True, True, False]
    assert not north.has(other) and found["south"].has(other)
    assert north.highest_id == 5
    assert not Published().has(other)
