import numpy as np
import pytest

from v2x.health import Tally, heard, refused, reports

SECOND_NS = 10**9


def tally_of(count, period_ns=SECOND_NS // 10, delay_ns=50_000_000):
    tally = Tally()
    for i in range(count):
        tally = heard(tally, i * period_ns, i * period_ns + delay_ns, 3)
    return tally


def test_counts_go_on_while_the_rate_is_of_the_last_seconds():
    [event] = reports({"rsu": tally_of(100)}, None, 99 * SECOND_NS // 10)
    report = event.payload
    assert (report.messages, report.objects, report.last_generated_ns) == (100, 300, 99 * SECOND_NS // 10)
    assert report.rate_hz == pytest.approx(10.0) and report.age_p50_ms == pytest.approx(50.0)
    assert len(tally_of(100).recent) <= 51


def test_a_silent_unit_shows_no_rate_and_no_age():
    [event] = reports({"rsu": tally_of(10)}, None, 60 * SECOND_NS)
    assert event.payload.rate_hz == 0.0 and np.isnan(event.payload.age_p50_ms)


def test_reports_come_when_a_second_begins():
    health = {"b": Tally(), "a": refused(Tally())}
    assert [event.payload.rsu for event in reports(health, SECOND_NS - 1, SECOND_NS)] == ["a", "b"]
    assert reports(health, SECOND_NS, 2 * SECOND_NS - 1) == []
    assert reports(health, None, SECOND_NS)[0].payload.refused == 1


def test_messages_out_of_order_are_counted_alike():
    one = heard(heard(Tally(), 5, 9, 1), 3, 8, 1)
    other = heard(heard(Tally(), 3, 8, 1), 5, 9, 1)
    assert one == other
