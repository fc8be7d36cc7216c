import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.objects import ObjectClass
from tests.v2x.scene import START_NS, TICK_NS, objects_at
from v2x.observation import ROADSIDE, VEHICLE, observe
from v2x.tracker import TrackerConfig, TrackerState, objects_of, predict, step

CONFIG = TrackerConfig()


def watched(lists, source="vehicle", state=None, first_ns=START_NS, **given):
    """The state after a source gave these lists of places, one a tick."""
    state = TrackerState.start() if state is None else state
    for tick, xy_m in enumerate(lists):
        time_ns = first_ns + tick * TICK_NS
        objects = objects_at("map", source, time_ns, xy_m, **given)
        state = step(state, observe(objects, time_ns, source, VEHICLE if source == "vehicle" else ROADSIDE), CONFIG)
    return state


def found(state):
    return objects_of(state, "fused", CONFIG)


def test_a_steady_detection_becomes_one_sure_track_that_keeps_its_name():
    places = [[[0.8 * tick, 0.0]] for tick in range(20)]
    early, late = found(watched(places[:3])), found(watched(places))
    assert early.track_id.tolist() == late.track_id.tolist() == [1]
    assert late.existence[0] > 0.99 and late.score[0] > early.score[0]
    np.testing.assert_allclose(late.boxes.center_m[0, :2], [15.2, 0.0], atol=0.1)
    np.testing.assert_allclose(late.velocity_mps[0], [8.0, 0.0], atol=0.3)


def test_a_lost_track_sinks_and_dies():
    state = watched([[[0.0, 0.0]]] * 10)
    gone = [found(watched([[]] * ticks, state=state, first_ns=START_NS + 10 * TICK_NS)) for ticks in (1, 3, 40)]
    assert found(state).score[0] > gone[0].score[0] > gone[1].score[0]
    assert len(gone[2]) == 0


def test_what_one_source_never_saw_does_not_die_of_its_silence():
    state = watched([[[0.0, 0.0]]] * 10, source="rsu-1")
    with_vehicle = state
    for tick in range(10):
        time_ns = START_NS + (10 + tick) * TICK_NS
        with_vehicle = watched([[]], state=with_vehicle, first_ns=time_ns)
        with_vehicle = watched([[[0.0, 0.0]]], "rsu-1", with_vehicle, time_ns + 1)
    assert found(with_vehicle).existence[0] > 0.95


def test_two_sources_of_one_object_make_one_track_ranked_above_those_of_one_source():
    state = TrackerState.start()
    for tick in range(10):
        time_ns = START_NS + tick * TICK_NS
        state = watched([[[0.3, 0.2], [30.0, 0.0]]], "rsu-1", state, time_ns)
        state = watched([[[0.0, 0.0], [0.0, 40.0]]], "vehicle", state, time_ns)
    tracks = found(state)
    assert len(tracks) == 3
    np.testing.assert_allclose(tracks.boxes.center_m[0, :2], [0.0, 0.0], atol=0.3)
    assert tracks.score[0] > tracks.score[1:].max()


def test_a_vague_roadside_object_does_not_pull_a_well_measured_track_away():
    state = TrackerState.start()
    for tick in range(20):
        time_ns = START_NS + tick * TICK_NS
        state = watched([[[0.0, 0.0]]], "vehicle", state, time_ns, sigma_m=0.1)
        state = watched([[[1.5, 0.0]]], "rsu-1", state, time_ns + 1, sigma_m=2.0)
    tracks = found(state)
    assert len(tracks) == 1
    assert abs(tracks.boxes.center_m[0, 0]) < 0.15


def test_no_number_of_roadside_messages_outweighs_the_units_own_registration():
    state = watched([[[0.0, 0.0]]] * 40, "rsu-1", sigma_m=0.1)
    covariance = found(state).covariance[0]
    assert np.sqrt(covariance[0, 0]) > 0.9 * ROADSIDE.common_m


