from hypothesis import given
from hypothesis import strategies as st

from data_specs.clock import NS_PER_S
from v2x.gateway_replay import ReplayWindow

known_by = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 2), st.sampled_from([b"x", b"y"]))


@given(st.lists(known_by, max_size=60))
def test_a_message_is_new_once_for_each_publisher_time_segment_and_octets(messages):
    window, seen = ReplayWindow(), set()
    for message in messages:
        assert window.first_time(*message, 0) == (message not in seen)
        seen.add(message)


@given(st.integers(0, 10 * NS_PER_S), st.integers(0, 10 * NS_PER_S))
def test_it_remembers_for_at_least_its_span(first_ns, later_ns):
    window = ReplayWindow(span_ns=10 * NS_PER_S)
    window.first_time("other", 0, 0, b"", 0)
    assert window.first_time("a", 1, 0, b"x", first_ns)
    assert not window.first_time("a", 1, 0, b"x", first_ns + later_ns)


def test_what_is_older_than_two_spans_is_forgotten():
    window = ReplayWindow(span_ns=NS_PER_S)
    for second in range(4):
        window.first_time("a", second, 0, b"x", second * NS_PER_S)
    assert len(window) == 2


def test_a_clock_that_is_set_back_forgets_nothing():
    window = ReplayWindow(span_ns=10 * NS_PER_S)
    assert window.first_time("a", 1, 0, b"x", 3600 * NS_PER_S)
    assert not window.first_time("a", 1, 0, b"x", 0)
    assert not window.first_time("a", 1, 0, b"x", 9 * NS_PER_S)
