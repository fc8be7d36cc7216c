from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from data_specs.messages import Header
from replay.drive import Event
from tests.v2x.scene import START_NS, objects_at
from v2x.known import Known, message_id, output_id

HEADER = Header("rsu-1", "etsi-cpm-2.1.1", START_NS, START_NS + 5, 0, 1, b"octets")


def test_a_message_that_comes_twice_is_new_once():
    known = Known()
    assert [known.is_new(message_id(HEADER)) for _ in range(3)] == [True, False, False]


def test_when_it_was_received_and_how_it_is_called_make_no_other_message():
    known = Known()
    assert known.is_new(message_id(HEADER))
    assert not known.is_new(message_id(replace(HEADER, received_ns=9, wire_format="etsi-cpm-2.1.1-cdd2.4.1")))


def test_segments_another_sender_another_time_and_other_octets_are_all_new():
    known = Known()
    others = [HEADER, replace(HEADER, segment=1), replace(HEADER, publisher="rsu-2"), replace(HEADER, generated_ns=1),
              replace(HEADER, raw=b"octet5")]
    assert all(known.is_new(message_id(header)) for header in others)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
def test_memory_is_bounded_and_the_newest_are_remembered(ids, most):
    known, newest = Known(most), []
    for id in ids:
        assert known.is_new(id) == (id not in newest)
        newest = newest if id in newest else [*newest, id][-most:]
        assert len(known) <= most


def test_what_a_worker_makes_anew_is_known_though_its_figures_differ():
    def tracks(x_m: float) -> Event:
        return Event(START_NS, "fused.tracks", objects_at("map", "fused", START_NS, [[x_m, 0.0]]))

    assert output_id(tracks(1.0), "north") == output_id(tracks(1.0 + 1e-9), "north")
    assert output_id(tracks(1.0), "north") != output_id(tracks(1.0), "south")