def test_the_same_object_twice_in_one_list_is_one_track():
    assert len(found(watched([[[0.0, 0.0], [0.7, 0.1]]] * 8))) == 1


def test_two_walkers_side_by_side_stay_two():
    tracks = found(watched([[[0.0, 0.0], [0.8, 0.0]]] * 10, label=ObjectClass.PEDESTRIAN))
    assert len(tracks) == 2
    assert sorted(tracks.track_id.tolist()) == [1, 2]


def test_two_tracks_that_turn_out_to_be_one_object_become_the_elder():
    state = TrackerState.start()
    for tick in range(24):
        time_ns, aside_m = START_NS + tick * TICK_NS, max(0.0, 6.0 - 0.5 * tick)
        state = watched([[[0.0, 0.0]]], "vehicle", state, time_ns, sigma_m=0.1)
        state = watched([[[aside_m, 0.0]]], "rsu-1", state, time_ns + 1, sigma_m=0.1)
        if tick == 2:
            assert found(state).track_id.tolist() == [2, 1]  # the unit's ranks above the vehicle's
    assert found(state).track_id.tolist() == [1]


def test_the_majority_names_the_class_and_a_quarrel_lowers_the_score():
    agreed = watched([[[0.0, 0.0]]] * 9, label=ObjectClass.CAR)
    mixed = TrackerState.start()
    for tick in range(9):
        label = ObjectClass.TRUCK if tick % 3 == 0 else ObjectClass.CAR
        mixed = watched([[[0.0, 0.0]]], "vehicle", mixed, START_NS + tick * TICK_NS, label=label)
    assert found(mixed).label.tolist() == found(agreed).label.tolist() == [ObjectClass.CAR]
    assert found(mixed).score[0] < found(agreed).score[0]


def test_what_nobody_gave_a_class_is_unknown_and_as_sure_as_its_being_there():
    known, unknown = (found(watched([[[0.0, 0.0]]] * 10, label=label)) for label in (ObjectClass.CAR, ObjectClass.UNKNOWN))
    assert unknown.label.tolist() == [ObjectClass.UNKNOWN] and unknown.score[0] >= known.score[0] > 0.3


def test_an_object_measured_before_its_message_is_placed_where_it_is_by_now():
    velocity = np.array([[10.0, 0.0]])
    objects = objects_at("map", "rsu-1", START_NS - TICK_NS, [[0.0, 0.0]], velocity_mps=velocity)
    tracks = found(step(TrackerState.start(), observe(objects, START_NS, "rsu-1", ROADSIDE), CONFIG))
    np.testing.assert_allclose(tracks.boxes.center_m[0, :2], [1.0, 0.0], atol=1e-9)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_the_stated_doubts_cover_the_errors(seed):
    rng = np.random.default_rng(seed)
    places = [[rng.normal([0.5 * tick, 0.0], 0.25)] for tick in range(30)]
    tracks = found(watched(places, sigma_m=0.25))
    error_m = tracks.boxes.center_m[0, :2] - [14.5, 0.0]
    assert error_m @ np.linalg.solve(tracks.covariance[0, :2, :2], error_m) < 25.0


def test_an_empty_world_is_no_trouble():
    state = watched([[]] * 3)
    assert len(found(state)) == 0 and state.time_ns == START_NS + 2 * TICK_NS
    assert predict(state, START_NS + TICK_NS * 9, CONFIG).time_ns == START_NS + TICK_NS * 9


def test_what_a_unit_keeps_seeing_ranks_above_what_the_vehicle_alone_keeps_seeing():
    """A detector takes the same post for a person at every look; a unit's errors are drawn anew each time."""
    by_vehicle = watched([[[0.0, 0.0]]] * 9)
    by_unit = watched([[[0.0, 0.0]]] * 9, "rsu-1")
    assert found(by_unit).score[0] > found(by_vehicle).score[0]
