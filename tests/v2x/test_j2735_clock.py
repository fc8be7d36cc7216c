import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import DecodeError
from v2x.codecs.j2735_clock import (
    date_time_of_unix_ns,
    mark_of_unix_ns,
    minute_of_year,
    second_of_unix_ns,
    unix_ns_of_date_time,
    unix_ns_of_mark,
    unix_ns_of_minute_of_year,
    unix_ns_of_second,
)

S, MS = 1_000_000_000, 1_000_000
NOON_NS = 1_748_001_600 * S  # 2025-05-23T12:00:00Z
moments = st.integers(1_000_000_000 * S, 2_500_000_000 * S)


def date_time(received_ns=NOON_NS, **value):
    return unix_ns_of_date_time(value, received_ns, "SDSM.sDSMTimeStamp", 67)


@given(moments, st.integers(-29_000, 29_000))
def test_the_second_of_a_minute_is_completed_to_the_nearest_moment(sent_ns, delay_ms):
    assert unix_ns_of_second(second_of_unix_ns(sent_ns), sent_ns + delay_ms * MS, "", 0) == sent_ns // MS * MS


@given(moments, st.integers(-10**9, 10**9))
def test_a_whole_date_needs_no_arrival(sent_ns, arrival_s):
    assert unix_ns_of_date_time(date_time_of_unix_ns(sent_ns), arrival_s * S, "", 0) == sent_ns // MS * MS


@given(moments, st.integers(-86_400, 86_400))
def test_a_minute_of_the_year_is_completed_to_the_nearest_year(sent_ns, delay_s):
    found = unix_ns_of_minute_of_year(minute_of_year(sent_ns), second_of_unix_ns(sent_ns), sent_ns + delay_s * S, "", 0)
    assert found == sent_ns // MS * MS


def test_parts_of_a_date_that_are_missing_come_from_the_arrival():
    assert date_time(second=500) == NOON_NS + 500 * MS
    assert date_time(minute=59, second=59_500) == NOON_NS - 500 * MS
    assert date_time(hour=12, minute=0, second=0, month=0, day=0) == NOON_NS
    assert date_time(NOON_NS, hour=31, minute=60, second=1000) == NOON_NS + 1000 * MS
    new_year_ns = 1_767_225_600 * S
    assert date_time(new_year_ns + 100 * MS, month=12, day=31, hour=23, minute=59, second=59_900) == new_year_ns - 100 * MS


def test_a_date_is_local_and_its_offset_is_what_it_is_ahead():
    assert date_time(year=2025, month=5, day=23, hour=8, minute=0, second=0, offset=-240) == NOON_NS


def test_a_time_without_milliseconds_is_that_of_its_arrival():
    assert date_time(year=2024) == NOON_NS
    assert unix_ns_of_second(65_535, NOON_NS, "", 0) == NOON_NS


def test_a_part_of_a_time_that_came_at_no_time_is_refused():
    with pytest.raises(DecodeError, match="bit 67: a part of a time, expected a time of arrival"):
        date_time(0, year=2024)
    with pytest.raises(DecodeError, match="a part of a time"):
        unix_ns_of_second(500, 0, "BSM.coreData.secMark", 67)


def test_a_day_that_there_is_not_is_refused():
    with pytest.raises(DecodeError, match=r"bit 67: the date .*'day': 31"):
        date_time(year=2025, month=2, day=31, hour=1, minute=1, second=1)


def test_a_leap_second_runs_past_its_minute():
    assert date_time(year=2016, month=12, day=31, hour=23, minute=59, second=60_500) == 1_483_228_800 * S + 500 * MS


@given(moments, st.integers(0, 35_390))
def test_a_mark_is_the_next_moment_that_shows_it(reference_ns, ahead):
    moment_ns = reference_ns // (S // 10) * (S // 10) + ahead * (S // 10)
    assert unix_ns_of_mark(mark_of_unix_ns(moment_ns, 36_111), reference_ns) == moment_ns


def test_a_mark_that_has_just_passed_stays_in_the_past_and_across_the_hour_too():
    assert unix_ns_of_mark(35_990, NOON_NS + 2 * S) == NOON_NS - S
    assert unix_ns_of_mark(10, NOON_NS + 3 * S) == NOON_NS + S
    assert unix_ns_of_mark(0, NOON_NS - 5 * S) == NOON_NS


@pytest.mark.parametrize("mark", [None, 36_000, 36_001, 36_111])
def test_marks_that_tell_no_moment_are_unknown(mark):
    assert unix_ns_of_mark(mark, NOON_NS) == -1
    assert mark_of_unix_ns(-1, 36_001) == 36_001
