"""How well a drive's fused tracks follow its truth: the figures of nuScenes tracking and of HOTA.

They are those of replay/metrics/tracking.py and replay/metrics/hota.py. A drive is one scene and its moments of truth are the
samples; the tracks of a moment are the list within 5 ms. Truths and tracks count within nuScenes' range of the ego; truths to
be ignored do not, nor do those that neither the ego's LiDAR nor a roadside unit has a point of. A sample lasts as long as the
median step between moments: TID and LGD are seconds of the drive.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, SpecError
from data_specs.objects import ObjectList, Truth
from data_specs.results import RunResult, Score
from replay.drive import FUSED_TRACKS, TRUTH, Drive
from replay.metrics import hota, tracking
from replay.metrics.detection import ego_places_m, in_range
from replay.metrics.sources import TOLERANCE_NS, Timeline
from replay.metrics.track_boxes import SampleTimes, TrackBoxes, track_boxes
from replay.metrics.tracking import TRACKING_CLASSES, TrackingProtocol


def evaluate_tracking(drive: Drive, topic: str = FUSED_TRACKS, protocol: TrackingProtocol | None = None) -> RunResult:
    """Score a drive's tracks; InputError if it has no truth, no tracks, or objects that belong to none."""
    protocol = protocol or TrackingProtocol()
    made, wanted, times = read_tracks(drive, topic, protocol)
    if len(times) > 1:
        protocol = replace(protocol, sample_s=float(np.median(np.diff(times.time_ns))) / 1e9)
    figures = tracking.tracking_results(made, wanted, times, protocol)
    hotas = hota.hota_results(made, wanted, times, TRACKING_CLASSES)
    boxes = {cls: int((wanted.label == cls).sum()) for cls in TRACKING_CLASSES}
    scores = _scores("all", tracking.mean_figures(figures), hota.mean_figures(hotas), sum(boxes.values()))
    for cls, count in boxes.items():
        unknown: dict[str, float] = {name: float("nan") for name in hota.FIGURES}
        scores += _scores(cls.title, figures[cls], hotas[cls].figures() if count else unknown, count)
    return RunResult("tracking", (drive.info.drive_id,), tuple(scores))


def read_tracks(drive: Drive, topic: str, protocol: TrackingProtocol) -> tuple[TrackBoxes, TrackBoxes, SampleTimes]:
    """The tracks and the truths that count, and the moments of truth."""
    truths = {event.time_ns: event.payload for event in drive.events(topics=[TRUTH]) if isinstance(event.payload, Truth)}
    said = Timeline([(event.time_ns, event.payload) for event in drive.events(topics=[topic])
                     if isinstance(event.payload, ObjectList)])
    name = drive.info.drive_id
    for what, there, hint in ((TRUTH, truths, ""), (topic, said.lists, "run 'roadweave fuse' first")):
        if not there:
            raise InputError(f"drive {name}", f"no {what}", f"{TRUTH} and {topic}", hint)
    ego_m = ego_places_m(drive)
    made, wanted = [], []
    for time_ns, truth in truths.items():
        if time_ns not in ego_m:
            raise InputError(f"drive {name}, {TRUTH} at {time_ns}", "no ego pose of that time", "one at every moment of truth")
        objects = said.nearest(time_ns, TOLERANCE_NS) or ObjectList.empty("map", topic)
        made.append(objects[in_range(objects, ego_m[time_ns], protocol.range_m)])
        wanted.append(truth.objects[_counts(truth) & in_range(truth.objects, ego_m[time_ns], protocol.range_m)])
    times = SampleTimes(np.zeros(len(truths), np.int64), np.array(list(truths), np.int64))
    try:
        return track_boxes(made), track_boxes(wanted), times
    except SpecError as error:
        raise InputError(f"drive {name}, {topic} and {TRUTH}", str(error), "every object of one track, once a moment") from error


def _counts(truth: Truth) -> Array:
    return ((truth.points_in_box != 0) | (truth.roadside_points > 0)) & ~truth.ignore


def _scores(where: str, figures: dict[str, float], hotas: dict[str, float], count: int) -> list[Score]:
    prefix = "" if where == "all" else f"{where}_"
    rows = [(name, figures[name], unit) for name, unit in tracking.FIGURES.items()]
    rows += [(name, hotas[name], "1") for name in hota.FIGURES]
    return [Score(prefix + name, value, unit, where, count) for name, value, unit in rows]
