"""Events moved in time: the same happening, earlier or later, with every time inside it moved alike.

A message keeps its octets: its header says the new times, and they count (v2x/records.py).
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import SpecError
from data_specs.health import RsuHealth
from data_specs.messages import HazardMessage, Header, LaneMap, Message, RoadsideMessage, SignalMessage, StationMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.sensors import Sample
from replay.drive import Event, Payload


def shifted(event: Event, by_ns: int) -> Event:
    """The event `by_ns` later; itself where that is nothing."""
    return event if by_ns == 0 else Event(event.time_ns + by_ns, event.topic, _payload(event.payload, by_ns))


def _payload(payload: Payload, by_ns: int) -> Payload:
    match payload:
        case ObjectList():
            return replace(payload, measured_ns=payload.measured_ns + by_ns)
        case Truth():
            return replace(payload, objects=replace(payload.objects, measured_ns=payload.objects.measured_ns + by_ns))
        case EgoPose():
            return replace(payload, taken_ns=payload.taken_ns + by_ns)
        case RsuHealth():
            return replace(payload, time_ns=payload.time_ns + by_ns, last_generated_ns=payload.last_generated_ns + by_ns)
        case Sample():
            return replace(payload, taken_ns=payload.taken_ns + by_ns,
                           clouds=tuple(replace(cloud, taken_ns=cloud.taken_ns + by_ns) for cloud in payload.clouds),
                           images=tuple(replace(image, taken_ns=image.taken_ns + by_ns) for image in payload.images))
        case _:
            return _message(payload, by_ns)


def _message(message: Message, by_ns: int) -> Message:
    header = _header(message.header, by_ns)
    match message:
        case RoadsideMessage() | StationMessage():
            objects = replace(message.objects, measured_ns=message.objects.measured_ns + by_ns)
            return replace(message, header=header, objects=objects)
        case SignalMessage():
            return replace(message, header=header, min_end_ns=_known(message.min_end_ns, by_ns),
                           max_end_ns=_known(message.max_end_ns, by_ns))
        case HazardMessage():
            return replace(message, header=header, detected_ns=message.detected_ns + by_ns,
                           valid_until_ns=message.valid_until_ns + by_ns)
        case LaneMap():
            return replace(message, header=header)
    raise SpecError(f"payload: {type(message).__name__}, expected what a drive holds")


def _known(times_ns: Array, by_ns: int) -> Array:
    return np.where(times_ns < 0, times_ns, times_ns + by_ns)


def _header(header: Header, by_ns: int) -> Header:
    return replace(header, generated_ns=header.generated_ns + by_ns, received_ns=header.received_ns + by_ns)
