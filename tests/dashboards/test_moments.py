import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboards import moments

times = st.lists(st.integers(0, 10_000_000_000), max_size=60).map(lambda t: np.sort(np.array(t, np.int64)))


@given(times, times)
def test_every_sample_is_a_moment_and_no_event_is_far_from_one(samples, others):
    found = moments.moments_of(samples, others)
    assert set(samples.tolist()) <= set(found.tolist())
    assert (np.diff(found) > 0).all()
    for stamp in others.tolist():
        assert np.abs(found - stamp).min() <= moments.SHOWN_FOR_NS


@given(times, st.integers(0, 10_000_000_000))
def test_the_latest_is_at_or_before_and_nothing_lies_between(stamps, at_ns):
    found = moments.latest(stamps, at_ns)
    past = stamps[(stamps <= at_ns) & (at_ns - stamps <= moments.SHOWN_FOR_NS)]
    assert found == (past.max() if len(past) else None)


@given(times, st.integers(0, 10_000_000_000))
def test_the_nearest_is_nearest(stamps, at_ns):
    found = moments.nearest(stamps, at_ns)
    gaps_ns = np.abs(stamps - at_ns)
    near = len(stamps) and gaps_ns.min() <= moments.SHOWN_FOR_NS
    assert (found is not None) == bool(near)
    if found is not None:
        assert abs(found - at_ns) == gaps_ns.min()


def test_a_pcap_drive_steps_by_a_tenth_of_a_second():
    stamps = np.arange(0, 1_000_000_000, 20_000_000, dtype=np.int64)
    assert moments.moments_of(np.zeros(0, np.int64), stamps).tolist() == list(range(0, 1_000_000_000, 100_000_000))


def test_activity_counts_every_event_once():
    stamps = np.array([0, 1, 50, 99, 100], np.int64)
    assert moments.activity(stamps, 0, 100, bins=10) == [2, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert sum(moments.activity(stamps[:0], 0, 100)) == 0


def test_trails_run_from_old_to_new_and_end_with_nan():
    at = np.array([[0.0, 0.0, 0.0]])
    tracks = [(step * 10**8, np.array([7]), at + step) for step in range(3)]
    trail = moments.trails_of(tracks, 2, 2 * 10**8)
    np.testing.assert_allclose(trail[:3], [[0, 0, 0.2, 2], [1, 1, 0.1, 2], [2, 2, 0, 2]], atol=1e-7)
    assert np.isnan(trail[3]).all()
    assert moments.trails_of([(0, np.array([-1]), at)], 0, 0).shape == (0, 4)


def test_a_drive_of_one_moment_has_its_activity_too():
    now = 1_532_402_927_647_951_000
    assert sum(moments.activity(np.array([now], np.int64), now, now)) == 1
