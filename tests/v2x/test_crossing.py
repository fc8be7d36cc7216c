import numpy as np

from data_specs.messages import GeoPoint
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS
from tests.v2x.scene import ORIGIN, START_NS, TICK_NS, crossing_events, info, roadside_event, vehicle_event
from v2x.crossing import CrossingWork, crossing_config
from v2x.resume import published_by_key

INFO = info()
SECOND_NS = 1_000_000_000


def worked(work: CrossingWork, events) -> list:
    return [out for event in events for out in work.take(event, repr((event.topic, event.time_ns)).encode())]


def lists(events) -> list:
    return [event for event in events if event.topic == FUSED_TRACKS]


def places(event) -> dict[int, tuple]:
    """Where each track is, by its number, to a decimetre."""
    return {int(id): tuple(np.round(xy, 1)) for id, xy in zip(event.payload.track_id, event.payload.boxes.center_m[:, :2])}


def test_an_event_that_is_read_twice_counts_once():
    events = crossing_events(ticks=10)
    once, twice = CrossingWork(INFO, "test"), CrossingWork(INFO, "test")
    out_once = worked(once, events) + once.finish()
    out_twice = worked(twice, [event for event in events for _ in range(2)]) + twice.finish()
    assert [e.time_ns for e in out_twice] == [e.time_ns for e in out_once]
    assert (twice.repeated, twice.late) == (30, 0)


def test_segments_of_one_message_are_joined_though_other_messages_come_between():
    units = info(("rsu-1", "rsu-2"))
    work, out = CrossingWork(units, "test"), []
    for tick in range(6):
        time_ns = START_NS + tick * TICK_NS
        parts = [roadside_event("rsu-1", time_ns, [[10.0 * segment, 0.0]], segment=segment) for segment in (0, 1)]
        between = [roadside_event("rsu-2", time_ns, [[0.0, 30.0]]), vehicle_event(time_ns, [[0.0, 0.0]])]
        out += worked(work, [parts[0], *between])
        out += work.take(parts[1], b"second")
    out += work.finish()
    of_unit = [e for e in out if e.topic == ROADSIDE_OBJECTS and e.payload.source == "rsu-1"]
    assert [len(e.payload) for e in of_unit] == [2] * 6


def test_a_successor_that_rewinds_publishes_what_is_missing_once_with_the_same_tracks():
    events = crossing_events(ticks=80)
    whole = CrossingWork(INFO, "test")
    expected = worked(whole, events) + whole.finish()
    first = CrossingWork(INFO, "test")
    published = worked(first, events[:150])
    rewound = [event for event in events if event.time_ns >= events[149].time_ns - 3 * SECOND_NS]
    successor = CrossingWork(INFO, "test", published_by_key(("test", event) for event in published)["test"])
    later = worked(successor, rewound) + successor.finish()
    together = [(e.topic, e.time_ns) for e in (*published, *later) if e.topic in (FUSED_TRACKS, ROADSIDE_OBJECTS)]
    assert together == [(e.topic, e.time_ns) for e in expected if e.topic in (FUSED_TRACKS, ROADSIDE_OBJECTS)]
    assert successor.counts["suppressed"] > 0
    assert places(lists(later)[0]).keys() == places(lists(published)[-1]).keys()
    assert places(lists(later)[-1]) == places(lists(expected)[-1])


def test_clocks_that_go_back_begin_the_crossing_anew():
    events = crossing_events(ticks=40)
    back = crossing_events(ticks=40, seed=1)
    work = CrossingWork(INFO, "test")
    worked(work, [*events[60:], *back[:45]])
    assert work.counts["restarts"] == 1
    assert work.late == 19  # until it is certain that it is no single late message
    assert lists(worked(work, back[45:60]))


def test_one_units_clock_that_goes_back_stops_nobody_else():
    events = crossing_events(ticks=40)
    wrong = [roadside_event("rsu-3", START_NS - 3600 * SECOND_NS + i, [[0.0, 0.0]]) for i in range(40)]
    work = CrossingWork(INFO, "test")
    out = worked(work, events[:60]) + worked(work, [e for pair in zip(events[60:], wrong) for e in pair])
    assert work.counts["restarts"] == 0
    assert work.late == 40
    assert len(lists(out)) >= 30


def test_each_crossing_waits_for_its_own_units_and_the_vehicle_for_the_first():
    def crossing(name: str) -> Crossing:
        return Crossing(name, GeoPoint(48.1, 11.5, 520.0), np.zeros((3, 2)), "off")

    rsus = tuple(Rsu(name, name[4:], i, "", "", SE3.identity("map", name)) for i, name in enumerate(("rsu-north", "rsu-south")))
    site = Site((crossing("north"), crossing("south")), rsus)
    city = info()
    city = type(city)("city", ORIGIN, 0, 0, {}, site, "site")
    assert crossing_config(city, "north").expected == ("vehicle", "rsu-north")
    assert crossing_config(city, "south").expected == ("rsu-south",)
    assert crossing_config(city, "elsewhere").expected == ("vehicle", "rsu-north", "rsu-south")
