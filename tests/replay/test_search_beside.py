import numpy as np
import pytest

from replay.metrics.conflict import EGO_SIZE_LW_M
from replay.search_beside import COLUMNS, beside_ego, with_velocities

START_NS, STEP_NS = 1_700_000_000_000_000_000, 50_000_000


def ego(seconds=6.0, yaw_rad=0.0, speed_mps=10.0):
    """Driving straight on from the origin."""
    time_ns = START_NS + np.arange(int(seconds * 1e9) // STEP_NS) * STEP_NS
    t_s = (time_ns - START_NS) / 1e9
    vx, vy = speed_mps * np.cos(yaw_rad), speed_mps * np.sin(yaw_rad)
    return {"time_ns": time_ns, "x_m": vx * t_s, "y_m": vy * t_s, "yaw_rad": np.full(len(t_s), yaw_rad),
            "vx_mps": np.full(len(t_s), vx), "vy_mps": np.full(len(t_s), vy)}


def beside(ego, t_s, center_m, velocity_mps, size_lw_m=(0.6, 0.6)):
    n = len(t_s)
    center_m = np.broadcast_to(np.asarray(center_m, float), (n, 3))
    return beside_ego(ego, START_NS + (np.asarray(t_s) * 1e9).astype(np.int64), center_m, np.tile(size_lw_m, (n, 1)) + 0.0,
                      np.zeros(n), np.broadcast_to(np.asarray(velocity_mps, float), (n, 2)))


def test_places_and_speeds_are_relative_to_where_the_ego_is_between_two_stamps():
    near = beside(ego(), [1.025], [30.25, 3.0, 0.0], [-5.0, 0.0])
    assert near["ahead_m"][0] == pytest.approx(20.0) and near["left_m"][0] == pytest.approx(3.0)
    assert near["distance_m"][0] == pytest.approx(np.hypot(20.0, 3.0))
    assert near["gap_m"][0] == pytest.approx(np.hypot(20.0 - 0.3 - EGO_SIZE_LW_M[0] / 2, 3.0 - 0.3 - EGO_SIZE_LW_M[1] / 2))
    assert near["closing_mps"][0] == pytest.approx(15.0 * 20.0 / np.hypot(20.0, 3.0)) and np.isinf(near["ttc_s"][0])


def test_sides_turn_with_the_ego():
    near = beside(ego(yaw_rad=np.pi / 2), [0.0], [-7.0, 2.0, 0.0], [0.0, 0.0])
    assert near["ahead_m"][0] == pytest.approx(2.0) and near["left_m"][0] == pytest.approx(7.0)


@pytest.mark.parametrize(("velocity_mps", "crossing"), [
    ((0.0, 1.0), True), ((0.0, -1.0), True), ((1.0, 1.1), True), ((1.0, 0.9), False), ((-2.0, 0.1), False), ((0.0, 0.4), False),
    ((np.nan, np.nan), False),
])
def test_who_moves_across_the_heading_crosses(velocity_mps, crossing):
    assert beside(ego(), [1.0], [20.0, 0.0, 0.0], velocity_mps)["crossing"].tolist() == [crossing]


def test_who_left_the_lane_a_second_before_the_ego_came_missed_it_by_that_second():
    t_s = np.arange(0, 4, 0.1)
    center_m = np.column_stack([np.full(len(t_s), 30.0), 2.0 * t_s - 1.0, np.zeros(len(t_s))])
    near = beside_ego(ego(), START_NS + (t_s * 1e9).astype(np.int64), center_m, np.full((len(t_s), 2), 0.6), np.zeros(len(t_s)),
                      np.tile([0.0, 2.0], (len(t_s), 1)))
    leaves_s = (1.0 + EGO_SIZE_LW_M[1] / 2 + 0.3) / 2.0
    arrives_s = (30.0 - 0.3 - EGO_SIZE_LW_M[0] / 2) / 10.0
    assert near["pet_s"].min() == pytest.approx(arrives_s - leaves_s, abs=0.15)


def test_nothing_is_known_outside_of_the_span_of_the_poses_or_without_any():
    outside = beside(ego(), [-0.1, 7.0], [5.0, 0.0, 0.0], [0.0, 0.0])
    none = beside({name: values[:0] for name, values in ego().items()}, [1.0], [5.0, 0.0, 0.0], [0.0, 0.0])
    for near in (outside, none):
        assert set(near) == set(COLUMNS)
        assert all(np.isnan(near[name]).all() for name in COLUMNS if name != "crossing") and not near["crossing"].any()


def test_an_unmeasured_velocity_of_the_ego_follows_from_its_places():
    time_ns = START_NS + np.arange(5) * 100_000_000
    place_m = np.column_stack([np.arange(5) * 0.7, np.zeros(5)])
    assert with_velocities(time_ns, place_m, np.full((5, 2), np.nan)) == pytest.approx(np.tile([7.0, 0.0], (5, 1)))
    measured = np.tile([6.0, 1.0], (5, 1))
    assert (with_velocities(time_ns, place_m, measured) == measured).all()
