"""One tracker for any number of sources: a pure step from tracks and one observation to the tracks after it.

Each track is a Kalman state, a running size, a vote on its class, and the probability that it exists at all. An observation is
predicted to, associated, fused, counted as seen or missed; what nobody claims is born as a tentative track, what two tracks
share becomes one, what nobody confirms dies.
Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 11; existence: Musicki,
Evans, Stankovic, Integrated Probabilistic Data Association (IEEE TAC 1994), with detection probabilities learned per track:
a source that has just seen an object is expected to see it again, one that never has says nothing by its silence.
"""
from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from data_specs.arrays import Array
from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList
from v2x.associate import assign, class_penalty, gate2, planar_mahalanobis
from v2x.filter import Estimate, covariance_intersection, update
from v2x.motion import first_speed_sigma_mps, process_noise, transition
from v2x.observation import UNMEASURED_VARIANCE, Observation

NEVER_NS = np.iinfo(np.int64).min // 4
_CLASSES = len(ObjectClass)


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    gate_probability: float = 0.997
    recent_ns: int = 400_000_000  # a source that saw a track this recently is expected to see it again
    p_detect: float = 0.5  # of such a source
    p_detect_unseen: float = 0.02  # of any other: it may be hidden from it
    survival_per_s: float = 0.7
    coasting_survival_per_s: float = 0.05  # of a track that no source has seen recently
    birth_existence: float = 0.5  # of a detection of score 1
    hit_odds: float = 8.0  # what a detection of score 1 multiplies the odds of existence by
    least_existence: float = 0.02
    score_gain: float = 0.25  # how much of a new score enters the running one
    miss_gain: float = 0.15  # how much of the running score a miss takes
    first_score: float = 0.7  # the part of its score that a new track gets
    merge_m: float = 1.0  # two tracks closer than this (or a quarter of their length) may be one object
    output_existence: float = 0.05


@dataclass(frozen=True, slots=True)
class Tracks:
    """t tracks; the last axes of `score`, `seen_ns` and `source_id` count the tracker's sources."""

    id: Array  # [t]
    estimate: Estimate
    size_lwh_m: Array  # [t, 3]
    size_variance_m2: Array  # [t, 3]
    class_log: Array  # [t, classes] unnormalised log probabilities
    existence: Array  # [t]
    score: Array  # [t, s] running score by source, which misses lower
    seen_ns: Array  # [t, s] when a source last saw it
    source_id: Array  # [t, s] what the source called it then

    @classmethod
    def none(cls) -> Tracks:
        estimate = Estimate(np.zeros((0, 6)), np.zeros((0, 6, 6)), np.zeros((0, 6, 6)))
        return cls(np.zeros(0, np.int64), estimate, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, _CLASSES)), np.zeros(0),
                   np.zeros((0, 0)), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64))

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, rows: Array) -> Tracks:
        return Tracks(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def label(self) -> Array:
        """The likeliest class [t]."""
        return self.class_log.argmax(axis=1)

    def followed_by(self, other: Tracks) -> Tracks:
        """These tracks and then the others."""
        a, b = self.estimate, other.estimate
        estimate = Estimate(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(Estimate)))
        rest = {f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)])
                for f in fields(self) if f.name != "estimate"}
        return Tracks(estimate=estimate, **rest)


@dataclass(frozen=True, slots=True)
class TrackerState:
    """All that the tracker remembers. Times never go back: order observations before they come here."""

    time_ns: int | None
    next_id: int
    sources: tuple[str, ...]
    trust: tuple[float, ...]
    tracks: Tracks

    @classmethod
    def start(cls) -> TrackerState:
        return cls(None, 1, (), (), Tracks.none())


def step(state: TrackerState, seen: Observation, config: TrackerConfig) -> TrackerState:
    """The state after one observation, not older than the state."""
    state = _with_source(predict(state, seen.time_ns, config), seen)
    source = state.sources.index(seen.source)
    pairs = _associate(state.tracks, seen, source, config)
    tracks = _fused(state.tracks, seen, pairs, source, config)
    free = np.setdiff1d(np.arange(len(seen)), pairs[:, 1])
    free = free[~_repeats(seen, free)]
    born = _born(seen, free, source, len(state.sources), state.next_id, config)
    tracks = _merged(tracks.followed_by(born), state.time_ns or 0, config)
    tracks = tracks[tracks.existence >= config.least_existence]
    return replace(state, tracks=tracks, next_id=state.next_id + len(born))


