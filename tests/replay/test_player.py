"""A player lets events out at their own times, under an injected clock to the nanosecond and in real time closely."""
from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, SpecError
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectList
from data_specs.site import Site
from replay.drive import ROADSIDE_MESSAGES, VEHICLE_OBJECTS, DriveInfo, Event, MemoryDrive, TopicInfo
from replay.player import LAP_GAP_NS, MAX_SPEED, Player

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class HandClock:
    """A clock that moves only while somebody waits on it."""

    def __init__(self) -> None:
        self.time_ns = 0

    def now_ns(self) -> int:
        return self.time_ns

    def wait(self, changed: threading.Condition, timeout_ns: int | None) -> None:
        if timeout_ns is None:
            changed.wait(5.0)
        else:
            self.time_ns += timeout_ns


def objects(time_ns: int) -> ObjectList:
    boxes = Boxes3D("map", np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1))
    return ObjectList.build(boxes, "vehicle", time_ns, np.ones(1, np.uint8))


def drive(*at_ms: int, damaged: bool = False) -> MemoryDrive:
    events = [Event(START_NS + ms * MS, VEHICLE_OBJECTS, objects(START_NS + ms * MS)) for ms in at_ms]
    info = DriveInfo("d", GeoPoint(48.0, 11.0, 0.0), START_NS, START_NS + max(at_ms, default=0) * MS,
                     {VEHICLE_OBJECTS: TopicInfo("ObjectList", len(events))}, Site((), ()), "test")
    return _Damaged(info, events) if damaged else MemoryDrive(info, events)


class _Damaged(MemoryDrive):
    def events(self, *args, **kwargs):
        yield from super().events(*args, **kwargs)
        raise InputError("drive/sensors.mcap", "ends inside a chunk", "whole chunks")


def played(source: MemoryDrive, **options) -> list[tuple[float, float]]:
    """(when let out, the event's time) in ms from the start, of a whole run under a hand clock."""
    clock, out = HandClock(), []

    def take(event: Event) -> None:
        out.append((clock.time_ns / MS, (event.time_ns - START_NS) / MS))

    Player(source, take, clock=clock, **options).play()
    return out


def test_at_speed_one_events_come_at_their_own_times():
    assert played(drive(0, 10, 35)) == [(0.0, 0.0), (10.0, 10.0), (35.0, 35.0)]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.floats(0.01, 100.0))
def test_a_speed_scales_every_wait_alike(at_ms, speed):
    out = played(drive(*at_ms), speed=speed)
    assert [event_ms for _, event_ms in out] == sorted(at_ms)
    for out_ms, event_ms in out:
        assert out_ms == pytest.approx(event_ms / speed, abs=1e-3)


def test_at_max_speed_nothing_waits():
    assert played(drive(0, 500, 1000), speed=MAX_SPEED) == [(0.0, 0.0), (0.0, 500.0), (0.0, 1000.0)]


def test_only_the_times_asked_for_are_played_and_the_first_waits_its_turn():
    out = played(drive(0, 10, 20, 30), start_ns=START_NS + 5 * MS, end_ns=START_NS + 30 * MS)
    assert out == [(5.0, 10.0), (15.0, 20.0)]


def test_in_a_loop_time_goes_on_and_so_do_the_times_inside():
    clock, out = HandClock(), []

    def take(event: Event) -> None:
        assert event.payload.measured_ns.tolist() == [event.time_ns]
        out.append((clock.time_ns / MS, (event.time_ns - START_NS) / MS))
        if len(out) == 5:
            player.stop()

    player = Player(drive(0, 40), take, loop=True, clock=clock)
    assert player.play().laps == 2
    lap_ms = 40 + LAP_GAP_NS / MS
    assert out == [(t, t) for t in (0.0, 40.0, lap_ms, lap_ms + 40.0, 2 * lap_ms)]


def test_a_message_can_be_due_when_it_arrived():
    def message(at_ms: int, delay_ms: int) -> Event:
        header = Header("rsu-1", "etsi-cpm-2.1.1", START_NS + at_ms * MS, START_NS + (at_ms + delay_ms) * MS, 0, 1, b"")
        seen = ObjectList.empty("reference", "rsu-1")
        return Event(header.generated_ns, ROADSIDE_MESSAGES, RoadsideMessage(header, 7, GeoPoint(48.0, 11.0, 0.0), seen, (), ()))

    source = drive(0, 10, 20)
    late = MemoryDrive(source.info, [*source.all_events, message(5, 8), message(6, 3_600_000), message(7, -3)])
    assert played(late, arrivals=True) == [(0.0, 0.0), (7.0, 7.0), (10.0, 10.0), (13.0, 5.0), (20.0, 20.0), (2006.0, 6.0)]


def test_a_loop_over_nothing_ends():
    assert Player(drive(0), lambda e: None, loop=True, start_ns=START_NS + 1, end_ns=START_NS + 2).play().events == 0


def test_a_damaged_drive_is_played_up_to_the_damage():
    out = []
    with pytest.raises(InputError, match="ends inside a chunk"):
        Player(drive(0, 1, damaged=True), out.append, speed=MAX_SPEED).play()
    assert len(out) == 2


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(SpecError, match=r"speed: .*, expected a positive factor"):
        Player(drive(0), lambda e: None, speed=speed)


def test_a_seek_outside_is_refused():
    with pytest.raises(SpecError, match=r"seek: 5, expected 17\d+ to 17\d+, the times that are played"):
        Player(drive(0, 10), lambda e: None).seek(5)


