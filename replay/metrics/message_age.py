"""How late messages come, how old what is known is, and how many octets it took: from messages' headers alone.

- latency_p50_ms, p95, p99, max: from the time a message refers to until it was received, over messages.
- age_mean_ms, age_p50_ms, p95, p99: age of information, over time: at any moment the time since the newest moment that a received
  message refers to. Age grows with time and falls when something newer comes; the mean is the area under it by its length.
- age_peak_ms: the mean of its peaks, just before something newer came.
- bytes_per_s: octets of the messages by the seconds from the first received to the last.
- average_byte: DAIR-V2X's AB, octets by frames of the vehicle: its moments of truth, or its samples where there is no truth.
  Theirs counts 8 octets for each number that a model hands over; ours are the messages' own, as they went over the wire.
Slices are "all" (messages of all units together: what any of them knows) and each publisher. Both clocks are the header's: where
they are not one clock, latency and age hold their difference. Empty case: NaN without messages; a rate or an age needs two.
Sources: Kaul, Yates, Gruteser, Real-Time Status: How Often Should One Update? (INFOCOM 2012); Costa, Codreanu, Ephremides, Age of
Information with Packet Management (ISIT 2014) for the peaks; for AB github.com/AIR-THU/DAIR-V2X,
v2x/models/model_utils/channel.py.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.errors import InputError
from data_specs.results import RunResult, Score
from replay.drive import EGO_SAMPLES, ROADSIDE_MESSAGES, TRUTH, Drive

SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Received:
    """Messages in the order in which they were received."""

    generated_ns: Annotated[Array, Spec("i8", "n")]
    received_ns: Annotated[Array, Spec("i8", "n")]
    octets: Annotated[Array, Spec("i8", "n")]

    def __post_init__(self) -> None:
        lock_fields(self)

    def newest_ns(self) -> Array:
        """After each message [n], the newest moment that any message so far refers to."""
        return np.maximum.accumulate(self.generated_ns)

    def age_at_ns(self, time_ns: Array) -> Array:
        """How old the newest word is at each time [k], f8; NaN where none has come."""
        place = np.searchsorted(self.received_ns, time_ns, side="right") - 1
        if not len(self.received_ns):
            return np.full(len(place), np.nan)
        return np.where(place >= 0, (time_ns - self.newest_ns()[place]).astype(float), np.nan)

    def age_spans_ms(self) -> tuple[Array, Array]:
        """Between the messages [n - 1], the age just after the one came and just before the next."""
        newest = self.newest_ns()[:-1]
        return (self.received_ns[:-1] - newest) / 1e6, (self.received_ns[1:] - newest) / 1e6


def received_of(drive: Drive) -> dict[str, Received]:
    """The messages of all units ("all") and of each publisher, by name; a drive without messages has those of "all", none."""
    rows = [(header.received_ns, header.generated_ns, len(header.raw), header.publisher)
            for header in (getattr(event.payload, "header", None) for event in drive.events(topics=[ROADSIDE_MESSAGES]))
            if header is not None]
    rows.sort()
    table = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    publisher = np.array([row[3] for row in rows], str)
    parts = {"all": np.ones(len(rows), bool)} | {str(name): publisher == name for name in np.unique(publisher)}
    return {name: Received(table[rows, 1], table[rows, 0], table[rows, 2]) for name, rows in parts.items()}


def evaluate_messages(drive: Drive) -> RunResult:
    """Latency, age and octets of a drive's messages; InputError where it has none."""
    if ROADSIDE_MESSAGES not in drive.info.topics:
        raise InputError(f"drive {drive.info.drive_id}", f"no {ROADSIDE_MESSAGES}", "messages, as 'roadweave fuse' records them")
    frames_of = TRUTH if TRUTH in drive.info.topics else EGO_SAMPLES
    frames = drive.info.topics[frames_of].count if frames_of in drive.info.topics else 0
    scores = [score for name, received in received_of(drive).items() for score in message_scores(received, frames, name)]
    return RunResult("messages", (drive.info.drive_id,), tuple(scores))


def message_scores(received: Received, frames: int, where: str) -> Iterator[Score]:
    """The scores of one slice; `frames` is how many frames of the vehicle they were for."""
    count = len(received.received_ns)
    latency_ms = (received.received_ns - received.generated_ns) / 1e6
    for share in SHARES:
        yield Score(f"latency_p{share}_ms", float(np.percentile(latency_ms, share)) if count else np.nan, "ms", where, count)
    yield Score("latency_max_ms", float(latency_ms.max()) if count else np.nan, "ms", where, count)
    begin_ms, end_ms = received.age_spans_ms()
    peaks = np.diff(received.newest_ns()) > 0
    yield Score("age_mean_ms", mean_age_ms(begin_ms, end_ms), "ms", where, count)
    for share in SHARES:
        yield Score(f"age_p{share}_ms", age_percentile_ms(begin_ms, end_ms, share), "ms", where, count)
    yield Score("age_peak_ms", float(end_ms[peaks].mean()) if peaks.any() else np.nan, "ms", where, int(peaks.sum()))
    lasted_s = float(received.received_ns[-1] - received.received_ns[0]) / 1e9 if count else 0.0
    octets = float(received.octets.sum())
    yield Score("bytes_per_s", octets / lasted_s if lasted_s else np.nan, "B/s", where, count)
    yield Score("average_byte", octets / frames if frames else np.nan, "B", where, frames)


def mean_age_ms(begin_ms: Array, end_ms: Array) -> float:
    """The mean over time of an age that grows from each begin [n] to its end [n] at the pace of time; NaN without time."""
    length_ms = end_ms - begin_ms
    total_ms = length_ms.sum()
    return float((length_ms * (begin_ms + end_ms) / 2).sum() / total_ms) if total_ms else float("nan")


def age_percentile_ms(begin_ms: Array, end_ms: Array, share: float) -> float:
    """The age that is not exceeded for `share` % of the time, exactly: each span [n] is even between its begin and its end."""
    total_ms = (end_ms - begin_ms).sum()
    if not total_ms:
        return float("nan")
    edges_ms = np.unique(np.concatenate([begin_ms, end_ms]))
    growing = np.searchsorted(np.sort(begin_ms), edges_ms, "right") - np.searchsorted(np.sort(end_ms), edges_ms, "right")
    below_ms = np.concatenate([[0.0], np.cumsum(growing[:-1] * np.diff(edges_ms))])
    return float(np.interp(share / 100 * total_ms, below_ms, edges_ms))