def predict(state: TrackerState, time_ns: int, config: TrackerConfig) -> TrackerState:
    """The state at a later time."""
    if state.time_ns is None or not len(state.tracks):
        return replace(state, time_ns=time_ns)
    tracks, dt_s = state.tracks, (time_ns - state.time_ns) / 1e9
    move = transition(np.full(len(tracks), dt_s))
    back = np.swapaxes(move, 1, 2)
    moved = Estimate((move @ tracks.estimate.mean[..., None])[..., 0],
                     move @ tracks.estimate.independent @ back + process_noise(dt_s, tracks.label),
                     move @ tracks.estimate.common @ back)
    coasting = (time_ns - tracks.seen_ns > config.recent_ns).all(axis=1)
    survival_per_s = np.where(coasting, config.coasting_survival_per_s, config.survival_per_s)
    existence = tracks.existence * survival_per_s**dt_s
    return replace(state, time_ns=time_ns, tracks=replace(tracks, estimate=moved, existence=existence))


def objects_of(state: TrackerState, source: str, config: TrackerConfig) -> ObjectList:
    """The tracks as an ObjectList in `map`, all at the state's time, best score first.

    A score is the chance that at least one source is right about the object, by each one's running score and trust, times
    the share of its class in the vote: what two sources see ranks above what one sees, and what nobody sees any more sinks.
    Of what nobody gave a class the chance alone counts.
    """
    tracks = state.tracks[state.tracks.existence >= config.output_existence]
    votes = np.exp(tracks.class_log - tracks.class_log.max(axis=1, keepdims=True, initial=-np.inf))
    share = votes.max(axis=1, initial=0.0) / np.maximum(votes.sum(axis=1), 1e-300)
    share[tracks.label == ObjectClass.UNKNOWN] = 1.0
    trust = np.array(state.trust)
    score = np.clip((1.0 - np.prod(1.0 - tracks.score * trust, axis=1)) * share, 0.0, 1.0)
    order = np.lexsort((tracks.id, -score))
    tracks, score = tracks[order], score[order]
    mean = tracks.estimate.mean
    return ObjectList.build(
        Boxes3D("map", mean[:, :3], tracks.size_lwh_m, _forward_yaw(mean)), source, state.time_ns or 0,
        tracks.label.astype(np.uint8), score=score, existence=np.clip(tracks.existence, 0.0, 1.0).astype(np.float32),
        velocity_mps=mean[:, 4:], covariance=tracks.estimate.covariance, size_sigma_m=np.sqrt(tracks.size_variance_m2),
        track_id=tracks.id,
    )


def _with_source(state: TrackerState, seen: Observation) -> TrackerState:
    """The state with a column for the observation's source."""
    if seen.source in state.sources:
        return state
    tracks, n = state.tracks, len(state.tracks)
    tracks = replace(tracks, score=np.hstack([tracks.score, np.zeros((n, 1))]),
                     seen_ns=np.hstack([tracks.seen_ns, np.full((n, 1), NEVER_NS)]),
                     source_id=np.hstack([tracks.source_id, np.full((n, 1), -1)]))
    return replace(state, sources=(*state.sources, seen.source), trust=(*state.trust, seen.trust), tracks=tracks)


def _associate(tracks: Tracks, seen: Observation, source: int, config: TrackerConfig) -> Array:
    """Matched (track, detection) pairs [m, 2]: gated in x and y; the same name from the same source is a weak hint."""
    if not len(tracks) or not len(seen):
        return np.zeros((0, 2), np.intp)
    mean, covariance = tracks.estimate.mean[:, None], tracks.estimate.covariance[:, None]
    age_s = seen.age_s[None, :, None]
    residual_m = seen.estimate.mean[None, :, :2] - (mean[..., :2] - age_s * mean[..., 4:])
    age_s = age_s[..., None]
    cross = covariance[..., :2, 4:]
    spread = covariance[..., :2, :2] - age_s * (cross + np.swapaxes(cross, -1, -2)) + age_s**2 * covariance[..., 4:, 4:]
    distance2, log_doubt = planar_mahalanobis(residual_m, spread + seen.estimate.covariance[None, :, :2, :2])
    penalty = class_penalty(tracks.label, seen.label) + log_doubt
    same_name = (tracks.source_id[:, source, None] == seen.source_id[None, :]) & (seen.source_id >= 0)[None, :]
    return assign(distance2, penalty - 3.0 * same_name, gate2(2, config.gate_probability))