class Hall:
    """A player in a thread of its own and what it has let out."""

    def __init__(self, source: MemoryDrive, **options) -> None:
        self.out: list[float] = []
        self.player = Player(source, lambda e: self.out.append((e.time_ns - START_NS) / MS), **options)
        self.thread = threading.Thread(target=self.player.play, daemon=True)

    def until(self, *out: float) -> None:
        deadline = time.monotonic() + 5.0
        while self.out != list(out) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.out == list(out)


def test_a_paused_player_steps_seeks_and_goes_on():
    hall = Hall(drive(0, 100, 200, 300), speed=1000.0)
    hall.player.pause()
    hall.thread.start()
    time.sleep(0.05)
    hall.until()
    hall.player.step()
    hall.until(0.0)
    hall.player.step()
    hall.until(0.0, 100.0)
    hall.player.seek(START_NS + 300 * MS)
    assert hall.player.position_ns == START_NS + 300 * MS
    hall.player.step()
    hall.until(0.0, 100.0, 300.0)
    hall.player.seek(START_NS + 50 * MS)
    hall.player.resume()
    hall.thread.join(5.0)
    hall.until(0.0, 100.0, 300.0, 100.0, 200.0, 300.0)


def test_time_stands_still_during_a_pause():
    clock, out = HandClock(), []

    def take(event: Event) -> None:
        out.append((clock.time_ns / MS, (event.time_ns - START_NS) / MS))
        if len(out) == 1:
            player.pause()
            clock.time_ns += 7000 * MS
            player.resume()
        if len(out) == 2:
            player.set_speed(0.5)

    player = Player(drive(0, 10, 20), take, clock=clock)
    assert player.play().worst_lag_ns == 0
    assert out == [(0.0, 0.0), (7010.0, 10.0), (7030.0, 20.0)]


def test_a_slow_listener_is_told_of_and_caught_up_with():
    clock, out = HandClock(), []

    def take(event: Event) -> None:
        out.append(clock.time_ns / MS)
        clock.time_ns += 25 * MS if len(out) == 1 else 0

    assert Player(drive(0, 10, 20, 40), take, clock=clock).play().worst_lag_ns == 15 * MS
    assert out == [0.0, 25.0, 25.0, 40.0]


def test_a_lap_lasts_until_what_was_late_in_it_has_come():
    header = Header("rsu-1", "etsi-cpm-2.1.1", START_NS + 30 * MS, START_NS + 100 * MS, 0, 1, b"")
    message = RoadsideMessage(header, 7, GeoPoint(48.0, 11.0, 0.0), ObjectList.empty("reference", "rsu-1"), (), ())
    source, out, clock = drive(0, 40), [], HandClock()
    late = MemoryDrive(source.info, [*source.all_events, Event(header.generated_ns, ROADSIDE_MESSAGES, message)])

    def take(event: Event) -> None:
        out.append(clock.time_ns / MS)
        if len(out) == 4:
            player.stop()

    player = Player(late, take, loop=True, arrivals=True, clock=clock)
    player.play()
    assert out == [0.0, 40.0, 100.0, 100.0 + LAP_GAP_NS / MS]


def test_what_can_be_done_of_an_event_is_done_ahead_and_taken_when_it_is_due():
    assert prepared_and_taken(drive(0, 10, 20)) == (["made 0", "made 10", "made 20"], [(0.0, "made 0"), (10.0, "made 10"),
                                                                                      (20.0, "made 20")])


def prepared_and_taken(source: MemoryDrive) -> tuple[list[str], list[tuple[float, str]]]:
    clock, made, taken = HandClock(), [], []

    def prepare(event: Event) -> str:
        made.append(f"made {(event.time_ns - START_NS) // MS}")
        return made[-1]

    Player(source, lambda text: taken.append((clock.time_ns / MS, text)), prepare=prepare, clock=clock).play()
    return made, taken


class _Unsorted(MemoryDrive):
    def events(self, start_ns=None, end_ns=None, topics=None):
        yield from self.all_events


def test_an_event_after_a_clock_that_jumped_back_is_named_and_all_before_it_is_played():
    out = []
    with pytest.raises(InputError, match=r"drive d, vehicle.objects at 1700000000000005000: 0.005 s before the event that comes "
                                         r"first, expected events in order of time"):
        source = drive(0, 10, 5)
        shifted_back = [*source.all_events[:2], Event(START_NS + 5_000, VEHICLE_OBJECTS, objects(START_NS))]
        late = Event(START_NS + 5_005_000, VEHICLE_OBJECTS, objects(START_NS))
        Player(_Unsorted(source.info, [shifted_back[0], late, shifted_back[2]]), out.append, speed=MAX_SPEED).play()
    assert len(out) == 2


def test_ninety_nine_of_a_hundred_are_told_apart_from_the_one_that_was_very_late():
    clock, out = HandClock(), []

    def take(event: Event) -> None:
        out.append(event)
        clock.time_ns += 50 * MS if len(out) == 200 else 0

    played = Player(drive(*range(0, 2010, 10)), take, clock=clock).play()
    assert (played.worst_lag_ns, played.p99_lag_ns) == (40 * MS, 0)


def test_in_real_time_events_come_within_two_milliseconds():
    came: list[float] = []
    Player(drive(*range(0, 400, 10)), lambda e: came.append(time.perf_counter())).play()
    late_ms = (np.array(came) - came[0]) * 1e3 - np.arange(0, 400, 10)
    assert np.median(np.abs(late_ms)) < 2.0  # the median: this machine may be busy with something else
