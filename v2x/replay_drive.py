"""A drive played onto a bus: which stretch of it, how fast, what goes wrong on the way, and who steers it.

What was published is told by its hash: the same drive with the same faults and seed gives the same records, octet for octet. With
`memory:` nothing leaves the process: a rehearsal, which tells times, counts and the hash.
"""
from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError
from data_specs.messages import Message
from replay.arrival import MAX_DELAY_NS
from replay.bus import BusRecord
from replay.drive import Drive, Event
from replay.player import Played, Player
from replay.player_control import Control, control_socket
from replay.player_faults import FaultInjector, Faults
from replay.recorded import open_drive
from v2x.bus_drive import BusSink, Publisher, on_interrupt, travelling
from v2x.buses import MEMORY, open_bus

READ_AHEAD = 512  # events: none of what travels is large, and a second of a busy crossing fits
SWITCH_S = 0.0005  # how long another thread of this process may keep the one that plays from running


@dataclass(frozen=True, slots=True)
class Stretch:
    """What of a drive is played, and how. Seconds count from the drive's start."""

    speed: float = 1.0
    from_s: float = 0.0
    to_s: float | None = None  # None: its end
    loop: bool = False
    step: bool = False  # paused from the start, one event at a time
    topics: tuple[str, ...] = ()  # none: all that travel
    faults: Faults | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it."""

    played: Played
    published: Mapping[str, int]  # records by topic
    faults: Mapping[str, int]  # how often each befell a message
    wrong_clocks: Mapping[str, int]  # messages that came before they were sent, or long after, by publisher
    sha256: str  # of all records in order


class Target(Publisher, Protocol):
    """Where records go."""

    def ready(self, topics: Sequence[str]) -> None: ...
    def flush(self, timeout_s: float = 10.0) -> None: ...
    def close(self) -> None: ...


class Rehearsal:
    """A target that nobody listens to, and that keeps nothing."""

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        return None

    def ready(self, topics: Sequence[str]) -> None:
        return None

    def flush(self, timeout_s: float = 10.0) -> None:
        return None

    def close(self) -> None:
        return None


class Hashed:
    """A publisher that keeps the hash of all it passes on."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher, self._hash = publisher, hashlib.sha256()

    def publish(self, topic: str, value: bytes, *, key: str, time_ns: int, headers: Mapping[str, bytes] | None = None) -> None:
        self._publisher.publish(topic, value, key=key, time_ns=time_ns, headers=headers)
        said = [part for name, content in sorted((headers or {}).items()) for part in (name.encode(), content)]
        for part in (topic.encode(), key.encode(), b"%d" % time_ns, value, *said):
            self._hash.update(len(part).to_bytes(8, "big") + part)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def replay_drive(path: Path, url: str, stretch: Stretch, control: Path | None = None) -> Replayed:
    """Play the drive at `path` onto the bus at `url`; Ctrl-C ends it as the drive's end does.

    At a terminal keys steer it; with `control` so does whoever connects to the socket there. InputError where there is nothing
    to play, or nobody who could step; BusError where no broker answers; what the drive raises, after all that is whole before it.
    """
    drive = open_drive(path)
    _, _, names = bounds_ns(drive, stretch)
    if stretch.faults is not None:
        FaultInjector(stretch.faults, drive.info)  # so that faults that this drive cannot have are told before the bus is asked
    if stretch.step and control is None and not sys.stdin.isatty():
        raise InputError("--step", "standard input is no terminal", "a terminal to press keys in, or --control PATH")
    target = Rehearsal() if url in (MEMORY, MEMORY.rstrip(":")) else open_bus(url)
    try:
        target.ready(names)
        replayed = play_onto(target, drive, stretch, lambda player: _steered(player, drive.info.start_ns, control))
        target.flush()
    finally:
        target.close()
    return replayed


def play_onto(target: Publisher, drive: Drive, stretch: Stretch,
              steered: Callable[[Player], AbstractContextManager[object]] = nullcontext) -> Replayed:
    """Play a stretch of a drive into a publisher, `steered` as long as it lasts. Raises what the drive and the target raise."""
    start_ns, end_ns, names = bounds_ns(drive, stretch)
    faults = None if stretch.faults is None else FaultInjector(stretch.faults, drive.info)
    hashed, wrong_clocks = Hashed(target), Counter[str]()
    sink = BusSink(hashed, drive.info)

    def prepare(event: Event) -> BusRecord:
        if isinstance(event.payload, Message) and not 0 <= event.payload.header.received_ns - event.time_ns <= MAX_DELAY_NS:
            wrong_clocks[event.payload.header.publisher] += 1
        return sink.record(event)

    player = Player(drive, sink.publish, speed=stretch.speed, start_ns=start_ns, end_ns=end_ns, topics=names, loop=stretch.loop,
                    arrivals=True, faults=faults, prepare=prepare, read_ahead=READ_AHEAD)
    if stretch.step:
        player.pause()
    with prompt_threads(), steered(player):
        played = player.play()
    return Replayed(played, dict(sink.counts), {} if faults is None else dict(+faults.counts), dict(wrong_clocks), hashed.sha256)


def bounds_ns(drive: Drive, stretch: Stretch) -> tuple[int, int, list[str]]:
    """From when to before when, and which topics: InputError where the drive has nothing there."""
    info = drive.info
    names = travelling(info, stretch.topics)
    first_ns = info.start_ns + round(stretch.from_s * NS_PER_S)
    end_ns = info.end_ns + 1 if stretch.to_s is None else info.start_ns + round(stretch.to_s * NS_PER_S)
    said = f"{stretch.from_s} to {'the end' if stretch.to_s is None else stretch.to_s} s"
    if first_ns > info.end_ns or end_ns <= first_ns:
        raise InputError("--from, --to", said, f"a stretch of the {info.duration_s:.1f} s of drive {info.drive_id}")
    if next(iter(drive.events(first_ns, end_ns, names)), None) is None:
        raise InputError(f"drive {info.drive_id}, {said}", f"no event of {', '.join(names)}", "at least one")
    return first_ns, end_ns, names


@contextmanager
def prompt_threads() -> Iterator[None]:
    """Inside the block a thread that becomes due waits SWITCH_S for another at most, not Python's usual 5 ms."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


@contextmanager
def _steered(player: Player, start_ns: int, socket: Path | None) -> Iterator[None]:
    """Inside the block Ctrl-C stops the player, and keys and the socket steer it."""
    from replay.player_keys import terminal_keys

    control = Control(player, start_ns)
    with ExitStack() as entered:
        entered.enter_context(on_interrupt(player.stop))
        if socket is not None:
            entered.enter_context(control_socket(control, socket))
        entered.enter_context(terminal_keys(control))
        yield