def _fused(tracks: Tracks, seen: Observation, pairs: Array, source: int, config: TrackerConfig) -> Tracks:
    """The tracks after the matched detections entered them and the missed ones were counted."""
    rows, found = pairs.T
    missed = np.setdiff1d(np.arange(len(tracks)), rows) if seen.sees_others else rows[:0]
    estimate = Estimate(tracks.estimate.mean.copy(), tracks.estimate.independent.copy(), tracks.estimate.common.copy())
    if len(rows):
        after = update(tracks.estimate[rows], seen.estimate[found], transition(-seen.age_s[found]))
        estimate.mean[rows], estimate.independent[rows], estimate.common[rows] = after.mean, after.independent, after.common
    size, variance = tracks.size_lwh_m.copy(), tracks.size_variance_m2 + 1e-4
    gain = variance[rows] / (variance[rows] + seen.size_variance_m2[found])
    size[rows] += gain * (seen.size_lwh_m[found] - size[rows])
    variance[rows] *= 1.0 - gain
    class_log = tracks.class_log.copy()
    class_log[rows] = 0.95 * class_log[rows] + _vote(seen.label[found], seen.score[found])
    score, seen_ns, source_id = tracks.score.copy(), tracks.seen_ns.copy(), tracks.source_id.copy()
    expected = seen.time_ns - seen_ns[missed, source] <= config.recent_ns
    score[rows, source] += config.score_gain * (seen.score[found] - score[rows, source])
    score[missed, source] *= 1.0 - config.miss_gain
    seen_ns[rows, source], source_id[rows, source] = seen.time_ns, seen.source_id[found]
    existence = tracks.existence.copy()
    existence[rows] = _hit(existence[rows], seen.score[found] * seen.existence[found] * seen.trust, config)
    p_detect = np.where(expected, config.p_detect, config.p_detect_unseen)
    existence[missed] *= (1.0 - p_detect) / (1.0 - existence[missed] * p_detect)
    return Tracks(tracks.id, estimate, size, variance, class_log, existence, score, seen_ns, source_id)


def _hit(existence: Array, score: Array, config: TrackerConfig) -> Array:
    odds = existence / np.maximum(1.0 - existence, 1e-6) * (1.0 + (config.hit_odds - 1.0) * score)
    return np.minimum(odds / (1.0 + odds), 0.999)


def _vote(label: Array, score: Array) -> Array:
    """Log likelihoods [n, classes] of a detector's word: right as often as its score says, never beyond doubt."""
    right = np.clip(0.4 + 0.5 * score, 0.4, 0.9)
    votes = np.repeat(np.log((1.0 - right) / (_CLASSES - 1))[:, None], _CLASSES, axis=1)
    votes[np.arange(len(label)), label] = np.log(right)
    votes[label == ObjectClass.UNKNOWN] = 0.0
    return votes


def _repeats(seen: Observation, free: Array) -> Array:
    """Mask [len(free)] of unmatched detections that lie inside a matched or better-scored one of the same list: seen twice."""
    if not len(free):
        return np.zeros(0, bool)
    mean, rank = seen.estimate.mean, seen.score.copy()
    rank[np.setdiff1d(np.arange(len(seen)), free)] = np.inf
    offset_m = mean[free, None, :2] - mean[None, :, :2]
    along = np.abs(offset_m[..., 0] * np.cos(mean[:, 3]) + offset_m[..., 1] * np.sin(mean[:, 3]))
    across = np.abs(offset_m[..., 1] * np.cos(mean[:, 3]) - offset_m[..., 0] * np.sin(mean[:, 3]))
    inside = (along < 0.4 * seen.size_lwh_m[:, 0]) & (across < 0.4 * seen.size_lwh_m[:, 1])
    alike = np.isfinite(class_penalty(seen.label[free], seen.label))
    before = (rank[None, :] > rank[free, None]) | (
        (rank[None, :] == rank[free, None]) & (np.arange(len(seen))[None, :] < free[:, None]))
    return (inside & alike & before).any(axis=1)


