import math
from dataclasses import replace

from replay.drive import FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, MemoryDrive
from replay.runner import in_order, run
from tests.replay.drives import drive_info, events


class ListSink:
    def __init__(self):
        self.events = []

    def write(self, event):
        self.events.append(event)


class Relay:
    """Answers each event of one topic with the same payload on another; `held` of them wait for the end."""

    def __init__(self, source, target, held=0):
        self.name = f"{source} to {target}"
        self.source, self.target, self.held, self.waiting = source, target, held, []

    def process(self, event):
        if event.topic != self.source:
            return
        self.waiting.append(replace(event, topic=self.target))
        if len(self.waiting) > self.held:
            yield self.waiting.pop(0)

    def finish(self):
        yield from self.waiting


def test_what_a_stage_makes_reaches_the_stages_behind_it_and_the_sink():
    drive = MemoryDrive(drive_info(), [e for e in events(5) if e.topic == TRUTH])
    sink = ListSink()
    times = run(drive, [Relay(TRUTH, VEHICLE_OBJECTS, held=2), Relay(VEHICLE_OBJECTS, FUSED_TRACKS)], sink)
    assert [e.topic for e in sink.events].count(VEHICLE_OBJECTS) == 5
    assert [e.time_ns for e in sink.events if e.topic == FUSED_TRACKS] == [e.time_ns for e in drive.events()]
    assert [name for name, _ in times.stages] == ["truth to vehicle.objects", "vehicle.objects to fused.tracks"]
    assert [latency.calls for _, latency in times.stages] == [3, 5]  # two came of the first stage's end, not of a call


def test_a_stage_that_made_nothing_has_no_latency():
    times = run(MemoryDrive(drive_info(), []), [Relay(TRUTH, VEHICLE_OBJECTS)])
    assert math.isnan(times.to_json()["truth to vehicle.objects"]["p99"])


def test_streams_are_merged_by_time_then_topic():
    made = events(4)
    merged = list(in_order([e for e in made if e.topic == TRUTH], [e for e in made if e.topic == VEHICLE_OBJECTS]))
    assert [(e.time_ns, e.topic) for e in merged] == sorted((e.time_ns, e.topic) for e in merged)
