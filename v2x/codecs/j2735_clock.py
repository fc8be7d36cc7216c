"""Times of J2735 messages as Unix nanoseconds and back: DDateTime, DSecond, MinuteOfTheYear and TimeMark.

All of them leave something out: a DSecond its minute, a MinuteOfTheYear its year, a TimeMark its hour. What is left out is
taken from the time of arrival, so that the result is the nearest to it. A time that says no milliseconds cannot be told: such a
message is dated by its arrival. Where there is no time of arrival (0), what is left out is a DecodeError.

Source: SAE J2735, DE_DSecond, DE_DOffset, DE_MinuteOfTheYear, DE_TimeMark; DDateTime is local time and DOffset what it is
ahead of UTC, in minutes.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.errors import DecodeError

MINUTE_NS, HOUR_NS = 60 * NS_PER_S, 3600 * NS_PER_S
UNKNOWN_SECOND, LAST_SECOND = 65_535, 60_999  # 60000 to 60999 is a leap second
UNKNOWN_MINUTE_OF_YEAR = 527_040
UNKNOWN_MARK_2016, UNKNOWN_MARK, MARKS_PER_HOUR = 36_001, 36_111, 36_000
_TENTH_NS = NS_PER_S // 10
_MARK_STANDS_NS = MINUTE_NS
_YEARS = (1971, 2261)  # whose every moment Unix nanoseconds of 64 bits can say, in any time zone
# What stands for "unknown" in each part, and the step to the next time that shows the same other parts.
_PARTS = {
    "year": (0, timedelta(days=365)), "month": (0, timedelta(days=30)), "day": (0, timedelta(days=1)),
    "hour": (31, timedelta(hours=1)), "minute": (60, timedelta(minutes=1)),
}


def unix_ns_of_second(second_ms: int, received_ns: int, where: str, offset_bits: int) -> int:
    """The moment nearest to `received_ns` that lies `second_ms` into a minute; `received_ns` itself where that is unknown."""
    _require_arrival(received_ns, where, offset_bits)
    if second_ms > LAST_SECOND:
        return received_ns
    minutes = (received_ns - second_ms * NS_PER_MS + MINUTE_NS // 2) // MINUTE_NS
    return minutes * MINUTE_NS + second_ms * NS_PER_MS


def second_of_unix_ns(unix_ns: int) -> int:
    """Milliseconds into the minute, rounded down."""
    return unix_ns % MINUTE_NS // NS_PER_MS


def unix_ns_of_date_time(value: dict[str, int], received_ns: int, where: str, offset_bits: int) -> int:
    """The moment of a DDateTime, completed from the time of arrival; DecodeError for a date that there is not."""
    second_ms = value.get("second", UNKNOWN_SECOND)
    if second_ms > LAST_SECOND:
        return _require_arrival(received_ns, where, offset_bits)
    ahead = timedelta(minutes=value.get("offset", 0))
    known = {name: value[name] for name, (unknown, _) in _PARTS.items() if value.get(name, unknown) != unknown}
    if not _YEARS[0] <= known.get("year", _YEARS[0]) <= _YEARS[1]:
        raise DecodeError(where, offset_bits, f"the year {known['year']}", f"{_YEARS[0]} to {_YEARS[1]}")
    arrival = datetime.fromtimestamp(received_ns // NS_PER_S, tz=UTC) + ahead
    steps = [step for name, (_, step) in _PARTS.items() if name not in known]
    if steps:
        _require_arrival(received_ns, where, offset_bits)
    shifts = (-1, 0, 1) if steps else (0,)
    moments = [_unix_ns(moment - ahead, second_ms)
               for moment in _with_parts((arrival + shift * min(steps, default=timedelta()) for shift in shifts), known)]
    if not moments:
        raise DecodeError(where, offset_bits, f"the date {known}", "one of the calendar")
    return min(moments, key=lambda unix_ns: abs(unix_ns - received_ns))


def date_time_of_unix_ns(unix_ns: int) -> dict[str, int]:
    """A whole DDateTime in UTC, rounded down to milliseconds."""
    moment = datetime.fromtimestamp(unix_ns // NS_PER_S, tz=UTC)
    return {"year": moment.year, "month": moment.month, "day": moment.day, "hour": moment.hour, "minute": moment.minute,
            "second": second_of_unix_ns(unix_ns), "offset": 0}


def unix_ns_of_minute_of_year(minute: int, second_ms: int, received_ns: int, where: str, offset_bits: int) -> int:
    """The moment of a MinuteOfTheYear and a DSecond, in the year that brings it nearest to the arrival.

    Without the minute (527040) the nearest minute counts, without the second (65535) the arrival.
    """
    if second_ms > LAST_SECOND or minute >= UNKNOWN_MINUTE_OF_YEAR:
        return unix_ns_of_second(second_ms, received_ns, where, offset_bits)
    _require_arrival(received_ns, where, offset_bits)
    year = datetime.fromtimestamp(received_ns // NS_PER_S, tz=UTC).year
    moments = [year_start_ns(candidate) + minute * MINUTE_NS + second_ms * NS_PER_MS for candidate in (year - 1, year, year + 1)]
    return min(moments, key=lambda unix_ns: abs(unix_ns - received_ns))


def minute_of_year(unix_ns: int) -> int:
    """Whole minutes since the year began, UTC."""
    year = datetime.fromtimestamp(unix_ns // NS_PER_S, tz=UTC).year
    return (unix_ns - year_start_ns(year)) // MINUTE_NS


def unix_ns_of_mark(mark: int | None, reference_ns: int) -> int:
    """The next moment that shows a TimeMark, -1 where it is unknown; one that passed less than a minute ago is left in the past.

    The standard moves a mark into the next hour as soon as it has passed; senders let theirs stand a little longer, which
    would make the end of a signal that changes now an hour away. 36000 says "more than an hour" or a leap second, by edition,
    and counts as unknown.
    """
    if mark is None or mark >= MARKS_PER_HOUR:
        return -1
    earliest_ns = reference_ns - _MARK_STANDS_NS
    return earliest_ns + (mark * _TENTH_NS - earliest_ns) % HOUR_NS


def mark_of_unix_ns(unix_ns: int, unknown: int) -> int:
    """The TimeMark of a moment, rounded to tenths of a second; `unknown` (by edition) for -1."""
    return unknown if unix_ns < 0 else round(unix_ns % HOUR_NS / _TENTH_NS) % MARKS_PER_HOUR


def year_start_ns(year: int) -> int:
    """Unix nanoseconds of New Year, UTC."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S


def _require_arrival(received_ns: int, where: str, offset_bits: int) -> int:
    if received_ns <= 0:
        raise DecodeError(where, offset_bits, "a part of a time", "a time of arrival to complete it")
    return received_ns


def _with_parts(moments: Iterable[datetime], known: dict[str, Any]) -> list[datetime]:
    """The moments with the known parts put in; those that are no date are left out."""
    found = []
    for moment in moments:
        try:
            found.append(moment.replace(**known))
        except ValueError:
            continue
    return found


def _unix_ns(moment: datetime, second_ms: int) -> int:
    return int(moment.timestamp()) // 60 * MINUTE_NS + second_ms * NS_PER_MS
