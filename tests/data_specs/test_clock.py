from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from data_specs.clock import (
    ITS_EPOCH_NS,
    NS_PER_MS,
    NS_PER_S,
    iso_utc,
    its_ms_from_unix_ns,
    its_ms_near,
    unix_ns_from_its_ms,
)


@given(st.integers(0, 2**42 - 1))
def test_every_its_timestamp_outside_a_leap_second_survives_the_round_trip(its_ms):
    back = its_ms_from_unix_ns(unix_ns_from_its_ms(its_ms))
    assert its_ms - back in (0, -1000)  # inside an inserted second two timestamps share one Unix time


def test_tai_has_been_five_seconds_ahead_since_2017():
    moment_ns = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) * NS_PER_S
    assert its_ms_from_unix_ns(moment_ns) == (moment_ns - ITS_EPOCH_NS) // NS_PER_MS + 5000


def test_the_epoch_itself_is_zero():
    assert its_ms_from_unix_ns(ITS_EPOCH_NS) == 0 and unix_ns_from_its_ms(0) == ITS_EPOCH_NS


def test_a_leap_second_shares_the_unix_time_of_the_second_after_it():
    just_before = its_ms_from_unix_ns(int(datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * NS_PER_S)
    unix = [unix_ns_from_its_ms(just_before + step) for step in range(0, 3001, 500)]
    assert [(t - unix[0]) // NS_PER_MS for t in unix] == [0, 500, 1000, 1500, 1000, 1500, 2000]


def test_a_time_is_shown_in_utc_with_milliseconds():
    assert iso_utc(ITS_EPOCH_NS + 1_250_000) == "2004-01-01T00:00:00.001Z"


def test_sixteen_bits_of_a_time_are_completed_to_the_nearest_one():
    near_ns = unix_ns_from_its_ms(10 * 65_536 + 100)
    assert its_ms_near(100, near_ns) == 10 * 65_536 + 100
    assert its_ms_near(90, near_ns) == 10 * 65_536 + 90
    assert its_ms_near(130, near_ns) == 10 * 65_536 + 130  # a clock that is ahead
    assert its_ms_near(65_535, near_ns) == 10 * 65_536 - 1  # sent before the bits wrapped, received after
    wrapping_ns = unix_ns_from_its_ms(11 * 65_536 - 1)
    assert its_ms_near(3, wrapping_ns) == 11 * 65_536 + 3


@given(st.integers(700_000_000_000, 800_000_000_000), st.integers(-32_767, 32_767))
def test_a_time_comes_back_from_its_sixteen_bits_and_any_moment_near_it(its_ms, off_ms):
    assert its_ms_near(its_ms % 65_536, unix_ns_from_its_ms(its_ms + off_ms)) == its_ms
