"""Scenes of moving objects and of tracks that follow them badly: gaps, false tracks, switched identities."""
import numpy as np

from replay.metrics.track_boxes import SampleTimes, TrackBoxes
from replay.metrics.tracking import TRACKING_CLASSES

CLASSES = np.array([int(cls) for cls in TRACKING_CLASSES], np.uint8)


def times(scenes=2, samples=12):
    return SampleTimes(np.repeat(np.arange(scenes), samples), np.tile(np.arange(samples) * 500_000_000, scenes))


def boxes_of(rows):
    """Rows (sample, label, x, y, score, track id) as boxes, sorted by sample."""
    table = np.array(rows, float).reshape(-1, 6)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return TrackBoxes(table[:, 0].astype(np.int64), table[:, 1].astype(np.uint8), table[:, 2:4], table[:, 4],
                      table[:, 5].astype(np.int64))


def scenes(seed, when=None, objects=12, place=lambda m: m, noise_m=0.5, classes=CLASSES, offset_m=0.0):
    """Truths and tracks of them at some times. A track is lost now and then, and comes back under a new number or an old one."""
    rng = np.random.default_rng(seed)
    when = times() if when is None else when
    truths, made = [], []
    for scene in np.unique(when.scene):
        rows = np.flatnonzero(when.scene == scene)
        for number in range(objects):
            label, track = rng.choice(classes), 1000 + number
            first, last = np.sort(rng.integers(0, len(rows), 2))
            start_m, step_m = rng.uniform(-30, 30, 2) + offset_m, rng.normal(0, 1.0, 2)
            score = rng.uniform(0.1, 1)
            for k in range(first, last + 1):
                xy_m = place(start_m + step_m * k)
                if rng.uniform() < 0.9:
                    truths.append((rows[k], label, *xy_m, 1.0, number))
                track = 2000 + int(rng.integers(0, 3 * objects)) if rng.uniform() < 0.05 else track
                if rng.uniform() < 0.8:
                    made.append((rows[k], label, *place(xy_m + rng.normal(0, noise_m, 2)),
                                 np.clip(np.round(score + rng.normal(0, 0.1), 1), 0, 1), track))
        for number in range(objects // 2):
            label = rng.choice(classes)
            made += [(rows[k], label, *place(rng.uniform(-30, 30, 2) + offset_m), np.round(rng.uniform(0, 0.6), 1), 9000 + number)
                     for k in range(*np.sort(rng.integers(0, len(rows), 2)))]
    return boxes_of(without_doubles(truths)), boxes_of(without_doubles(made)), when


def without_doubles(rows):
    """The rows without a second box of a track in a sample."""
    return list({(row[0], row[5]): row for row in rows}.values())
