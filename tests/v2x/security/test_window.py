from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from v2x.security.window import ReplayWindow

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def test_a_message_is_known_by_sender_time_and_hash():
    window = ReplayWindow()
    window.remember(A, 1000, b"x", 0)
    assert window.knows(A, 1000, b"x")
    assert not window.knows(B, 1000, b"x")
    assert not window.knows(A, 1000, b"y")


def test_what_is_forgotten_for_its_age_counts_as_seen():
    window = ReplayWindow()
    for at in (1000, 2000, 3000):
        window.remember(A, at, b"%d" % at, 0)
    window.remember(A, 5000, b"5000", stale_before_ns=2500)
    assert len(window) == 2
    assert window.knows(A, 1500, b"never seen, but it may have been")
    assert not window.knows(A, 2500, b"never seen")


def test_a_sender_that_sends_more_than_is_remembered_loses_its_own_oldest():
    window = ReplayWindow(most_messages=2)
    for at in (1000, 3000, 2000):
        window.remember(A, at, b"%d" % at, 0)
    assert len(window) == 2
    assert window.knows(A, 1000, b"1000")
    assert window.knows(A, 3000, b"3000")
    assert not window.knows(B, 500, b"another's")


def test_a_sender_forgotten_for_others_cannot_be_replayed():
    window = ReplayWindow(most_senders=2)
    window.remember(A, 1000, b"x", 0)
    window.remember(B, 2000, b"y", 0)
    window.remember(C, 3000, b"z", 0)
    assert window.knows(A, 1000, b"x")
    assert not window.knows(A, 1001, b"new")
    window.remember(A, 4000, b"w", 0)
    assert window.knows(A, 1000, b"x")


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(0, 20), st.integers(0, 3), st.integers(-5, 25)), max_size=60))
def test_nothing_is_let_in_twice_whatever_the_clock_does(messages):
    window, let_in = ReplayWindow(most_messages=3, most_senders=2), []
    for sender, generated_ns, what, stale_before_ns in messages:
        octets = bytes([generated_ns, what])
        if not window.knows(sender, generated_ns, octets):
            window.remember(sender, generated_ns, octets, stale_before_ns)
            let_in.append((sender, octets))
        assert len(window) <= 6
    assert len(let_in) == len(set(let_in))
