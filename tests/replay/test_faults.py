import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass, ObjectList
from replay.faults import GHOST_IDS_FROM, Link, PoseBias, biased, clock_shifted, with_ghosts

NOW_NS = 1_790_000_000_000_000_000


def seen(count: int = 5) -> ObjectList:
    rng = np.random.default_rng(1)
    center_m, size_m = rng.uniform(-30.0, 30.0, (count, 3)), rng.uniform(0.5, 5.0, (count, 3))
    boxes = Boxes3D("rsu-1", center_m, size_m, rng.uniform(-3.0, 3.0, count))
    return ObjectList.build(boxes, "rsu-1", NOW_NS, np.full(count, ObjectClass.CAR, np.uint8), track_id=np.arange(count),
                            velocity_mps=rng.normal(0.0, 5.0, (count, 2)))


def test_a_link_without_faults_delivers_each_message_once_and_at_once():
    rng = np.random.default_rng(0)
    assert all(Link().arrivals_ns(NOW_NS + i, rng) == (NOW_NS + i,) for i in range(100))


def test_loss_and_copies_come_as_often_as_asked():
    rng = np.random.default_rng(0)
    counts = [len(Link(loss=0.2, duplicate=0.1).arrivals_ns(NOW_NS, rng)) for _ in range(5000)]
    assert np.mean(np.equal(counts, 0)) == pytest.approx(0.2, abs=0.02)
    assert np.mean(np.equal(counts, 2)) == pytest.approx(0.8 * 0.1, abs=0.02)


def test_jitter_adds_its_mean_to_the_delay_and_upsets_the_order():
    rng, link = np.random.default_rng(0), Link(delay_ms=80.0, jitter_ms=20.0)
    arrivals_ns = np.array([link.arrivals_ns(NOW_NS + i * 10_000_000, rng)[0] for i in range(5000)])
    late_ms = (arrivals_ns - NOW_NS) / 1e6 - np.arange(5000) * 10.0
    assert late_ms.min() >= 80.0
    assert late_ms.mean() == pytest.approx(100.0, abs=1.5)
    assert (np.diff(arrivals_ns) < 0).any()


def test_the_same_seed_gives_the_same_trouble():
    link = Link(loss=0.3, duplicate=0.3, delay_ms=5.0, jitter_ms=50.0)
    first, second = ([link.arrivals_ns(NOW_NS, np.random.default_rng(i)) for i in range(50)] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("given", "text"), [
    ({"loss": 1.5}, "loss: 1.5, expected a chance"), ({"duplicate": float("nan")}, "duplicate: nan, expected a chance"),
    ({"delay_ms": -1.0}, "delay_ms: -1.0, expected 0 or more"), ({"jitter_ms": float("inf")}, "jitter_ms: inf, expected 0"),
])
def test_what_is_no_chance_or_no_time_is_refused(given, text):
    with pytest.raises(SpecError, match=text):
        Link(**given)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-0.5, 0.5))
def test_a_bias_moves_everything_as_one_rigid_body(x_m, y_m, yaw_rad):
    objects = seen()
    moved = biased(objects, PoseBias(x_m, y_m, yaw_rad))
    before, after = (np.linalg.norm(o.boxes.center_m[:, None] - o.boxes.center_m[None], axis=-1) for o in (objects, moved))
    np.testing.assert_allclose(after, before, atol=1e-9)
    np.testing.assert_allclose(wrap_rad(moved.boxes.yaw_rad - objects.boxes.yaw_rad), yaw_rad, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(moved.velocity_mps, axis=1), np.linalg.norm(objects.velocity_mps, axis=1))


def test_a_bias_without_yaw_is_a_plain_shift():
    moved = biased(seen(), PoseBias(1.0, -2.0))
    np.testing.assert_allclose(moved.boxes.center_m - seen().boxes.center_m, np.tile([1.0, -2.0, 0.0], (5, 1)))


def test_a_clock_that_is_ahead_stamps_later_times():
    assert (clock_shifted(seen(), 30_000_000).measured_ns == NOW_NS + 30_000_000).all()


def test_ghosts_are_as_many_as_asked_within_range_and_have_numbers_of_their_own():
    rng = np.random.default_rng(3)
    lists = [with_ghosts(seen(2), 1.5, 40.0, NOW_NS, rng) for _ in range(2000)]
    assert np.mean([len(objects) - 2 for objects in lists]) == pytest.approx(1.5, abs=0.1)
    ghosts = [objects[objects.track_id >= GHOST_IDS_FROM] for objects in lists]
    assert all((np.hypot(*found.boxes.center_m[:, :2].T) <= 40.0).all() for found in ghosts)
    assert {len(objects) - len(found) for objects, found in zip(lists, ghosts)} == {2}


def test_no_ghosts_leave_the_list_as_it_is():
    objects = seen()
    assert with_ghosts(objects, 0.0, 40.0, NOW_NS, np.random.default_rng(0)) is objects
