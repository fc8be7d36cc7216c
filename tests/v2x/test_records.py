"""Events survive the bus exactly; what does not belong there, or came to harm, is refused by its place."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import DecodeError, InputError, SpecError
from data_specs.health import RsuHealth
from data_specs.messages import GeoPoint, RoadsideMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.bus import BusRecord
from replay.drive import (
    EGO_SAMPLES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    RSU_HEALTH,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
    rsu_objects,
)
from replay.shift import shifted
from tests.same import assert_same
from v2x.records import bus_key, dead_letter, from_bus_record, message_headers, to_bus_record
from v2x.rsu import RoadsideUnit

TIME_NS = 1_700_000_000_123_456_789


def objects(n: int = 3, source: str = "vehicle") -> ObjectList:
    boxes = Boxes3D("map", np.arange(3.0 * n).reshape(n, 3), np.full((n, 3), 2.0), np.linspace(-1.0, 1.0, n))
    return ObjectList.build(boxes, source, TIME_NS, np.ones(n, np.uint8), score=np.linspace(0.1, 0.9, n))


@pytest.mark.parametrize("event", [
    Event(TIME_NS, VEHICLE_OBJECTS, objects()),
    Event(TIME_NS, FUSED_TRACKS, ObjectList.empty("map", "fused")),
    Event(TIME_NS, TRUTH, Truth.build(objects(2, "truth"))),
    Event(TIME_NS, RSU_HEALTH, RsuHealth("rsu-1", TIME_NS, TIME_NS - 5, 10, 30, 1, 9.9, float("nan"))),
], ids=lambda event: event.topic)
def test_an_event_comes_back_from_its_record_as_it_went(event):
    back = from_bus_record(to_bus_record(event, "crossing-1"))
    assert (back.time_ns, back.topic) == (event.time_ns, event.topic)
    assert_same(back.payload, event.payload)


def test_sensor_data_does_not_travel():
    with pytest.raises(SpecError, match=r"topic 'ego.samples' does not travel on the bus, expected one of vehicle.objects"):
        to_bus_record(Event(TIME_NS, EGO_SAMPLES, objects()), "crossing-1")


def test_a_payload_of_another_type_is_refused():
    with pytest.raises(SpecError, match=r"truth: payload is ObjectList, expected Truth"):
        to_bus_record(Event(TIME_NS, TRUTH, objects()), "crossing-1")


def test_a_record_of_an_unknown_topic_is_refused_by_its_place():
    with pytest.raises(InputError, match=r"weather, partition 2, offset 7: topic 'weather', expected one of vehicle.objects"):
        from_bus_record(BusRecord("weather", "k", b"", TIME_NS, {}, 2, 7))


@given(st.data())
def test_a_damaged_record_gives_an_event_or_an_input_error_and_nothing_else(data):
    value = bytearray(to_bus_record(Event(TIME_NS, VEHICLE_OBJECTS, objects()), "k").value)
    if data.draw(st.booleans()):
        del value[data.draw(st.integers(0, len(value) - 1)):]
    else:
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        from_bus_record(BusRecord(VEHICLE_OBJECTS, "k", bytes(value), TIME_NS, {}, 0, 4))
    except InputError as error:
        assert "vehicle.objects, partition 0, offset 4" in str(error)


def roadside_message() -> RoadsideMessage:
    """A message as it came off the air: octets of our own encoder, decoded again."""
    origin = GeoPoint(48.1, 11.5, 520.0)
    unit = RoadsideUnit(Rsu("rsu-1", "c", 101, "", "", SE3.from_yaw("map", "rsu-1", 0.5, np.array([10.0, 5.0, 6.0]))), origin,
                        latency_ns=40_000_000)
    found = objects(3, "rsu-1")
    boxes = Boxes3D("rsu-1", found.boxes.center_m, found.boxes.size_lwh_m, found.boxes.yaw_rad)
    (event,) = unit.process(Event(TIME_NS, rsu_objects("rsu-1"), replace(found, boxes=boxes)))
    return event.payload


def test_a_roadside_message_travels_as_its_octets_and_comes_back_the_same():
    message = roadside_message()
    record = to_bus_record(Event(message.header.generated_ns, ROADSIDE_MESSAGES, message), "c")
    assert record.value == message.header.raw
    assert record.headers["publisher"] == b"rsu-1"
    assert_same(from_bus_record(record).payload, message)


def test_a_message_that_is_played_later_keeps_its_octets_and_is_later_in_all_its_times():
    message = roadside_message()
    event = Event(message.header.generated_ns, ROADSIDE_MESSAGES, message)
    later = shifted(event, 3_600_000_000_001)
    record = to_bus_record(later, "c")
    assert record.value == message.header.raw
    assert_same(from_bus_record(record).payload, later.payload)


def test_octets_that_break_their_standard_are_named_by_place_and_bit():
    record = BusRecord(ROADSIDE_MESSAGES, "c", roadside_message().header.raw[:20], TIME_NS, {}, 1, 9)
    with pytest.raises(DecodeError, match=r"rsu.messages, partition 1, offset 9, bit \d+: "):
        from_bus_record(record)


@pytest.mark.parametrize(("headers", "said"), [
    ({"received_ns": b"soon"}, r"header received_ns b'soon', expected a whole number of nanoseconds"),
    ({"wire_format": b"morse"}, r"wire format 'morse', expected one of etsi-cpm"),
])
def test_headers_that_make_no_sense_are_refused(headers, said):
    with pytest.raises(InputError, match=said):
        from_bus_record(BusRecord(ROADSIDE_MESSAGES, "c", roadside_message().header.raw, TIME_NS, headers, 0, 3))


def test_the_key_of_a_message_is_the_crossing_its_sender_watches():
    def crossing(name: str) -> Crossing:
        return Crossing(name, GeoPoint(48.1, 11.5, 520.0), np.zeros((3, 2)), "off")

    rsu = Rsu("rsu-1", "north", 101, "", "", SE3.identity("map", "rsu-1"))
    info = DriveInfo("d", GeoPoint(48.1, 11.5, 520.0), 0, 0, {}, Site((crossing("south"), crossing("north")), (rsu,)), "test")
    assert bus_key(info, Event(TIME_NS, ROADSIDE_MESSAGES, roadside_message())) == "north"
    assert bus_key(info, Event(TIME_NS, VEHICLE_OBJECTS, objects())) == "south"
    assert bus_key(replace(info, site=Site((), ())), Event(TIME_NS, VEHICLE_OBJECTS, objects())) == "d"


def test_a_message_says_what_it_is_who_sent_it_and_in_which_tile_without_being_decoded():
    message = roadside_message()
    record = to_bus_record(Event(message.header.generated_ns, ROADSIDE_MESSAGES, message), "c", GeoPoint(48.1, 11.5, 520.0))
    said = {name: record.headers[name] for name in ("messageType", "protocolVersion", "publisherId", "quadkey")}
    assert said == {"messageType": b"CPM", "protocolVersion": b"2", "publisherId": b"rsu-1", "quadkey": b"120230002230112110"}


def test_a_standard_without_a_version_on_the_wire_gets_no_version_header():
    header = replace(roadside_message().header, wire_format="sae-sdsm")
    said = message_headers(header)
    assert said["messageType"] == b"SDSM"
    assert {"protocolVersion", "quadkey"}.isdisjoint(said)


def test_a_dead_letter_keeps_the_octets_and_says_why_who_and_when():
    assert dead_letter(b"\x02\x0e", "bit 16: ends", "10.0.0.7", 5, "north") == BusRecord(
        "rsu.dead-letters", "north", b"\x02\x0e", 5, {"reason": b"bit 16: ends", "source": b"10.0.0.7", "received_ns": b"5"})
