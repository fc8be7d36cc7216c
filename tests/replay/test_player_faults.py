"""Faults befall a drive's messages as often as asked, follow from the seed alone, and leave everything else as it was."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.drive import ROADSIDE_MESSAGES, VEHICLE_OBJECTS, DriveInfo, Event, TopicInfo
from replay.faults import Link
from replay.player_faults import FaultInjector, Faults, Outage, read_faults

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
ORIGIN = GeoPoint(48.0, 11.0, 0.0)
UNITS = tuple(Rsu(name, "x", 1, address, "", SE3.identity("map", name))
              for name, address in (("rsu-1", "02:01"), ("rsu-2", "02:02")))
INFO = DriveInfo("d", ORIGIN, START_NS, START_NS + 100_000 * MS,
                 {ROADSIDE_MESSAGES: TopicInfo("RoadsideMessage", 1), VEHICLE_OBJECTS: TopicInfo("ObjectList", 1)},
                 Site((Crossing("x", ORIGIN, np.zeros((3, 2)), "off"),), UNITS), "test")


def message(at_ms: int, publisher: str = "02:01", latency_ms: int = 0) -> tuple[int, Event]:
    time_ns = START_NS + at_ms * MS
    header = Header(publisher, "etsi-cpm-2.1.1", time_ns, time_ns + latency_ms * MS, 0, 1, f"{publisher} at {at_ms}".encode())
    payload = RoadsideMessage(header, 7, ORIGIN, ObjectList.empty("reference", publisher), (), ())
    return header.received_ns, Event(time_ns, ROADSIDE_MESSAGES, payload)


def struck(faults: Faults, arrivals: Sequence[tuple[int, Event]], lap: int = 0) -> tuple[list[tuple[int, Event]], dict[str, int]]:
    injector = FaultInjector(faults, INFO)
    return list(injector.strike(arrivals, lap)), dict(+injector.counts)


def said(arrivals: Sequence[tuple[int, Event]]) -> list[tuple[int, int, int, bytes]]:
    """When due, the event's time and when it was received, ms from the start, and the octets."""
    headers = [event.payload.header for _, event in arrivals]
    return [(*((at_ns - START_NS) // MS for at_ns in (due_ns, event.time_ns, header.received_ns)), header.raw)
            for (due_ns, event), header in zip(arrivals, headers)]


MANY = [message(10 * i, latency_ms=3) for i in range(2000)]


def test_without_faults_everything_passes_as_it_was():
    assert struck(Faults(), MANY) == (MANY, {})


def test_loss_copies_and_wrong_octets_come_as_often_as_asked():
    out, counts = struck(Faults(Link(loss=0.2, duplicate=0.1), corrupt=0.3), MANY)
    assert len(out) == 2000 - counts["lost"] + counts["copies"]
    assert counts["lost"] / 2000 == pytest.approx(0.2, abs=0.03)
    assert counts["copies"] / 1600 == pytest.approx(0.1, abs=0.03)
    assert counts["corrupted"] / len(out) == pytest.approx(0.3, abs=0.04)


def test_wrong_octets_differ_in_one_to_eight_bits_and_nothing_else():
    out, counts = struck(Faults(corrupt=1.0), MANY)
    assert counts == {"corrupted": 2000}
    wrong_bits = []
    for (due_ns, event), (was_due_ns, before) in zip(out, MANY, strict=True):
        ours, theirs = (np.frombuffer(one.payload.header.raw, np.uint8) for one in (event, before))
        wrong_bits.append(int(np.unpackbits(ours ^ theirs).sum()))
        restored = replace(event.payload, header=replace(event.payload.header, raw=before.payload.header.raw))
        assert (due_ns, replace(event, payload=restored)) == (was_due_ns, before)
    assert set(wrong_bits) == set(range(1, 9))


@given(st.integers(0, 2**63), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 300.0), st.floats(0.0, 1.0))
def test_whatever_befalls_them_messages_come_in_order_and_follow_from_the_seed(seed, loss, duplicate, jitter_ms, reorder):
    faults = Faults(Link(loss=loss, duplicate=duplicate, jitter_ms=jitter_ms), reorder=reorder, corrupt=0.5, seed=seed)
    out, _ = struck(faults, MANY[:40])
    assert said(out) == said(struck(faults, MANY[:40])[0])
    assert [due for due, *_ in said(out)] == sorted(due for due, *_ in said(out))
    assert all(due == received for due, _, received, _ in said(out))


def test_what_befalls_a_message_does_not_depend_on_what_else_is_played():
    faults = Faults(Link(loss=0.3, jitter_ms=20.0), corrupt=0.3, seed=5)
    whole, late = said(struck(faults, MANY)[0]), said(struck(faults, MANY[1000:])[0])
    assert sorted(late) == sorted(row for row in whole if row[1] >= 10_000)
    assert said(struck(faults, MANY, lap=1)[0]) != whole


def test_a_delay_shows_in_when_a_message_was_received():
    out, counts = struck(Faults(Link(delay_ms=50.0)), [message(0, latency_ms=3), message(10, latency_ms=3)])
    assert [row[:3] for row in said(out)] == [(53, 0, 53), (63, 10, 63)]
    assert counts == {"delayed": 2}


def test_a_clock_that_is_ahead_dates_messages_later_but_they_come_when_they_came():
    out, _ = struck(Faults(clock_offset_ms=30.0), [message(0, latency_ms=3), message(10, latency_ms=3)])
    assert [row[:3] for row in said(out)] == [(3, 30, 3), (13, 40, 13)]
    assert [event.payload.header.generated_ns for _, event in out] == [event.time_ns for _, event in out]


def test_a_message_is_overtaken_by_the_next_of_its_own_sender():
    out, counts = struck(Faults(reorder=1.0), [message(0), message(5, "02:02"), message(10), message(20), message(30)])
    assert [row[:3] for row in said(out)] == [(10, 10, 10), (10, 0, 10), (30, 30, 30), (30, 20, 30), (30, 5, 30)]
    assert counts == {"overtaken": 2}


def test_a_unit_that_is_out_is_silent_then_under_whichever_name_it_sends():
    mixed = [message(100 * i, publisher) for i in range(5) for publisher in ("02:01", "02:02", "rsu-1")]
    out, counts = struck(Faults(outages=(Outage("rsu-1", 0.1, 0.3),)), mixed)
    gone = [row for row in said(mixed) if row not in said(out)]
    assert {(row[1], row[3][:5]) for row in gone} == {(at, name) for at in (100, 200) for name in (b"02:01", b"rsu-1")}
    assert counts == {"silenced": 4}


def test_other_topics_pass_untouched_unless_they_are_named():
    objects = (START_NS, Event(START_NS, VEHICLE_OBJECTS, ObjectList.empty("map", "vehicle")))
    assert struck(Faults(Link(loss=1.0)), [objects, message(1)]) == ([objects], {"lost": 1})
    assert struck(Faults(Link(loss=1.0), topics=(VEHICLE_OBJECTS,)), [objects]) == ([], {"lost": 1})


@pytest.mark.parametrize(("given", "text"), [
    ({"reorder": 2.0}, "reorder: 2.0, expected a chance from 0 to 1"), ({"seed": -1}, "seed: -1, expected 0 or more"),
    ({"corrupt": float("nan")}, "corrupt: nan, expected a chance"),
    ({"clock_offset_ms": float("inf")}, "clock_offset_ms: inf, expected a number"),
    ({"corrupt": 0.1, "topics": (VEHICLE_OBJECTS,)}, "corrupt: of vehicle.objects, expected rsu.messages alone"),
])
def test_what_is_no_fault_is_refused(given, text):
    with pytest.raises(SpecError, match=text):
        Faults(**given)


def test_a_unit_or_a_topic_that_the_drive_does_not_have_is_named():
    with pytest.raises(InputError, match="--outage: 'rsu-9', expected a unit of the drive's site: rsu-1, rsu-2"):
        FaultInjector(Faults(outages=(Outage("rsu-9", 0.0, 1.0),)), INFO)
    with pytest.raises(InputError, match=r"--faults-on: 'truth', expected one of drive d: rsu.messages, vehicle.objects"):
        FaultInjector(Faults(topics=("truth",)), INFO)


@pytest.mark.parametrize("text", ["rsu-1", "rsu-1:5", "rsu-1:5-2", ":1-2", "rsu-1:a-b", "rsu-1:nan-2"])
def test_an_outage_that_says_no_span_is_refused(text):
    with pytest.raises(InputError, match=r"--outage: .*, expected RSU:FROM-TO"):
        Outage.parse(text)


def test_an_outage_is_read_from_its_text():
    assert Outage.parse("02:01:1.5-3") == Outage("02:01", 1.5, 3.0)


def test_a_file_of_faults_is_read_and_what_is_given_counts_before_it(tmp_path):
    path = tmp_path / "rain.toml"
    path.write_text('loss = 0.1\ndelay_ms = 20\nseed = 4\ntopics = ["rsu.messages"]\n'
                    '[[outage]]\nrsu = "rsu-1"\nfrom_s = 1\nto_s = 2.5\n')
    faults = read_faults(path, {"loss": 0.2, "outage": [Outage("rsu-2", 0.0, 1.0)]})
    assert faults == Faults(Link(loss=0.2, delay_ms=20.0), outages=(Outage("rsu-1", 1.0, 2.5), Outage("rsu-2", 0.0, 1.0)), seed=4)


@pytest.mark.parametrize(("text", "said"), [
    ("los = 0.1", "'los', expected one of loss, duplicate"), ("loss = 7", "loss: 7.0, expected a chance from 0 to 1"),
    ('loss = "much"', "could not convert string to float: 'much', expected numbers"), ("loss =", "expected TOML"),
    ("[[outage]]\nrsu = 'x'", "'from_s', expected numbers, and"),
])
def test_a_file_that_says_no_faults_is_named(tmp_path, text, said):
    path = tmp_path / "rain.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"rain.toml: .*{said.replace('[', '.')}"):
        read_faults(path, {})
    with pytest.raises(MissingInput, match=r"none.toml: missing, expected a TOML file of faults"):
        read_faults(tmp_path / "none.toml", {})
