"""Laws of the traffic: who follows, who stops, nobody inside anybody."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.simulate.crossing import ROUTES, Colour
from replay.simulate.scenarios import SCENARIOS
from replay.simulate.traffic import ACCELERATION_MPS2, HARDEST_BRAKING_MPS2, STANDSTILL_GAP_M, idm_acceleration
from replay.simulate.world import World

speeds = st.floats(0.0, 30.0)


@given(speeds, st.floats(1.0, 30.0), st.floats(0.0, 500.0), speeds)
def test_drivers_accelerate_and_brake_within_their_limits_and_harder_the_closer(speed, wish, gap, leader):
    near, far = idm_acceleration(np.full(2, speed), np.full(2, wish), np.array([gap, gap + 5.0]), np.full(2, leader))
    assert -HARDEST_BRAKING_MPS2 <= near <= far <= ACCELERATION_MPS2


def test_a_free_driver_settles_at_the_wished_speed_and_a_follower_behind_a_standing_one_stands():
    speed = np.zeros(1)
    for _ in range(1200):
        speed = speed + 0.1 * idm_acceleration(speed, np.array([13.0]), np.array([1e3]), np.array([13.0]))
    assert speed[0] == pytest.approx(13.0, abs=0.1)
    assert idm_acceleration(np.zeros(1), np.array([13.0]), np.array([STANDSTILL_GAP_M]), np.zeros(1))[0] == pytest.approx(0.0)


def fronts_past_line(world: World) -> np.ndarray:
    traffic = world.cast.traffic
    return traffic.s_m + traffic.length_m / 2 > np.array([ROUTES[index].stop_s_m for index in traffic.route])


@pytest.mark.parametrize(("scenario", "seed"), [("busy", 0), ("crossing", 1), ("turning", 2)])
def test_nobody_passes_a_stop_line_at_red_over_a_whole_cycle(scenario, seed):
    world = World(SCENARIOS[scenario], seed)
    phase = np.array([ROUTES[index].phase for index in world.cast.traffic.route])
    before, passed = fronts_past_line(world), 0
    for tick in range(1, 640):
        decided_s = world.time_s
        world.moment(tick * 0.1)
        after = fronts_past_line(world)
        colours = world.signals.colours(decided_s)[phase]
        assert not ((colours == Colour.RED) & after & ~before).any(), f"at {decided_s:.1f} s"
        passed += int((after & ~before).sum())
        before = after
    assert passed > 10


def overlap_m(center_m, size_m, yaw, a: int, b: int) -> float:
    """How deep two rectangles lie in one another, by the separating axis theorem; negative = apart."""
    turns = [yaw[a], yaw[a] + np.pi / 2, yaw[b], yaw[b] + np.pi / 2]
    axes = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    halves = np.concatenate([size_m[a, :2], size_m[b, :2]])[:, None] / 2 * axes
    offset, reach = np.abs(axes @ (center_m[a] - center_m[b])[:2]), np.abs(axes @ halves.T).sum(axis=1)
    return float((reach - offset).min())


@pytest.mark.parametrize(("scenario", "seed"), [("busy", 3), ("delivery", 4), ("turning", 5)])
def test_vehicles_never_lie_inside_one_another_or_people(scenario, seed):
    world = World(SCENARIOS[scenario], seed)
    size_m, first_walker = world.cast.size_lwh_m, len(world.cast.label) - len(world.cast.walkers.side)
    for tick in range(0, 400, 4):
        moment = world.moment(tick * 0.1)
        rows = np.flatnonzero(moment.present)
        apart = np.linalg.norm(moment.center_m[rows, None, :2] - moment.center_m[None, rows, :2], axis=2)
        for i, j in zip(*np.where(np.triu(apart < 10.0, 1))):
            a, b = int(rows[i]), int(rows[j])
            if a < first_walker:
                assert overlap_m(moment.center_m, size_m, moment.yaw_rad, a, b) < 0.05, f"rows {a}, {b} at {moment.time_s:.1f} s"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_eight_vehicles_and_four_people_and_its_ego_passes_the_crossing(scenario):
    for seed in range(3):
        world = World(SCENARIOS[scenario], seed)
        moment = world.moment(0.0)
        labels = world.cast.label[moment.present]
        assert np.isin(labels, (1, 2, 3, 7)).sum() >= 9  # the ego among them
        assert np.isin(labels, (6, 8)).sum() >= 4
        start = moment.center_m[0, :2]
        world.moment(20.0)
        assert np.linalg.norm(world.moment(20.0).center_m[0, :2] - start) > 40.0


def test_time_only_runs_forwards():
    world = World(SCENARIOS["crossing"], 0)
    world.moment(2.0)
    with pytest.raises(ValueError, match="time only runs forwards"):
        world.moment(1.0)
