"""What befalls events on their way from a played drive to whoever listens: loss, delay, copies, disorder, broken octets, wrong
clocks, units that fall silent.

All of it follows from a seed: what happens to a message is drawn from the seed, the lap, and the message's own topic, time and
octets, so it does not depend on where playing began, on the speed, or on what else is played. Times are those of the drive.
"""
from __future__ import annotations

import heapq
import math
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import Message
from data_specs.site import Site
from replay.drive import ROADSIDE_MESSAGES, DriveInfo, Event
from replay.faults import Link
from replay.shift import shifted

MOST_BITS = 8  # that are wrong in a message with broken octets
_LINK = ("loss", "duplicate", "delay_ms", "jitter_ms")
_OWN = ("reorder", "corrupt", "clock_offset_ms", "seed", "topics", "outage")
_Arrival = tuple[int, int, Event, bool]  # when due, in which order of equals, the event, whether the next one overtakes it


@dataclass(frozen=True, slots=True)
class Outage:
    """A roadside unit that nobody hears from `from_s` to before `to_s`, seconds into the drive."""

    rsu: str
    from_s: float
    to_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.from_s < self.to_s:
            raise SpecError(f"outage of {self.rsu}: {self.from_s} to {self.to_s} s, expected 0 or later, and an end after it")

    @classmethod
    def parse(cls, text: str) -> Outage:
        """An outage from "RSU:FROM-TO"; InputError for other text."""
        rsu, _, span = text.rpartition(":")
        first, _, last = span.partition("-")
        try:
            return cls(rsu, float(first), float(last)) if rsu else cls(rsu, math.nan, math.nan)
        except (ValueError, SpecError) as error:
            raise InputError("--outage", repr(text), "RSU:FROM-TO, seconds into the drive, such as rsu-1:10-12.5") from error


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Chances are of each message of `topics`; the clock's offset is that of every sender."""

    link: Link = field(default_factory=Link)
    reorder: float = 0.0  # chance that the sender's next message overtakes it
    corrupt: float = 0.0  # chance that 1 to MOST_BITS of its bits are wrong
    clock_offset_ms: float = 0.0  # how far senders' clocks are ahead
    outages: tuple[Outage, ...] = ()
    topics: tuple[str, ...] = (ROADSIDE_MESSAGES,)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("reorder", self.reorder), ("corrupt", self.corrupt)):
            if not 0.0 <= value <= 1.0:
                raise SpecError(f"{name}: {value}, expected a chance from 0 to 1")
        if not math.isfinite(self.clock_offset_ms):
            raise SpecError(f"clock_offset_ms: {self.clock_offset_ms}, expected a number of milliseconds")
        if self.seed < 0:
            raise SpecError(f"seed: {self.seed}, expected 0 or more")
        if self.corrupt and self.topics != (ROADSIDE_MESSAGES,):
            raise SpecError(f"corrupt: of {', '.join(self.topics)}, expected {ROADSIDE_MESSAGES} alone: only they are octets")


def read_faults(path: Path | None, given: Mapping[str, Any]) -> Faults:
    """The faults of a TOML file (none: no faults), where `given` counts before the file and adds to its outages.

    Keys are the names of the fields of Link and Faults; outages are tables [[outage]] with rsu, from_s and to_s. MissingInput,
    or InputError that names the file and the key, for what is not so.
    """
    where = "faults" if path is None else str(path)
    said = {} if path is None else _toml(path)
    unknown = sorted(set(said) - {*_LINK, *_OWN})
    if unknown:
        raise InputError(where, f"{unknown[0]!r}", f"one of {', '.join((*_LINK, *_OWN))}")
    outages = [*said.pop("outage", []), *given.get("outage", [])]
    said |= {name: value for name, value in given.items() if name != "outage"}
    try:
        link = Link(**{name: float(said[name]) for name in _LINK if name in said})
        rest = {name: float(said[name]) for name in ("reorder", "corrupt", "clock_offset_ms") if name in said}
        return Faults(link, **rest, outages=tuple(_outage(one) for one in outages),
                      topics=tuple(said.get("topics", (ROADSIDE_MESSAGES,))), seed=int(said.get("seed", 0)))
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(where, str(error), "numbers, and [[outage]] tables with rsu, from_s and to_s") from error


