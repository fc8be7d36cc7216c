"""Plays a drive as it happened: events come out at their own times, faster, slower, or as fast as they can be read.

One thread plays (`play` blocks), any thread may pause, resume, step, seek, change the speed or stop. A second thread reads
ahead, so that decoding never delays what is due. With `loop` the drive starts over at its end and time goes on: everything in
the second lap carries times one lap later (replay/shift.py), so that whoever listens never sees time run backwards.

An operating system wakes a sleeper late, by up to some milliseconds where it is busy: the last millisecond before an event is
waited for in a loop instead, so that at speed 1 events come within 2 ms of their times (tests/bench/bench_replay.py).
"""
from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from data_specs.errors import InputError, SpecError
from replay.arrival import by_arrival
from replay.drive import Drive, Event
from replay.player_faults import FaultInjector
from replay.shift import shifted

MAX_SPEED = math.inf
LAP_GAP_NS = 100_000_000  # between a lap's end and the next one's start: one period of a LiDAR
READ_AHEAD = 16  # events
SPIN_NS = 1_000_000  # before an event is due: how long is waited in a loop
LAGS_KEPT = 100_000


class Clock(Protocol):
    """Time, as the player needs it; a test brings its own."""

    def now_ns(self) -> int: ...

    def wait(self, changed: threading.Condition, timeout_ns: int | None) -> None:
        """Wait until `changed` is notified, or until the timeout."""
        ...