def _born(seen: Observation, free: Array, source: int, source_count: int, next_id: int, config: TrackerConfig) -> Tracks:
    n = len(free)
    found = seen.estimate[free]
    speed_variance = first_speed_sigma_mps(seen.label[free]) ** 2
    independent, mean = found.independent.copy(), found.mean.copy()
    for axis in (4, 5):
        unknown = independent[:, axis, axis] >= UNMEASURED_VARIANCE
        independent[unknown, axis, axis] = speed_variance[unknown]
    independent[:, 3, 3] = np.minimum(independent[:, 3, 3], np.pi**2)
    independent[:, 2, 2] = np.minimum(independent[:, 2, 2], 4.0)
    mean[:, :2] += mean[:, 4:] * seen.age_s[free, None]
    score, names = np.zeros((n, source_count)), np.full((n, source_count), -1)
    seen_ns = np.full((n, source_count), NEVER_NS)
    score[:, source] = config.first_score * seen.score[free]
    seen_ns[:, source], names[:, source] = seen.time_ns, seen.source_id[free]
    existence = np.maximum(config.birth_existence * seen.score[free] * seen.existence[free] * seen.trust, 0.05)
    return Tracks(next_id + np.arange(n), Estimate(mean, independent, found.common.copy()), seen.size_lwh_m[free],
                  seen.size_variance_m2[free], _vote(seen.label[free], seen.score[free]), existence, score, seen_ns, names)


def _merged(tracks: Tracks, time_ns: int, config: TrackerConfig) -> Tracks:
    """Tracks that have come to be one object joined into the elder; what one source sees apart stays apart."""
    elder, younger = _twins(tracks, time_ns, config)
    if not len(elder):
        return tracks
    joined = covariance_intersection(tracks.estimate[elder], tracks.estimate[younger])
    estimate = Estimate(tracks.estimate.mean.copy(), tracks.estimate.independent.copy(), tracks.estimate.common.copy())
    estimate.mean[elder], estimate.independent[elder], estimate.common[elder] = joined.mean, joined.independent, joined.common
    newer = tracks.seen_ns[younger] > tracks.seen_ns[elder]
    score, seen_ns, names = tracks.score.copy(), tracks.seen_ns.copy(), tracks.source_id.copy()
    class_log, existence = tracks.class_log.copy(), tracks.existence.copy()
    score[elder] = np.maximum(score[elder], score[younger])
    names[elder] = np.where(newer, names[younger], names[elder])
    seen_ns[elder] = np.maximum(seen_ns[elder], seen_ns[younger])
    class_log[elder] = (class_log[elder] + class_log[younger]) / 2.0
    existence[elder] = np.maximum(existence[elder], existence[younger])
    whole = replace(tracks, estimate=estimate, score=score, seen_ns=seen_ns, source_id=names, class_log=class_log,
                    existence=existence)
    return whole[np.setdiff1d(np.arange(len(tracks)), younger)]


def _twins(tracks: Tracks, time_ns: int, config: TrackerConfig) -> tuple[Array, Array]:
    """Rows (elder [m], younger [m]) of tracks that are one object; each row is named once at most."""
    mean, recent = tracks.estimate.mean, time_ns - tracks.seen_ns <= config.recent_ns
    offset_m = np.linalg.norm(mean[:, None, :2] - mean[None, :, :2], axis=-1)
    near_m = np.maximum(config.merge_m, 0.25 * np.minimum(tracks.size_lwh_m[:, None, 0], tracks.size_lwh_m[None, :, 0]))
    alike = np.isfinite(class_penalty(tracks.label, tracks.label))
    apart = (recent[:, None, :] & recent[None, :, :]).any(axis=2)
    drift_mps = np.linalg.norm(mean[:, None, 4:] - mean[None, :, 4:], axis=-1)
    candidates = np.argwhere(np.triu((offset_m < near_m) & alike & ~apart & (drift_mps < 4.0), 1))
    used: set[int] = set()
    pairs = []
    for a, b in candidates[np.argsort(offset_m[tuple(candidates.T)], kind="stable")].tolist():
        if a not in used and b not in used:
            pairs.append((a, b))
            used |= {a, b}
    rows = np.array(pairs, np.intp).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _forward_yaw(mean: Array) -> Array:
    """Yaw [t] turned round where a moving object would be driving backwards."""
    yaw, speed = mean[:, 3], np.hypot(mean[:, 4], mean[:, 5])
    backwards = (mean[:, 4] * np.cos(yaw) + mean[:, 5] * np.sin(yaw) < 0.0) & (speed > 1.5)
    return np.where(backwards, (yaw + 2.0 * np.pi) % (2.0 * np.pi) - np.pi, yaw)