class FaultInjector:
    """Lets faults befall the events of one drive, and counts them in `counts`."""

    def __init__(self, faults: Faults, info: DriveInfo) -> None:
        """InputError for a topic that the drive does not have, and for an outage of a unit that its site does not have."""
        self._faults = faults
        for topic in faults.topics:
            if topic not in info.topics:
                raise InputError("--faults-on", repr(topic), f"one of drive {info.drive_id}: {', '.join(sorted(info.topics))}")
        self._silent = [(_names_of(info.site, outage.rsu), info.start_ns + round(outage.from_s * NS_PER_S),
                         info.start_ns + round(outage.to_s * NS_PER_S)) for outage in faults.outages]
        self.counts: Counter[str] = Counter()

    def strike(self, arrivals: Iterable[tuple[int, Event]], lap: int) -> Iterator[tuple[int, Event]]:
        """(when due, event), in order, of what is left of (when due, event) in order."""
        return self._overtaken(self._on_their_way(arrivals, lap))

    def _on_their_way(self, arrivals: Iterable[tuple[int, Event]], lap: int) -> Iterator[_Arrival]:
        in_the_air: list[_Arrival] = []
        number = 0
        for at_ns, event in arrivals:
            while in_the_air and in_the_air[0][0] <= at_ns:
                yield heapq.heappop(in_the_air)
            for due_ns, arrived, overtaken in self._befallen(at_ns, event, lap):
                heapq.heappush(in_the_air, (due_ns, number, arrived, overtaken))
                number += 1
        while in_the_air:
            yield heapq.heappop(in_the_air)

    def _befallen(self, at_ns: int, event: Event, lap: int) -> Iterator[tuple[int, Event, bool]]:
        """What arrives of one event: when, what, and whether the next one overtakes it."""
        faults = self._faults
        if event.topic not in faults.topics:
            yield at_ns, event, False
            return
        if self._is_silent(event):
            self.counts["silenced"] += 1
            return
        rng = _fate(faults.seed, lap, event)
        arrivals_ns = faults.link.arrivals_ns(at_ns, rng)
        self.counts["lost"] += not arrivals_ns
        self.counts["copies"] += len(arrivals_ns) > 1
        wrong = _with_clock(event, round(faults.clock_offset_ms * NS_PER_MS))
        for due_ns in arrivals_ns:
            self.counts["delayed"] += due_ns > at_ns
            arrived = _received_later(wrong, due_ns - at_ns)
            breaks, overtaken = rng.random(2)
            if breaks < faults.corrupt:
                arrived = _with_wrong_bits(arrived, rng)
                self.counts["corrupted"] += 1
            yield due_ns, arrived, overtaken < faults.reorder

    def _overtaken(self, arrivals: Iterable[_Arrival]) -> Iterator[tuple[int, Event]]:
        """The events, those to be overtaken right after the next one of their sender; at the end where none comes."""
        waiting: dict[str, tuple[int, Event]] = {}
        due_ns = 0
        for due_ns, _, event, overtaken in arrivals:
            sender = _sender(event)
            before = waiting.pop(sender, None)
            if overtaken and before is None:
                waiting[sender] = due_ns, event
                continue
            yield due_ns, event
            if before is not None:
                self.counts["overtaken"] += 1
                yield due_ns, _received_later(before[1], due_ns - before[0])
        for was_due_ns, event in waiting.values():
            yield due_ns, _received_later(event, due_ns - was_due_ns)

    def _is_silent(self, event: Event) -> bool:
        if not isinstance(event.payload, Message):
            return False
        publisher = event.payload.header.publisher
        return any(publisher in names and from_ns <= event.time_ns < to_ns for names, from_ns, to_ns in self._silent)


def _names_of(site: Site, unit: str) -> tuple[str, ...]:
    """The names under which a unit's messages may come; InputError for a unit that the site does not have."""
    for rsu in site.rsus:
        names = tuple(name for name in (rsu.name, rsu.source, rsu.certificate) if name)
        if unit in names:
            return names
    raise InputError("--outage", repr(unit), f"a unit of the drive's site: {', '.join(rsu.name for rsu in site.rsus) or 'none'}")


def _fate(seed: int, lap: int, event: Event) -> np.random.Generator:
    """The generator from which everything is drawn that befalls one event."""
    octets = event.payload.header.raw if isinstance(event.payload, Message) else b""
    return np.random.default_rng([seed, lap, event.time_ns, zlib.crc32(octets, zlib.crc32(event.topic.encode()))])


def _sender(event: Event) -> str:
    return event.payload.header.publisher if isinstance(event.payload, Message) else event.topic


def _with_clock(event: Event, ahead_ns: int) -> Event:
    """The event as a sender dates it whose clock is ahead; when it reached us is told by our own clock."""
    moved = shifted(event, ahead_ns)
    return moved if ahead_ns == 0 else _received_later(moved, -ahead_ns)


def _received_later(event: Event, by_ns: int) -> Event:
    """The event with a later time of receipt, where it has one."""
    if by_ns == 0 or not isinstance(event.payload, Message):
        return event
    header = replace(event.payload.header, received_ns=event.payload.header.received_ns + by_ns)
    return replace(event, payload=replace(event.payload, header=header))


def _with_wrong_bits(event: Event, rng: np.random.Generator) -> Event:
    """A message, 1 to MOST_BITS bits of whose octets are wrong; one without octets stays as it is."""
    message = event.payload
    if not isinstance(message, Message) or not message.header.raw:
        return event
    octets = np.frombuffer(message.header.raw, np.uint8).copy()
    bits = rng.choice(8 * len(octets), min(int(rng.integers(1, MOST_BITS + 1)), 8 * len(octets)), replace=False)
    np.bitwise_xor.at(octets, bits // 8, (128 >> bits % 8).astype(np.uint8))
    return replace(event, payload=replace(message, header=replace(message.header, raw=octets.tobytes())))


def _outage(one: Outage | Mapping[str, Any]) -> Outage:
    return one if isinstance(one, Outage) else Outage(str(one["rsu"]), float(one["from_s"]), float(one["to_s"]))


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingInput(path, "a TOML file of faults")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, str(error), "TOML") from error
