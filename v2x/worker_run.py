"""Running a fusion worker as a process of its own: until told to stop, across brokers that go and come back, with metrics.

A worker whose bus is away for a while waits; one whose bus fails between reading and committing is thrown away with all it
holds: that is read again by the next one, which rewinds and goes on, so nothing needs to be saved. Only the first contact
with the bus must succeed.
"""
from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from data_specs.errors import BusError, InputError
from data_specs.site import read_signed_site
from replay.bus import Bus
from replay.console import say
from replay.drive import DriveInfo
from v2x.bus_drive import on_interrupt, read_info, site_info
from v2x.buses import open_bus
from v2x.metrics_http import Metric, MetricsServer, counter, gauge
from v2x.topics import DRIVE_INFO, mismatches, shortages
from v2x.worker import READ_TOPICS, FusionWorker

_WAIT_S = 0.2  # for records, at most, before it is looked whether to stop
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker did until it was stopped."""

    seconds: float
    records: int
    published: int
    refused: int  # records that could not be read
    dead_letters: int
    late: int
    repeated: int
    reconnects: int
    crossings: tuple[str, ...]


class RunningWorker:
    """Workers one after the other on one bus, and the sum of what they did."""

    def __init__(self, url: str, site: Path | None, group: str) -> None:
        """Connect, learn where `map` lies and require topics that fit together; BusError or InputError say what is wrong."""
        self._url, self._group = url, group
        self._past: Counter[str] = Counter()
        self._past_topics: Counter[str] = Counter()
        self._reconnects = 0
        self._crossings: tuple[str, ...] = ()
        self._link = False
        self._bus: Bus | None = open_bus(url)
        try:
            self._info = _info(self._bus, url, site)
            require_topics(self._bus, self._info)
            self._worker: FusionWorker | None = FusionWorker(self._bus, self._info, group)
            self._link = True
        except BaseException:
            self._bus.close()
            raise

    def run(self, stop: threading.Event, seconds: float | None) -> WorkerReport:
        """Work until `stop` is set, or for some seconds; then leave the group with all that was published acknowledged."""
        began_s = time.monotonic()
        ends_s = float("inf") if seconds is None else began_s + seconds
        while not stop.is_set() and time.monotonic() < ends_s:
            try:
                self._step()
            except BusError as error:
                self._wait_for_bus(error)
                stop.wait(_RETRY_S)
        self._close()
        counts = self.counts()
        return WorkerReport(time.monotonic() - began_s, counts["records"], counts["published"], counts["refused"],
                            counts["dead_letters"], counts["late"], counts["repeated"], self._reconnects, self._crossings)

    def counts(self) -> Counter[str]:
        """What all workers so far did."""
        worker = self._worker
        if worker is None:
            return Counter(self._past)
        own = Counter(late=worker.late, repeated=worker.repeated, restarts=worker.restarts)
        return self._past + worker.counts + own

    def metrics(self) -> Iterable[Metric]:
        """Everything for Prometheus; may be called from another thread."""
        worker, counts = self._worker, self.counts()
        yield counter("roadweave_worker_events_total", "What the worker did, counted.",
                      {name: counts[name] for name in _COUNTED}, "what")
        topics = self._past_topics + (worker.topics if worker is not None else Counter())
        yield counter("roadweave_worker_published_total", "Records published, by topic.", dict(topics), "topic")
        yield gauge("roadweave_worker_up", "1 while the worker is connected to its bus.", float(self._link))
        yield counter("roadweave_worker_reconnects_total", "Times the bus was lost.", {self._group: self._reconnects}, "group")
        if worker is None:
            return
        yield gauge("roadweave_worker_lag_records", "Records that wait to be read.", worker.behind())
        yield gauge("roadweave_worker_crossings", "Crossings that are this worker's.", len(worker.crossings))
        yield worker.times.decode.metric("roadweave_worker_decode_seconds", "One record: octets to objects.")
        yield worker.times.fuse.metric("roadweave_worker_fuse_seconds", "One event through fusion.")
        yield worker.times.wait.metric("roadweave_worker_wait_seconds", "A vehicle's record: read to its tracks published.")

    def _step(self) -> None:
        if self._worker is None:
            self._bus = open_bus(self._url)
            self._worker = FusionWorker(self._bus, self._info, self._group)
        self._worker.step(_WAIT_S)
        if not self._link:
            self._link = True
            say(f"roadweave: {self._url} answers again")

    def _wait_for_bus(self, error: BusError) -> None:
        """Say once that the bus is gone; a worker that cannot go on is thrown away with its bus."""
        if self._link:
            say(f"roadweave: {error}; trying again until it answers")
            self._reconnects += 1
        self._link = False
        if self._worker is None or self._worker.broken:
            self._close()

    def _close(self) -> None:
        worker, bus = self._worker, self._bus
        if worker is not None:
            self._past, self._past_topics = self.counts(), self._past_topics + worker.topics
            self._crossings = worker.crossings
        self._worker = self._bus = None
        try:
            if bus is not None:
                bus.close()  # its reader leaves the group
        except BusError:
            return  # said already, or of records that the next worker publishes anew

_COUNTED = ("records", "refused", "dead_letters", "published", "tracks", "late", "repeated", "restarts", "take_overs")


def run_worker(url: str, site: Path | None, group: str, metrics_port: int | None, seconds: float | None) -> WorkerReport:
    """Fuse what a bus carries until Ctrl-C or SIGTERM, or for some seconds."""
    running, stop = RunningWorker(url, site, group), threading.Event()
    served = nullcontext() if metrics_port is None else MetricsServer(running.metrics, metrics_port)
    with served as server, on_interrupt(stop.set):
        where = f", metrics at http://127.0.0.1:{server.port}/metrics" if isinstance(server, MetricsServer) else ""
        say(f"fusing {url} as one of the group {group}{where}; Ctrl-C ends it")
        return running.run(stop, seconds)


def require_topics(bus: Bus, info: DriveInfo) -> None:
    """BusError for topics that one worker cannot read together; a line on standard error for those with too few partitions."""
    counts = bus.partition_counts(READ_TOPICS)
    if wrong := mismatches(counts, READ_TOPICS):
        raise BusError(f"{wrong[0]}; set them with: roadweave topics apply")
    if info.site.crossings:
        for line in shortages(info.site, counts):
            say(f"roadweave: {line}; some workers would have nothing to do; set it with: roadweave topics apply")


def _info(bus: Bus, url: str, site: Path | None) -> DriveInfo:
    found = read_info(bus) if site is None else site_info(read_signed_site(site), str(site))
    if found is None:
        raise InputError(f"{url}, topic {DRIVE_INFO}", "no drive's description", "one, as 'roadweave replay' sends it",
                         "say where map lies with --site FILE")
    return found
