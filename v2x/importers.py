"""A radio capture as a drive: every collective perception message in it becomes an event with its octets kept.

Publishers are told apart by their GeoNetworking source address, never by stationId, which stations use as they like.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_specs.errors import DecodeError, InputError
from data_specs.messages import GeoPoint, RoadsideMessage
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.console import progress
from replay.drive import ROADSIDE_MESSAGES, DriveInfo, Event, TopicInfo
from v2x.captured import Captured
from v2x.codecs import decode
from v2x.codecs.geonet import PORT_CPM, PORTS, ForeignPacket, unwrap
from v2x.geodesy import map_from_geo
from v2x.pcap import read_pcap

_REASONS_TOLD = 6  # in one note
_CROSSING_HALF_M = 150.0  # of the square around the first reference position that the made-up site file calls a crossing


class PcapImporter:
    """Importer of an Ethernet pcap file. Reads it once on construction; packets that are no CPM are counted and left out.

    Raises MissingInput, UnknownFormat, TruncatedInput as `read_pcap` does, InputError where no CPM is in the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._skipped: Counter[str] = Counter()
        packets = progress(list(read_pcap(self._path)), f"decoding {self._path.name}")
        self._messages = sorted((message for packet in packets if (message := self._message(packet))),
                                key=lambda message: message.header.generated_ns)
        if not self._messages:
            raise InputError(self._path, f"no CPM ({self._skipped_words() or 'no packet'})", "at least one")
        first = self._messages[0].position
        self._origin = first if first.altitude_m == first.altitude_m else GeoPoint(
            first.latitude_deg, first.longitude_deg, 0.0)

    def describe(self) -> DriveInfo:
        """What the capture holds; `facts` has the counts of what was left out, by reason."""
        times = [message.header.generated_ns for message in self._messages]
        return DriveInfo(
            drive_id=self._path.stem, origin=self._origin, start_ns=times[0], end_ns=times[-1],
            topics={ROADSIDE_MESSAGES: TopicInfo("RoadsideMessage", len(times))},
            site=self._site(), importer="pcap", notes=self._notes(),
            facts={"source": self._path.name, "skipped": dict(self._skipped),
                   "objects": sum(len(message.objects) for message in self._messages),
                   "wire_formats": dict(Counter(message.header.wire_format for message in self._messages))},
        )

    def __iter__(self) -> Iterator[Event]:
        for message in self._messages:
            yield Event(message.header.generated_ns, ROADSIDE_MESSAGES, message)

    def __len__(self) -> int:
        return len(self._messages)

    def _message(self, packet: Captured) -> RoadsideMessage | None:
        """The CPM of a packet, else None with the reason counted."""
        try:
            found = unwrap(packet.data)
            if found.port != PORT_CPM:
                raise ForeignPacket(f"BTP port {found.port} ({PORTS.get(found.port, 'unknown')})")
            message = decode(found.payload, publisher=found.source, received_ns=packet.received_ns)
        except ForeignPacket as error:
            self._skipped[error.reason] += 1
            return None
        except DecodeError as error:
            self._skipped[f"CPM that breaks its standard at {error.where.partition(',')[0]}"] += 1
            return None
        return message if isinstance(message, RoadsideMessage) else None

    def _site(self) -> Site:
        """The publishers seen, each where it first said to be, around the first one's reference position."""
        corners_m = _CROSSING_HALF_M * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        crossing = Crossing(self._path.stem, self._origin, corners_m, "off")
        first_seen = {message.header.publisher: message for message in reversed(self._messages)}
        rsus = []
        for address, message in sorted(first_seen.items()):
            place_m = map_from_geo(self._origin, [message.position])[0]
            rsus.append(Rsu(address, crossing.id, message.station_id, address, "", SE3("map", address, np.eye(3), place_m)))
        return Site((crossing,), tuple(rsus))

    def _notes(self) -> tuple[str, ...]:
        headers = [message.header for message in self._messages]
        delay_ms = np.array([header.received_ns - header.generated_ns for header in headers]) / 1e6
        notes = [f"messages were received {np.median(delay_ms):.0f} ms (median) after the time they say they were generated at; "
                 "clocks are left as they were"]
        if self._skipped:
            notes.append(f"left out: {self._skipped_words()}")
        return tuple(notes)

    def _skipped_words(self) -> str:
        """The commonest reasons and their counts; all of them stand in the facts."""
        words = [f"{count} packets of {reason}" for reason, count in self._skipped.most_common(_REASONS_TOLD)]
        return ", ".join(words) + (", and others" if len(self._skipped) > _REASONS_TOLD else "")
