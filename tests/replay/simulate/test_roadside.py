"""A roadside unit's detector: what it may know, and how honest it is."""
import numpy as np
import pytest

pytest.importorskip("open3d")

from data_specs.pose import SE3
from data_specs.sensors import PointCloud
from data_specs.site import Rsu
from replay.simulate.lidar import Sweep
from replay.simulate.roadside import FEWEST_RETURNS, FORGOTTEN_AFTER, RoadsideSensor, Traits, detection_chance
from replay.simulate.world import Moment

N = 6


def a_unit(**traits) -> RoadsideSensor:
    values = {"phase_ns": 0, "clock_offset_ns": 0, "latency_ms": 80.0, "ghosts_per_scan": 0.0, "confused": 0.0} | traits
    pose = SE3.from_yaw("map", "rsu-1", 0.7, np.array([10.0, 10.0, 6.0]))
    return RoadsideSensor(Rsu("rsu-1", "crossing", 101, "", "", pose), Traits(**values), 65_533)


def a_moment() -> Moment:
    center = np.column_stack([np.arange(N) * 9.0, np.full(N, -4.0), np.full(N, 0.8)])
    return Moment(0.0, center, np.full(N, 0.3), np.tile([5.0, 1.0], (N, 1)), np.zeros(N), np.zeros(N), np.ones(N, bool))


def hits(*returns: int) -> Sweep:
    """A sweep in which row k of the cast was hit returns[k] times."""
    owner = np.repeat(np.arange(len(returns)), returns)
    n = len(owner)
    cloud = PointCloud("LIDAR_MAST", 0, np.zeros((n, 3), "f4"), np.zeros(n, "f4"), np.zeros(n, "u1"), np.zeros(n, "i4"))
    return Sweep(cloud, owner)


def detected(unit: RoadsideSensor, swept: Sweep, scan: int = 0, label: int = 1):
    sizes = np.tile([4.4, 1.8, 1.6], (N, 1))
    return unit.detect(swept, a_moment(), np.full(N, label, np.uint8), sizes, scan, scan * 100, np.random.default_rng(scan))


def test_only_what_its_rays_hit_is_reported_and_never_the_ego():
    unit = a_unit()
    found = [len(detected(unit, hits(500, 400, 0, 4, 0, 0), scan)) for scan in range(200)]
    assert max(found) == 1 and np.mean(found) > 0.95


def test_the_chance_of_detection_is_none_below_five_returns_and_rises_with_them():
    chance = detection_chance(np.arange(200))
    assert not chance[:FEWEST_RETURNS].any() and (np.diff(chance) >= 0).all() and 0.6 < chance[FEWEST_RETURNS] < chance[-1] < 1.0


def test_errors_are_as_large_as_the_covariance_says_and_grow_with_range():
    unit, moment = a_unit(), a_moment()
    squares, spread = [], []
    for scan in range(400):
        found = detected(unit, hits(0, 90, 90, 90, 90, 90), scan).transformed(unit.rsu.map_from_rsu)
        row = np.abs(found.boxes.center_m[:, None, 0] - moment.center_m[None, :, 0]).argmin(axis=1)
        error = np.concatenate([found.boxes.center_m - moment.center_m[row], (found.boxes.yaw_rad - 0.3)[:, None],
                                found.velocity_mps - moment.velocity_mps[row]], axis=1)
        squares.append(np.einsum("ni,nij,nj->n", error, np.linalg.inv(found.covariance), error))
        spread.append(found.covariance[np.argsort(row), 0, 0])
    assert np.concatenate(squares).mean() == pytest.approx(6.0, abs=0.5)  # six dimensions
    unit_xy = unit.rsu.map_from_rsu.translation_m[:2]
    assert spread[0][np.argmax(np.linalg.norm(moment.center_m[1:, :2] - unit_xy, axis=1))] == spread[0].max()


def test_ids_are_the_units_own_stay_with_an_object_and_change_after_a_gap():
    unit = a_unit()
    first = detected(unit, hits(0, 900, 900), 0).track_id
    assert set(first.tolist()) == {65_534, 65_535}  # counted from its own start, not the cast's rows
    assert set(detected(unit, hits(0, 900, 900), 3).track_id.tolist()) <= set(first.tolist())
    later = detected(unit, hits(0, 900, 900), 4 + FORGOTTEN_AFTER + 1).track_id
    assert not set(later.tolist()) & set(first.tolist()) and (later < 65_536).all()


def test_rows_come_in_the_order_of_the_units_ids():
    unit = a_unit()
    detected(unit, hits(0, 0, 0, 900), 0)
    assert (np.diff(detected(unit, hits(0, 900, 900, 900), 1).track_id) != 0).all()
    ids = detected(unit, hits(0, 900, 900, 900), 2).track_id
    assert (np.diff(ids) > 0).all()


def test_a_unit_given_to_confusion_keeps_to_its_mistake():
    unit = a_unit(confused=1.0)
    labels = {int(label) for scan in range(5) for label in detected(unit, hits(0, 900), scan).label}
    assert labels == {2}  # a car taken for a truck


def test_false_objects_appear_at_their_rate_and_go_away():
    unit = a_unit(ghosts_per_scan=0.2)
    counts = [len(detected(unit, hits(0), scan)) for scan in range(300)]
    assert 0.3 < np.mean(counts) < 2.5 and min(counts) == 0
