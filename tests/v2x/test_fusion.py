from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs import arrow
from data_specs.messages import RoadsideMessage, StationMessage
from data_specs.pose import SE3
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, ROADSIDE_OBJECTS, RSU_HEALTH, TopicInfo
from tests.v2x.scene import ORIGIN, START_NS, TICK_NS, crossing_events, info, roadside_event, station_event, vehicle_event
from v2x.codecs import decode, encode
from v2x.fusion import FusionConfig, FusionState, accept, config_for, finish, fuse_all, roadside_in_map
from v2x.geodesy import geo_from_map

STRICT = config_for(info(), in_order=False)
EAGER = config_for(info(), in_order=True)
EVENTS = crossing_events()


def tracks_of(events):
    """Tracks by time, as the bytes a bus would carry."""
    return [(event.time_ns, arrow.dumps(event.payload)) for event in events if event.topic == FUSED_TRACKS]


def publisher_of(event):
    return event.payload.header.publisher if isinstance(event.payload, RoadsideMessage) else "vehicle"


def changed(event, **fields):
    return replace(event, payload=replace(event.payload, **fields))


EXPECTED = tracks_of(fuse_all(EVENTS, STRICT))


@settings(max_examples=8)
@given(st.lists(st.integers(0, STRICT.lateness_ns // 2), min_size=len(EVENTS), max_size=len(EVENTS)))
def test_any_arrival_within_the_lateness_bound_gives_the_same_tracks_byte_for_byte(delays_ns):
    arrival = sorted(zip(EVENTS, delays_ns), key=lambda row: row[0].time_ns + row[1])
    assert tracks_of(fuse_all([event for event, _ in arrival], STRICT)) == EXPECTED


@settings(max_examples=8)
@given(st.tuples(*[st.integers(0, STRICT.lateness_ns // 2)] * 3))
def test_sources_in_their_own_order_give_the_same_tracks_without_the_wait(delays_ns):
    delay_ns = dict(zip(("vehicle", "rsu-1", "rsu-2"), delays_ns))
    arrival = sorted(EVENTS, key=lambda event: event.time_ns + delay_ns[publisher_of(event)])
    assert tracks_of(fuse_all(arrival, EAGER)) == EXPECTED


def test_received_times_change_no_track():
    moved = [changed(event, header=replace(event.payload.header, received_ns=1)) if publisher_of(event) != "vehicle" else event
             for event in EVENTS]
    assert tracks_of(fuse_all(moved, STRICT)) == EXPECTED


def test_tracks_come_at_the_vehicles_times_and_hold_what_only_the_roadside_sees():
    fused = [event for event in fuse_all(EVENTS, STRICT) if event.topic == FUSED_TRACKS]
    assert [event.time_ns for event in fused] == [START_NS + tick * TICK_NS for tick in range(30)]
    last = fused[-1].payload
    assert len(last) == 3 and (last.score > 0.5).all()
    assert (last.measured_ns == fused[-1].time_ns).all()
    hidden = np.array([-15.0, 30.0]) + np.array([0.0, -6.0]) * 2.9
    assert np.linalg.norm(last.boxes.center_m[:, :2] - hidden, axis=1).min() < 0.5


def test_an_event_beyond_the_bound_is_dropped_and_counted():
    state = FusionState.start()
    late = roadside_event("rsu-1", START_NS, [[0.0, 0.0]])
    for event in [*EVENTS[3:60], late]:
        state, _ = accept(state, event, STRICT)
    assert state.late == 1
    assert state.health["rsu-1"].refused == 1


def test_a_copy_of_a_message_still_held_counts_once():
    state = FusionState.start()
    for event in [EVENTS[0], EVENTS[1], EVENTS[1]]:
        state, _ = accept(state, event, STRICT)
    assert (state.repeated, len(state.held)) == (1, 2)


def test_segments_of_one_time_are_one_observation():
    whole = [vehicle_event(START_NS + i * TICK_NS, []) for i in range(8)]
    parts = [roadside_event("rsu-1", START_NS + i * TICK_NS, [[10.0 * segment, 0.0]], segment=segment)
             for i in range(8) for segment in (0, 1)]
    out = fuse_all(sorted([*whole, *parts], key=lambda event: event.time_ns), STRICT)
    assert [len(event.payload) for event in out if event.topic == ROADSIDE_OBJECTS] == [2] * 8
    assert len([event for event in out if event.topic == FUSED_TRACKS][-1].payload) == 2


def test_a_unit_whose_clock_runs_ahead_makes_nobody_else_late():
    state = FusionState.start()
    for event in EVENTS:
        if publisher_of(event) == "rsu-2":
            event = roadside_event("rsu-2", event.time_ns + 3_600 * 10**9, [[50.0, 50.0]])
        state, _ = accept(state, event, STRICT)
    assert state.late == 0
    assert state.last_output_ns is not None and state.last_output_ns > START_NS + 20 * TICK_NS


def test_without_a_vehicle_the_roadside_sets_the_times():
    config = config_for(replace(info(), topics={ROADSIDE_MESSAGES: TopicInfo("RoadsideMessage", 12)}), in_order=False)
    out = fuse_all([roadside_event("rsu-1", START_NS + i * TICK_NS, [[0.0, 0.0]]) for i in range(12)], config)
    assert len(tracks_of(out)) == 12


def test_health_is_reported_once_a_second_of_event_time():
    reports = [event.payload for event in fuse_all(crossing_events(ticks=35), STRICT) if event.topic == RSU_HEALTH]
    assert len(reports) in (6, 7, 8)
    last = reports[-1]
    assert (last.rsu, last.refused) == ("rsu-2", 0)
    assert last.rate_hz == pytest.approx(10.0) and last.age_p50_ms == pytest.approx(80.0)


def test_a_message_from_elsewhere_is_placed_by_its_reference_position():
    event = roadside_event("rsu-1", START_NS, [[1.0, 2.0]])
    [place] = geo_from_map(ORIGIN, np.array([[40.0, -30.0, 0.0]]))
    objects = roadside_in_map(replace(event.payload, position=place), ORIGIN)
    np.testing.assert_allclose(objects.boxes.center_m[0], [41.0, -28.0, 0.8], atol=1e-3)
    assert (objects.boxes.frame, objects.source) == ("map", "rsu-1")


def test_a_badly_registered_unit_adds_no_second_object():
    events = crossing_events(ticks=40)
    aside = SE3.from_yaw("reference", "reference", 0.0, np.array([1.1, 1.1, 0.0]))
    shifted = [changed(event, objects=event.payload.objects.transformed(aside)) if publisher_of(event) != "vehicle" else event
               for event in events]
    last = [event for event in fuse_all(shifted, STRICT) if event.topic == FUSED_TRACKS][-1].payload
    assert (last.score > 0.3).sum() == 3
    well_measured = [[8.0 * 3.9, 0.0], [20.0, 5.0]]
    for place in well_measured:
        assert np.linalg.norm(last.boxes.center_m[:, :2] - place, axis=1).min() < 0.6


def test_nothing_in_nothing_out():
    assert fuse_all([], FusionConfig(ORIGIN)) == []
    assert finish(FusionState.start(), STRICT)[1] == []


SPEAKER_M, SPEAKER_MPS = np.array([30.0, -20.0]), np.array([0.0, 5.0])


def spoken(every_ticks=2, ticks=30):
    """A car that no sensor sees and that tells where it is, 40 ms after every other of the vehicle's moments."""
    times_ns = [START_NS + tick * TICK_NS + 40_000_000 for tick in range(0, ticks, every_ticks)]
    return [station_event(77, time_ns, SPEAKER_M + SPEAKER_MPS * ((time_ns - START_NS) / 1e9), SPEAKER_MPS)
            for time_ns in times_ns]


def in_time(events):
    return sorted(events, key=lambda event: event.time_ns)


def last_tracks(events, config=STRICT):
    return [event for event in fuse_all(in_time(events), config) if event.topic == FUSED_TRACKS][-1].payload


def test_a_car_that_nobody_sees_is_tracked_by_what_it_says_of_itself():
    tracks = last_tracks([*EVENTS, *spoken()])
    there_m = SPEAKER_M + SPEAKER_MPS * 2.9
    away_m = np.linalg.norm(tracks.boxes.center_m[:, :2] - there_m, axis=1)
    assert len(tracks) == 4 and away_m.min() < 0.5
    assert np.allclose(tracks.velocity_mps[away_m.argmin()], SPEAKER_MPS, atol=0.5)


def test_a_station_that_a_sensor_sees_too_stays_one_track():
    start_m, velocity_mps = np.array([0.0, 0.0]), np.array([8.0, 0.0])
    words = [station_event(5, event.time_ns, start_m + velocity_mps * ((event.time_ns - START_NS) / 1e9) + [0.6, -0.5],
                           velocity_mps) for event in EVENTS if publisher_of(event) == "rsu-1"]
    assert len(last_tracks([*EVENTS, *words])) == 3


def test_a_stations_word_takes_nothing_from_tracks_that_it_does_not_speak_of():
    before, after = last_tracks(EVENTS), last_tracks([*EVENTS, *spoken()])
    near = [np.linalg.norm(after.boxes.center_m - place, axis=1).argmin() for place in before.boxes.center_m]
    assert np.allclose(after.existence[near], before.existence, atol=1e-3)
    assert np.allclose(after.score[near], before.score, atol=1e-6)


def test_a_station_that_does_not_say_how_it_moves_is_no_road_user():
    furniture = [station_event(15, START_NS + tick * TICK_NS, [10.0, 10.0], None) for tick in range(30)]
    assert len(last_tracks([*EVENTS, *furniture])) == 3


def test_stations_are_not_waited_for_and_are_no_roadside_units():
    alone, heard = FusionState.start(), FusionState.start()
    alone_out, heard_out, health = [], [], []
    for event in in_time([*EVENTS, *spoken(every_ticks=7)]):
        heard, new = accept(heard, event, EAGER)
        heard_out += [made.time_ns for made in new if made.topic == FUSED_TRACKS]
        health += [made.payload.rsu for made in new if made.topic == RSU_HEALTH]
        if not isinstance(event.payload, StationMessage):
            alone, new = accept(alone, event, EAGER)
            alone_out += [made.time_ns for made in new if made.topic == FUSED_TRACKS]
    assert heard_out == alone_out and set(health) == {"rsu-1", "rsu-2"}


def test_where_only_stations_speak_tracks_come_a_few_times_a_second():
    config = replace(STRICT, expected=())
    words = [station_event(5, START_NS + i * TICK_NS // 5, [0.16 * i, 0.0], [8.0, 0.0]) for i in range(100)]
    fused = [event for event in fuse_all(words, config) if event.topic == FUSED_TRACKS]
    assert 7 <= len(fused) <= 9 and all(len(event.payload) == 1 for event in fused)


@settings(max_examples=8)
@given(st.lists(st.integers(0, STRICT.lateness_ns // 2), min_size=len(EVENTS) + 15, max_size=len(EVENTS) + 15))
def test_any_arrival_of_stations_words_gives_the_same_tracks(delays_ns):
    events = [*EVENTS, *spoken()]
    arrival = sorted(zip(events, delays_ns), key=lambda row: row[0].time_ns + row[1])
    assert tracks_of(fuse_all([event for event, _ in arrival], STRICT)) == tracks_of(fuse_all(in_time(events), STRICT))


@pytest.mark.parametrize("wire_format", ["etsi-cam-1.4.1", "sae-bsm"])
def test_the_octets_of_a_standard_carry_a_hidden_car_into_the_tracks(wire_format):
    heard = []
    for event in spoken():
        sent = event.payload
        octets = encode(sent, wire_format)
        heard.append(replace(event, payload=decode(octets, wire_format, publisher="station-77",
                                                   received_ns=sent.header.received_ns)))
    tracks = last_tracks([*EVENTS, *heard])
    assert np.linalg.norm(tracks.boxes.center_m[:, :2] - (SPEAKER_M + SPEAKER_MPS * 2.9), axis=1).min() < 0.5
