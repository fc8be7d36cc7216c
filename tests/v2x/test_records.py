"""Events survive the bus exactly; what does not belong there, or came to harm, is refused by its place."""
from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, SpecError
from data_specs.health import RsuHealth
from data_specs.objects import ObjectList, Truth
from replay.bus import BusRecord
from replay.drive import EGO_SAMPLES, FUSED_TRACKS, RSU_HEALTH, TRUTH, VEHICLE_OBJECTS, Event
from v2x.records import from_bus_record, to_bus_record

TIME_NS = 1_700_000_000_123_456_789


def objects(n: int = 3, source: str = "vehicle") -> ObjectList:
    boxes = Boxes3D("map", np.arange(3.0 * n).reshape(n, 3), np.full((n, 3), 2.0), np.linspace(-1.0, 1.0, n))
    return ObjectList.build(boxes, source, TIME_NS, np.ones(n, np.uint8), score=np.linspace(0.1, 0.9, n))


def assert_same(got: object, expected: object) -> None:
    """Equal field by field, arrays bit for bit, NaN included."""
    assert type(got) is type(expected)
    for field in fields(expected):  # type: ignore[arg-type]
        a, b = getattr(got, field.name), getattr(expected, field.name)
        if is_dataclass(b):
            assert_same(a, b)
        elif isinstance(b, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b or (a != a and b != b)


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
