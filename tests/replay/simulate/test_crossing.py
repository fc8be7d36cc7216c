"""The crossing's routes and signals."""
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.simulate.crossing import (
    LANE_OFFSETS_M,
    ROUTES,
    STEP_M,
    STOP_LINE_M,
    Colour,
    Movement,
    Signals,
    poses_at,
    signals_with_green_at,
)


@pytest.mark.parametrize("index", range(len(ROUTES)))
def test_a_route_runs_at_one_metre_a_metre_in_the_direction_it_faces(index):
    points = ROUTES[index].points
    steps = np.diff(points[:, :2], axis=0)
    np.testing.assert_allclose(np.hypot(*steps.T), STEP_M, atol=1e-3)
    middle_yaw = (points[1:, 2] + points[:-1, 2]) / 2
    np.testing.assert_allclose(steps / STEP_M, np.stack([np.cos(middle_yaw), np.sin(middle_yaw)], axis=1), atol=1e-2)


@pytest.mark.parametrize("index", range(len(ROUTES)))
def test_a_route_keeps_right_and_reaches_its_stop_line_where_that_is(index):
    route = ROUTES[index]
    x, y, yaw = poses_at(np.array([index]), np.array([route.stop_s_m]))[0]
    assert max(abs(x), abs(y)) == pytest.approx(STOP_LINE_M)
    right_of_centre = x * np.sin(yaw) - y * np.cos(yaw)
    assert right_of_centre == pytest.approx(LANE_OFFSETS_M[route.lane])


def test_movements_that_have_green_together_never_meet():
    for a, b in itertools.combinations(range(len(ROUTES)), 2):
        if ROUTES[a].phase != ROUTES[b].phase or ROUTES[a].arm_in == ROUTES[b].arm_in:
            continue
        near = [r.points[np.abs(r.points[:, :2]).max(axis=1) < 30.0, :2] for r in (ROUTES[a], ROUTES[b])]
        apart_m = np.linalg.norm(near[0][:, None] - near[1][None], axis=2).min()
        assert apart_m > 2.5, f"routes {a} and {b}"


@given(st.floats(-100.0, 1000.0), st.floats(0.0, 64.0))
def test_at_most_one_phase_is_not_red_and_people_walk_only_beside_a_straight_green(time_s, offset_s):
    signals = Signals(offset_s)
    colours = signals.colours(time_s)
    assert (colours != Colour.RED).sum() <= 1
    for arm in np.flatnonzero(signals.walk(time_s)):
        assert colours[0 if arm % 2 == 0 else 2] == Colour.GREEN


@given(st.integers(0, 3), st.floats(0.5, 60.0))
def test_a_phase_turns_green_when_it_was_asked_to(phase, time_s):
    signals = signals_with_green_at(phase, time_s)
    assert signals.colours(time_s + 0.01)[phase] == Colour.GREEN
    assert signals.colours(time_s - 0.01)[phase] == Colour.RED


def test_people_cross_an_arm_only_while_no_movement_with_green_uses_it():
    for route in ROUTES:
        for arm in (route.arm_in, route.arm_out):
            assert route.phase != (0 if arm % 2 == 0 else 2), f"{Movement(route.movement).name} from {route.arm_in} over {arm}"
