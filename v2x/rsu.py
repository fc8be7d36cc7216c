"""A simulated roadside unit: what its sensor found becomes CPM or SDSM octets, and only what the octets say goes on.

It keeps the size limit of one radio packet: more objects than fit go out as several messages of one generation time. CPMs say
that they are segments of one whole; an SDSM has no word for that, so each stands for itself.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from data_specs.clock import NS_PER_MS
from data_specs.errors import FrameError, SpecError
from data_specs.messages import GeoPoint, Header, PerceptionRegion, RoadsideMessage, SensorInfo
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.site import Rsu
from replay.drive import ROADSIDE_MESSAGES, Event, rsu_objects
from v2x.codecs import decode, encode
from v2x.codecs.cpm_v211 import WIRE_FORMAT
from v2x.codecs.cpm_v211_encode import MAX_SEGMENTS
from v2x.geodesy import geo_from_map, map_from_reference

MAX_OBJECTS = 128  # in one message (ETSI TS 103 324 V2.1.1, 6.1.3)
MAX_OCTETS = 1200  # of one message: what is left of a 1,400-octet radio packet beside GeoNetworking and a certificate
LIDAR = SensorInfo(sensor_id=1, kind="lidar", range_m=60.0, opening_rad=2 * np.pi, heading_rad=float("nan"))
_REGION_CORNERS = 16  # the most that a polygon of the standard has


class RoadsideUnit:
    """Stage: rsu.<name>.objects in, rsu.messages out. The unit's pose and the map's origin are surveyed, so exact here."""

    def __init__(self, rsu: Rsu, origin: GeoPoint, sensor: SensorInfo = LIDAR, latency_ns: int = 0,
                 wire_format: str = WIRE_FORMAT) -> None:
        """`latency_ns` is how long after its generation a message is received, for figures of age alone."""
        if rsu.map_from_rsu.src != rsu.name:
            raise FrameError(f"map_from_rsu: starts at {rsu.map_from_rsu.src!r}, expected {rsu.name!r}")
        self.name = f"rsu {rsu.name}"
        self._rsu = rsu
        self._topic = rsu_objects(rsu.name)
        self._position = _on_the_wire(geo_from_map(origin, rsu.map_from_rsu.translation_m[None])[0])
        self._reference_from_rsu = _upright(map_from_reference(origin, self._position).inverse() @ rsu.map_from_rsu)
        self._sensors = (sensor,)
        self._regions = (_region_around(sensor, self._reference_from_rsu),)
        self._latency_ns, self._wire_format = latency_ns, wire_format
        self._next_id = 0

    def process(self, event: Event) -> Iterable[Event]:
        """The messages of one list of objects; everything else passes by. SpecError for objects no CPM can say."""
        if event.topic != self._topic:
            return
        if not isinstance(event.payload, ObjectList):
            raise SpecError(f"{event.topic}: a {type(event.payload).__name__}, expected an ObjectList")
        generated_ns = event.time_ns - event.time_ns % NS_PER_MS  # the wire counts milliseconds
        for octets in self.octets(event.payload, generated_ns):
            message = decode(octets, self._wire_format, publisher=self._publisher(), received_ns=generated_ns + self._latency_ns)
            yield Event(generated_ns, ROADSIDE_MESSAGES, message)

    def finish(self) -> Iterable[Event]:
        return ()

    def octets(self, objects: ObjectList, generated_ns: int) -> list[bytes]:
        """The octets of objects in the unit's frame, generated at a whole millisecond: one message, or several of at most
        MAX_OCTETS each (of more only where the eight segments that a CPM allows would not do)."""
        objects = self._with_ids(objects).transformed(self._reference_from_rsu)
        count = max(1, -(-len(objects) // MAX_OBJECTS))
        while True:
            parts = np.array_split(np.arange(len(objects)), count)
            messages = [encode(self._message(objects[part], generated_ns, segment, count), self._wire_format)
                        for segment, part in enumerate(parts)]
            if count >= min(MAX_SEGMENTS, len(objects)) or max(map(len, messages)) <= MAX_OCTETS:
                return messages
            count += 1

    def _message(self, objects: ObjectList, generated_ns: int, segment: int, count: int) -> RoadsideMessage:
        segments = (segment, count) if self._wire_format == WIRE_FORMAT else (0, 1)
        header = Header(self._publisher(), self._wire_format, generated_ns, generated_ns, *segments, b"")
        whole = segment == 0  # what holds for all segments is said once
        return RoadsideMessage(header, self._rsu.station_id, self._position, objects,
                               self._sensors if whole else (), self._regions if whole else ())

    def _publisher(self) -> str:
        """Who the messages are from: the unit's GeoNetworking address, else the site file's name for it."""
        return self._rsu.source or self._rsu.name

    def _with_ids(self, objects: ObjectList) -> ObjectList:
        """Ids as a sender has them: its tracks' numbers modulo 65536, the next free numbers for rows without a track."""
        ids = np.where(objects.track_id >= 0, objects.track_id % 65_536, -1)
        missing = np.flatnonzero(ids < 0)
        ids[missing] = (self._next_id + np.arange(len(missing))) % 65_536
        self._next_id = (self._next_id + len(missing)) % 65_536
        return replace(objects, track_id=ids)


def _on_the_wire(position: GeoPoint) -> GeoPoint:
    """The position rounded as the message carries it, so that objects are relative to what a receiver reads."""
    return GeoPoint(round(position.latitude_deg * 1e7) / 1e7, round(position.longitude_deg * 1e7) / 1e7,
                    round(position.altitude_m * 100) / 100)


def _upright(pose: SE3) -> SE3:
    """The pose as it is: named so that a unit whose mast leans is refused rather than silently straightened."""
    lean = float(np.arccos(np.clip(pose.rotation[2, 2], -1.0, 1.0)))
    if lean > np.radians(1.0):
        raise FrameError(f"map_from_rsu: leans {np.degrees(lean):.1f} degrees, expected an upright frame for its boxes")
    return pose


def _region_around(sensor: SensorInfo, reference_from_rsu: SE3) -> PerceptionRegion:
    angles = np.arange(_REGION_CORNERS) * 2 * np.pi / _REGION_CORNERS
    offset_m = reference_from_rsu.translation_m[:2]
    return PerceptionRegion(offset_m + sensor.range_m * np.stack([np.cos(angles), np.sin(angles)], axis=1), float("nan"))

