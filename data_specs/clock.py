"""Time is int64 Unix nanoseconds (UTC). Standards that count TAI from 2004 are converted here and nowhere else.

Source: ETSI TS 102 894-2, TimestampIts: milliseconds since 2004-01-01T00:00:00.000Z, leap seconds included.
Leap seconds: IERS Bulletin C (none announced after 2016-12-31).
"""
from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
ITS_EPOCH_NS = int(datetime(2004, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S

# Unix time just after each leap second inserted since the ITS epoch.
_LEAP_NS = [
    int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * NS_PER_S
    for year, month in ((2006, 1), (2009, 1), (2012, 7), (2015, 7), (2017, 1))
]
_LEAP_TAI_NS = [leap + (count + 1) * NS_PER_S for count, leap in enumerate(_LEAP_NS)]


def unix_ns_from_its_ms(its_ms: int) -> int:
    """Unix nanoseconds of an ITS timestamp; a leap second shares the Unix time of the second after it (POSIX)."""
    tai_like_ns = ITS_EPOCH_NS + its_ms * NS_PER_MS
    return tai_like_ns - bisect_right(_LEAP_TAI_NS, tai_like_ns) * NS_PER_S


def its_ms_from_unix_ns(unix_ns: int) -> int:
    """The ITS timestamp (milliseconds, rounded down) of Unix nanoseconds."""
    return (unix_ns - ITS_EPOCH_NS + bisect_right(_LEAP_NS, unix_ns) * NS_PER_S) // NS_PER_MS


def its_ms_near(low_bits: int, near_ns: int) -> int:
    """The ITS timestamp nearest to Unix nanoseconds among those that end in these 16 bits (CAM's generationDeltaTime).

    Right as long as the sender's clock and the time of arrival differ by less than 32.768 s, either way.
    """
    near_ms = its_ms_from_unix_ns(near_ns)
    ahead_ms = (low_bits - near_ms) % 65_536
    return near_ms + ahead_ms - (65_536 if ahead_ms >= 32_768 else 0)


def seconds(ns: int) -> float:
    """Nanoseconds as seconds, for showing and for small differences (never for absolute times: f64 holds 200 ns there)."""
    return ns / NS_PER_S


def iso_utc(unix_ns: int) -> str:
    """2026-11-23T17:05:57.250Z"""
    moment = datetime.fromtimestamp(unix_ns // NS_PER_S, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ns % NS_PER_S // NS_PER_MS:03d}Z"
