"""Logs of V2X messages as drives: the US DOT ODE's JSON records, and J2735 as XML with the time of arrival before it.

A log is read line by line; what cannot be read is counted by reason and told, and the rest becomes a drive. Messages are put in
the order of the times that they refer to. Source: jpo-ode's samples (JSON, one record a line or one a file); the Tampa pilot's
logs (lines of time of arrival in milliseconds, two more columns, and the message frame in XER).
"""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from data_specs.clock import NS_PER_MS
from data_specs.errors import InputError, MissingInput, RoadweaveError
from data_specs.messages import GeoPoint, Message, RoadsideMessage, SignalMessage
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.console import progress
from replay.drive import ROADSIDE_MESSAGES, DriveInfo, Event, TopicInfo
from v2x.codecs import door
from v2x.codecs.xer import value_of
from v2x.geodesy import map_from_geo
from v2x.ode import decode_envelope

_REASONS_TOLD = 6
_CROSSING_HALF_M = 150.0  # of the square around the first place that is said
Line = tuple[str, str]  # where it stands, its text


class MessageLogImporter:
    """Importer of a log, a file or a folder of files. Reads it once on construction.

    MissingInput where there is no file, InputError where no message is in it that can be read.
    """

    def __init__(self, path: Path, kind: str, suffixes: tuple[str, ...], lines: Callable[[Path], Iterator[Line]],
                 message_of: Callable[[str, str, str], Message]) -> None:
        """`lines` gives a file's records, `message_of` (text, publisher, where) the message of one; of a folder, files with one
        of the `suffixes` count."""
        self._path, self._kind, self._skipped = Path(path), kind, Counter[str]()
        self._messages: list[Message] = []
        for file in _files(self._path, suffixes):
            for where, text in progress(list(lines(file)), f"reading {file.name}"):
                self._take(where, text, file.stem, message_of)
        if not self._messages:
            raise InputError(self._path, f"no message that can be read ({self._skipped_words() or 'no record'})", "at least one")
        self._messages.sort(key=lambda message: message.header.generated_ns)
        places = (message.position for message in self._messages if not isinstance(message, SignalMessage))
        first = next(places, GeoPoint(0.0, 0.0, 0.0))
        self._origin = first if first.altitude_m == first.altitude_m else GeoPoint(first.latitude_deg, first.longitude_deg, 0.0)

    def describe(self) -> DriveInfo:
        """What the log holds; `facts` has the counts of what was left out, by reason."""
        times = [message.header.generated_ns for message in self._messages]
        kinds = Counter(type(message).__name__ for message in self._messages)
        return DriveInfo(
            self._path.stem, self._origin, times[0], times[-1],
            {ROADSIDE_MESSAGES: TopicInfo(", ".join(sorted(kinds)), len(times))}, self._site(), self._kind, self._notes(),
            {"source": self._path.name, "skipped": dict(self._skipped), "kinds": dict(kinds),
             "wire_formats": dict(Counter(message.header.wire_format for message in self._messages))})

    def __iter__(self) -> Iterator[Event]:
        for message in self._messages:
            yield Event(message.header.generated_ns, ROADSIDE_MESSAGES, message)

    def __len__(self) -> int:
        return len(self._messages)

    def _take(self, where: str, text: str, publisher: str, message_of: Callable[[str, str, str], Message]) -> None:
        try:
            self._messages.append(message_of(text, publisher, where))
        except RoadweaveError as error:
            got = error.got if isinstance(error, InputError) else str(error)
            self._skipped[f"{type(error).__name__}: {got.splitlines()[0][:80]}"] += 1

    def _site(self) -> Site:
        """Who sent objects, each where it first said to be, around the first place."""
        corners_m = _CROSSING_HALF_M * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        crossing = Crossing(self._path.stem, self._origin, corners_m, "off")
        seen = {message.header.publisher: message for message in reversed(self._messages) if isinstance(message, RoadsideMessage)}
        rsus = [Rsu(name, crossing.id, message.station_id, name, "",
                    SE3("map", name, np.eye(3), map_from_geo(self._origin, [message.position])[0]))
                for name, message in sorted(seen.items())]
        return Site((crossing,), tuple(rsus))

    def _notes(self) -> tuple[str, ...]:
        headers = [message.header for message in self._messages]
        delay_ms = np.array([header.received_ns - header.generated_ns for header in headers]) / NS_PER_MS
        notes = [f"messages were received {np.median(delay_ms):.0f} ms (median) after the time they say they were generated at; "
                 "clocks are left as they were", "publishers are the files that held the messages, or the ODE's originIp"]
        return (*notes, f"left out: {self._skipped_words()}") if self._skipped else tuple(notes)

    def _skipped_words(self) -> str:
        words = [f"{count} of {reason}" for reason, count in self._skipped.most_common(_REASONS_TOLD)]
        return ", ".join(words) + (", and others" if len(self._skipped) > _REASONS_TOLD else "")


def ode_log(path: Path) -> MessageLogImporter:
    """The importer of ODE records."""
    return MessageLogImporter(path, "ode", (".json", ".jsonl"), json_records, _ode_message)


def j2735_xml_log(path: Path) -> MessageLogImporter:
    """The importer of message frames in XML."""
    return MessageLogImporter(path, "j2735-xml", (".csv", ".txt", ".xml", ".log"), xml_records, _xml_message)


def json_records(path: Path) -> Iterator[Line]:
    """Records of a file: one a line, or the whole file one record, or a list of them."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        whole = json.loads(text)
    except ValueError:
        yield from ((f"{path}: line {number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
        return
    records = whole if isinstance(whole, list) else [whole]
    yield from ((f"{path}: record {number}", json.dumps(record)) for number, record in enumerate(records, 1))


def xml_records(path: Path) -> Iterator[Line]:
    """Lines of a log."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        yield from ((f"{path}: line {number}", line) for number, line in enumerate(stream, 1) if line.strip())


def _ode_message(text: str, publisher: str, where: str) -> Message:
    try:
        origin = json.loads(text)["metadata"].get("originIp", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        origin = ""
    return decode_envelope(text, publisher=origin or publisher, where=where)


def _xml_message(text: str, publisher: str, where: str) -> Message:
    """A message frame behind the time of its arrival; its octets are those that its values encode to."""
    received, found, frame = text.partition("<")
    received_ms = received.split(",")[0].strip()
    if not found or not received_ms.isdecimal():
        raise InputError(where, f"{text[:30]!r}", "a time of arrival in milliseconds, and a message frame in XML after a comma")
    try:
        element = ElementTree.fromstring(found + frame.strip())
    except ElementTree.ParseError as error:
        raise InputError(where, f"XML that breaks off ({error})", "a whole message frame") from error
    number = element.findtext("messageId", "").strip()
    row = next((row for row in door.FORMATS if number.isdecimal() and (0, int(number)) in row.openings), None)
    if row is None:
        raise InputError(where, f"messageId {number!r}", "that of a message that is read here")
    octets = row.forms[row.name].encode(value_of(row.forms[row.name].kind, element, where))
    return door.decode(octets, row.name, publisher=publisher, received_ns=int(received_ms) * NS_PER_MS)


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in suffixes)
    if not files:
        raise MissingInput(path, f"a log of messages, or a folder with logs ({', '.join(suffixes)})")
    return files