class WallClock:
    """The machine's own monotonic clock. It never runs backwards, whatever happens to the time of day."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def wait(self, changed: threading.Condition, timeout_ns: int | None) -> None:
        if timeout_ns is None:
            changed.wait()
        elif timeout_ns > SPIN_NS:
            changed.wait((timeout_ns - SPIN_NS) / 1e9)
        else:
            due_ns = time.perf_counter_ns() + timeout_ns
            while time.perf_counter_ns() < due_ns:
                pass


@dataclass(frozen=True, slots=True)
class Played:
    """What came of playing."""

    events: int
    laps: int  # completed
    worst_lag_ns: int  # how late the latest event was let out; 0 at MAX_SPEED
    p99_lag_ns: int  # 99 of 100 events were let out no later than this (of the last LAGS_KEPT that had a time)


class Player:
    """Plays the events of a drive with start_ns <= time < end_ns into `take`, one call an event, from one thread."""

    def __init__(self, drive: Drive, take: Callable[[Any], None], *, speed: float = 1.0, start_ns: int | None = None,
                 end_ns: int | None = None, topics: Sequence[str] | None = None, loop: bool = False,
                 arrivals: bool = False, faults: FaultInjector | None = None, prepare: Callable[[Event], Any] | None = None,
                 read_ahead: int = READ_AHEAD, clock: Clock | None = None) -> None:
        """With `arrivals` an event is due when it reached us (replay/arrival.py), not when it was measured.

        `faults` befall events on their way, before they are due. `prepare` does what can be done of an event before it is due,
        in the thread that reads ahead, and `take` gets what it returned. `read_ahead` is how many events are held ready.
        """
        info = drive.info
        self._drive, self._take, self._topics, self._loop, self._arrivals = drive, take, topics, loop, arrivals
        self._faults, self._prepare, self._read_ahead = faults, prepare, read_ahead
        self._clock = clock or WallClock()
        self._start_ns = info.start_ns if start_ns is None else start_ns
        self._end_ns = info.end_ns + 1 if end_ns is None else end_ns
        self._changed = threading.Condition()
        self._speed = _checked(speed)
        self._paused = self._stopped = False
        self._steps = 0
        self._seek_ns: int | None = None
        self._shift_ns = 0  # what later laps add to an event's time
        self._anchored_ns: int | None = None  # the clock's time at which `_anchor_ns` is due; None until playing has got going
        self._anchor_ns = self._next_ns = self._last_ns = self._start_ns
        self._events = self._laps = self._worst_lag_ns = 0
        self._lags_ns: deque[int] = deque(maxlen=LAGS_KEPT)

    @property
    def played(self) -> Played:
        """What came of playing so far."""
        p99_ns = round(np.percentile(self._lags_ns, 99.0)) if self._lags_ns else 0
        return Played(self._events, self._laps, self._worst_lag_ns, p99_ns)

    @property
    def events(self) -> int:
        """How many were let out so far."""
        return self._events

    @property
    def laps(self) -> int:
        """How many were completed."""
        return self._laps

    @property
    def span_ns(self) -> tuple[int, int]:
        """What is played: from the first of these times to before the second."""
        return self._start_ns, self._end_ns

    @property
    def position_ns(self) -> int:
        """Time in the drive of the event last let out; where playing starts or was sought to, before one was."""
        return self._last_ns

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def speed(self) -> float:
        return self._speed

    def play(self) -> Played:
        """Play until the end, or until `stop`. Raises what the drive raises, after all that is whole before it."""
        at_ns = self._start_ns
        while at_ns is not None:
            at_ns = self._play_from(at_ns)
        return self.played

    def pause(self) -> None:
        """Hold still before the next event."""
        with self._changed:
            self._reanchor()
            self._paused = True
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on from where playing was held."""
        with self._changed:
            self._reanchor()
            self._paused, self._steps = False, 0
            self._changed.notify_all()

    def step(self) -> None:
        """Let one more event out of a paused player."""
        with self._changed:
            self._steps += 1
            self._changed.notify_all()

    def seek(self, time_ns: int) -> None:
        """Go on from a time in the drive; SpecError outside of what is played. A paused player stays paused there."""
        if not self._start_ns <= time_ns < self._end_ns:
            raise SpecError(f"seek: {time_ns}, expected {self._start_ns} to {self._end_ns - 1}, the times that are played")
        with self._changed:
            self._seek_ns = self._last_ns = time_ns
            self._changed.notify_all()

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; MAX_SPEED lets go of time altogether."""
        with self._changed:
            self._reanchor()
            self._speed = _checked(speed)
            self._changed.notify_all()

    def stop(self) -> None:
        """End playing: `play` returns."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _play_from(self, at_ns: int) -> int | None:
        """Play up to the end, a seek or a stop; where to go on, or None."""
        reader = _ReadAhead(self._ready(at_ns, self._shift_ns), self._read_ahead)
        played = due_ns = 0
        try:
            for due_ns, time_ns, ready in reader:
                if not self._turn_comes(due_ns + self._shift_ns, at_ns + self._shift_ns):
                    return self._sought()
                self._last_ns = time_ns
                self._take(ready)
                played += 1
        finally:
            reader.close()
        self._laps += 1
        if not self._loop or played == 0:
            return self._sought_at_the_end()
        self._shift_ns += max(self._end_ns - 1, due_ns) - self._start_ns + LAP_GAP_NS  # what was late belongs to its own lap
        return self._start_ns

    def _ready(self, at_ns: int, shift_ns: int) -> Iterator[_Ready]:
        """What one lap lets out from a time on, in order."""
        events = _forwards(self._drive.events(at_ns, self._end_ns, self._topics), self._drive.info.drive_id)
        due = by_arrival(events) if self._arrivals else ((event.time_ns, event) for event in events)
        for due_ns, event in due if self._faults is None else self._faults.strike(due, self._laps):
            moved = shifted(event, shift_ns)
            yield _Ready(due_ns, event.time_ns, moved if self._prepare is None else self._prepare(moved))

    def _turn_comes(self, due_ns: int, began_ns: int) -> bool:
        """Wait until it is `due_ns` by the time that is played; False where a seek or a stop comes first."""
        with self._changed:
            self._next_ns = due_ns
            if self._anchored_ns is None:  # time starts when the first event is at hand: reading it must not make it late
                self._anchor_ns, self._anchored_ns = began_ns, self._clock.now_ns()
            while True:
                if self._stopped or self._seek_ns is not None:
                    return False
                if not self._paused:
                    lag_ns = self._lag_ns(due_ns)
                    if lag_ns >= 0:
                        self._count_lag(lag_ns)
                        break
                    self._clock.wait(self._changed, -lag_ns)
                elif self._steps:
                    self._steps -= 1
                    self._anchor_ns = due_ns
                    break
                else:
                    self._clock.wait(self._changed, None)
            self._events += 1
            return True

    def _count_lag(self, lag_ns: int) -> None:
        if self._speed != MAX_SPEED:
            self._lags_ns.append(lag_ns)
            self._worst_lag_ns = max(self._worst_lag_ns, lag_ns)

    def _lag_ns(self, due_ns: int) -> int:
        """How long ago the event of a time was due; negative where it still is to wait."""
        if self._speed == MAX_SPEED or self._anchored_ns is None:
            return 0
        return self._clock.now_ns() - self._anchored_ns - round((due_ns - self._anchor_ns) / self._speed)

    def _sought_at_the_end(self) -> int | None:
        """A paused player does not end at the last event: somebody is looking, and may seek back."""
        with self._changed:
            while self._paused and not self._stopped and self._seek_ns is None:
                self._clock.wait(self._changed, None)
        return self._sought()

    def _sought(self) -> int | None:
        with self._changed:
            at_ns, self._seek_ns, self._anchored_ns = self._seek_ns, None, None
            return None if self._stopped else at_ns

    def _reanchor(self) -> None:
        """Count time anew from the present place, before the speed of time changes."""
        if self._anchored_ns is None:
            return
        now_ns = self._clock.now_ns()
        if self._speed == MAX_SPEED and not self._paused:
            self._anchor_ns = self._next_ns
        elif not self._paused:
            passed_ns = round((now_ns - self._anchored_ns) * self._speed)
            self._anchor_ns = min(self._anchor_ns + passed_ns, self._next_ns)  # never past what is still to come
        self._anchored_ns = now_ns


