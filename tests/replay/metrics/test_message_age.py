import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import InputError
from replay.drive import ROADSIDE_MESSAGES, TRUTH, MemoryDrive, TopicInfo
from replay.metrics.message_age import Received, age_percentile_ms, evaluate_messages, message_scores, received_of
from tests.replay.drives import drive_info, events

MS = 1_000_000


def received(*rows):
    """(generated ms, received ms) of messages of 100 octets."""
    table = np.array(rows, np.int64).reshape(-1, 2) * MS
    return Received(table[:, 0], table[:, 1], np.full(len(table), 100))


def values(messages, frames=4):
    return {score.name: score.value for score in message_scores(messages, frames, "all")}


def test_a_steady_sender_has_the_age_of_its_latency_and_half_its_period():
    said = values(received(*((100 * i, 100 * i + 20) for i in range(11))))
    assert said["latency_p50_ms"] == said["latency_max_ms"] == 20
    assert (said["age_mean_ms"], said["age_peak_ms"]) == (pytest.approx(70), 120)  # grows from 20 to 120
    assert said["age_p50_ms"] == pytest.approx(70) and said["age_p95_ms"] == pytest.approx(115)
    assert said["bytes_per_s"] == pytest.approx(1100) and said["average_byte"] == 275


def test_an_old_message_that_comes_late_makes_nothing_newer():
    said = values(received((0, 10), (100, 110), (50, 160), (200, 210)))
    assert said["age_peak_ms"] == pytest.approx((110 + 110) / 2) and said["latency_max_ms"] == 110
    assert said["age_mean_ms"] == pytest.approx(60)


def test_the_age_at_a_moment_is_that_of_the_newest_word_that_had_come():
    age_ms = received((0, 10), (100, 150)).age_at_ns(np.array([5, 10, 149, 150, 250]) * MS) / MS
    assert np.isnan(age_ms[0]) and age_ms[1:].tolist() == [10, 149, 50, 150]


def test_without_messages_nothing_is_known_and_one_message_has_latency_alone():
    assert np.isnan(list(values(received()).values())[:-1]).all() and values(received())["average_byte"] == 0
    one = values(received((0, 30)))
    assert one["latency_p99_ms"] == 30 and np.isnan([one["age_mean_ms"], one["age_p50_ms"], one["bytes_per_s"]]).all()
    assert np.isnan(values(received((0, 30)), frames=0)["average_byte"])
    assert np.isnan(received().age_at_ns(np.array([5]))).all()


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 80)), min_size=2, max_size=30), st.floats(1, 99))
def test_percentiles_of_age_are_those_of_a_fine_sampling(rows, share):
    messages = received(*sorted(((sent, sent + delay) for sent, delay in rows), key=lambda row: row[1]))
    begin_ms, end_ms = messages.age_spans_ms()
    if not (end_ms - begin_ms).sum():
        return
    times_ns = np.arange(messages.received_ns[0], messages.received_ns[-1], MS // 20)
    ages_ms = messages.age_at_ns(times_ns) / MS
    exact = age_percentile_ms(begin_ms, end_ms, share)
    slack = 2 / len(ages_ms)
    assert np.mean(ages_ms < exact - 0.11) <= share / 100 + slack and np.mean(ages_ms <= exact + 0.11) >= share / 100 - slack


def test_a_drive_has_figures_of_all_units_and_of_each():
    made = events(12)
    topics = {ROADSIDE_MESSAGES: TopicInfo("RoadsideMessage", 24), TRUTH: TopicInfo("Truth", 12)}
    result = evaluate_messages(MemoryDrive(drive_info(topics=topics), made))
    assert {score.slice for score in result.scores} == {"all", "rsu-1"}
    octets = sum(len(event.payload.header.raw) for event in made if event.topic == ROADSIDE_MESSAGES)
    assert result.value("average_byte") == pytest.approx(octets / 12) and result.value("latency_p99_ms") <= 5.0
    assert len(received_of(MemoryDrive(drive_info(), made))["rsu-1"].octets) == 24


def test_a_drive_without_messages_is_refused():
    with pytest.raises(InputError, match=r"no rsu\.messages, expected messages, as 'roadweave fuse' records them"):
        evaluate_messages(MemoryDrive(drive_info(), []))
