"""Workers as processes on a real cluster of three: they come, go, are stopped and killed, and nothing is missing.

What two of them publish is published alike, so that whoever drops what it knows sees it once.
"""
from __future__ import annotations

import os
import signal
import time
import urllib.request
import uuid

import pytest

from data_specs.errors import BusError
from replay.bus import MemoryBus
from replay.drive import ROADSIDE_MESSAGES, VEHICLE_OBJECTS
from tests.v2x.city import (
    CROSSINGS,
    contradicted,
    expected_outputs,
    fresh_city,
    play,
    published,
    report,
    start_worker,
    ticks,
)
from tests.v2x.scene import info
from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing
from v2x.kafka import KafkaBus
from v2x.records import DEAD_LETTERS
from v2x.worker_run import require_topics

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def city(cluster, tmp_path):
    """A fresh city on the cluster: its bus, site file, description, and workers that are ended with the test."""
    site, info = fresh_city(cluster.bootstrap, tmp_path)
    bus, workers, group = KafkaBus(cluster.bootstrap), [], f"g-{uuid.uuid4().hex[:8]}"

    def worker(*words: str):
        process, said = start_worker(cluster.url, site, group, *words)
        workers.append(process)
        return (process, said) if words else process

    yield bus, info, worker
    for process in workers:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()
    bus.close()


def test_workers_that_come_and_go_leave_no_gap_and_publish_nothing_twice(city):
    bus, told, worker = city
    workers = [worker()]
    poison = {30: b"\x02\x0e\x00 no message", 31: b""}

    def more() -> None:
        workers.extend([worker(), worker()])

    def fewer() -> None:
        workers[1].send_signal(signal.SIGTERM)

    def spoil(octets: bytes) -> None:
        bus.publish(ROADSIDE_MESSAGES, octets, key="south", time_ns=0, headers={"publisher": b"rsu-south"})

    acts = {40: more, 110: fewer, **{tick: lambda octets=octets: spoil(octets) for tick, octets in poison.items()}}
    sent = play(bus, ticks(told, 130), acts)
    expected = expected_outputs(told, sent)
    found = published(bus, lambda found: expected <= found.keys(), 40.0)
    assert expected - found.keys() == set()
    assert contradicted(found) == []
    left = report(workers[1])
    assert left["crossings"] != []
    letters = bus.tail([DEAD_LETTERS], 0)
    assert sorted(letter.value for letter in letters) == sorted(poison.values())
    assert all(letter.headers["place"].startswith(b"rsu.messages/") for letter in letters)


def test_a_worker_that_was_stopped_past_its_session_finds_its_crossings_taken_and_publishes_nothing_more(city):
    bus, told, worker = city
    workers = [worker(), worker()]
    acts = {20: lambda: workers[0].send_signal(signal.SIGSTOP), 100: lambda: workers[0].send_signal(signal.SIGCONT)}
    sent = play(bus, ticks(told, 115), acts, speed=1.0)
    expected = expected_outputs(told, sent)
    found = published(bus, lambda found: expected <= found.keys(), 40.0)
    assert expected - found.keys() == set()
    assert contradicted(found) == []


def test_a_worker_that_is_killed_outright_is_succeeded_without_a_gap_or_a_double(city):
    bus, told, worker = city
    workers = [worker(), worker()]
    sent = play(bus, ticks(told, 60), {30: lambda: os.kill(workers[0].pid, signal.SIGKILL)}, speed=1.0)
    expected = expected_outputs(told, sent)
    killed_s = time.monotonic()
    found = published(bus, lambda found: expected <= found.keys(), 40.0)
    print(f"whole again {time.monotonic() - killed_s:.1f} s after the last message")
    assert expected - found.keys() == set()
    assert contradicted(found) == []


def test_a_worker_outlives_its_broker_and_goes_on_where_it_was(tmp_path):
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker() as broker:
        site, told = fresh_city(broker.bootstrap, tmp_path)
        bus = KafkaBus(broker.bootstrap)
        process, _ = start_worker(broker.url, site, "alone")

        def outage() -> None:
            bus.flush()
            broker.kill()
            time.sleep(5.0)  # longer than a worker waits for a failover
            broker.restart()

        try:
            sent = play(bus, ticks(told, 60), {30: outage})
            back_s = time.monotonic()
            expected = expected_outputs(told, sent)
            found = published(bus, lambda found: expected <= found.keys(), 40.0)
            print(f"whole {time.monotonic() - back_s:.1f} s after the last message")
            process.send_signal(signal.SIGTERM)
            did = report(process)
        finally:
            process.kill()
        bus.close()
    assert expected - found.keys() == set()
    assert contradicted(found) == []
    assert did["refused"] == 0


RECORDS = 'roadweave_worker_events_total{what="records"}'


def settled_figures(url, records):
    """The metrics once so many records are counted and their number has stayed for half a second; the last ones after 30 s."""
    deadline, before, figures = time.monotonic() + 30.0, "", {RECORDS: "0"}
    while (int(figures[RECORDS]) < records or figures[RECORDS] != before) and time.monotonic() < deadline:
        before = figures[RECORDS]
        time.sleep(0.5)
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        figures = {RECORDS: "0"} | dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return figures


def test_metrics_tell_what_a_worker_does_and_it_ends_in_order_when_asked(city):
    bus, told, worker = city
    process, said = worker("--metrics-port", "0")
    play(bus, ticks(told, 20), {})
    url = said.split("metrics at ")[1].split(";")[0]
    figures = settled_figures(url, 80)  # and those read again after joining
    records = int(figures[RECORDS])
    assert int(figures["roadweave_worker_lag_records"]) == 0
    assert int(figures["roadweave_worker_decode_seconds_count"]) == records
    assert int(figures["roadweave_worker_crossings"]) == 3
    process.send_signal(signal.SIGTERM)
    did = report(process)
    assert (did["records"], did["refused"], sorted(did["crossings"])) == (records, 0, list(CROSSINGS))


class UnevenBus(MemoryBus):
    def partition_counts(self, topics):
        return {VEHICLE_OBJECTS: 1, ROADSIDE_MESSAGES: 3}


def test_topics_that_cannot_be_read_together_are_refused():
    with pytest.raises(BusError, match=r"vehicle.objects 1 partition, rsu.messages 3 partitions: .*roadweave topics apply"):
        require_topics(UnevenBus(), info())