class _Ready(NamedTuple):
    """What is let out next. Times are those of the drive, without what later laps add."""

    due_ns: int
    time_ns: int  # of the event
    content: Any  # the event, or what was prepared of it


class _ReadAhead:
    """Reads in a thread of its own, a few ahead; iterating gives what was read, or raises what reading raised."""

    def __init__(self, events: Iterator[_Ready], most: int) -> None:
        self._queue: queue.Queue[_Ready | BaseException | None] = queue.Queue(most)
        self._closed = False
        self._thread = threading.Thread(target=self._read, args=(events,), name="read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Ready]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop reading and wait for the thread: a drive is read by one thread at a time."""
        self._closed = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.01)  # a reader that waits for room finds some, and sees that it is closed
            except queue.Empty:
                continue
        self._thread.join()

    def _read(self, events: Iterator[_Ready]) -> None:
        try:
            for event in events:
                self._queue.put(event)
                if self._closed:
                    return
        except BaseException as error:  # told where the events are taken
            self._queue.put(error)
        else:
            self._queue.put(None)


def _forwards(events: Iterable[Event], drive_id: str) -> Iterator[Event]:
    """The events; InputError where one is earlier than the one before it, as after a clock that jumped back."""
    last_ns = 0
    for event in events:
        if event.time_ns < last_ns:
            raise InputError(f"drive {drive_id}, {event.topic} at {event.time_ns}",
                             f"{(last_ns - event.time_ns) / 1e9:.3f} s before the event that comes first",
                             "events in order of time: its clock jumped back, or the drive was not sorted")
        last_ns = event.time_ns
        yield event


def _checked(speed: float) -> float:
    if not speed > 0.0:  # refuses NaN too
        raise SpecError(f"speed: {speed}, expected a positive factor, or infinity for as fast as possible")
    return speed
