"""A city of three crossings on a bus, and what its workers must publish: for tests with several workers."""
from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from data_specs.messages import GeoPoint
from data_specs.pose import SE3
from data_specs.site import Rsu, read_site
from replay.bus import Bus, BusRecord
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, DriveInfo, Event, rsu_objects
from tests.v2x.scene import START_NS, objects_at, vehicle_event
from v2x.bus_drive import site_info
from v2x.crossing import CrossingWork
from v2x.kafka import KafkaBus
from v2x.kafka_topics import KafkaTopics
from v2x.known import output_id
from v2x.records import bus_key, from_bus_record, to_bus_record
from v2x.rsu import RoadsideUnit
from v2x.topics import TOPICS, plan

CROSSINGS = ("north", "south", "west")  # 4 partitions set them apart: 2, 3 and 1
TICK_NS = 100_000_000
OUTPUTS = (FUSED_TRACKS, ROADSIDE_OBJECTS)
Outputs = dict[tuple[str, str, int, str], list[bytes]]


def site_text() -> str:
    """The site file of the city."""
    place = "origin = [48.0, 11.0, 500.0]\npolygon_m = [[-50, -50], [50, -50], [0, 50]]"
    crossings = "".join(f'[[crossing]]\nid = "{name}"\n{place}\n' for name in CROSSINGS)
    return crossings + "".join(
        f'[[rsu]]\nname = "rsu-{name}"\ncrossing = "{name}"\nstation_id = {i}\nposition_m = [{100.0 * i}, 0.0, 6.0]\n'
        for i, name in enumerate(CROSSINGS, 1))


def ticks(info: DriveInfo, count: int) -> Iterable[list[BusRecord]]:
    """The records of each tenth of a second: one unit at every crossing, the vehicle at the first."""
    rng = np.random.default_rng(7)
    units = {rsu.name: RoadsideUnit(Rsu(rsu.name, rsu.crossing, rsu.station_id, "", "", SE3.from_yaw(
        "map", rsu.name, 0.0, rsu.map_from_rsu.translation_m)), GeoPoint(48.0, 11.0, 500.0)) for rsu in info.site.rsus}
    for tick in range(count):
        time_ns = START_NS + tick * TICK_NS
        xy_m = rng.normal(0.0, 0.1, (2, 2)) + np.array([[8.0 + 0.5 * tick % 40.0, 0.0], [0.0, 20.0]])
        events = [vehicle_event(time_ns, xy_m)]
        for name, unit in units.items():
            seen = objects_at(name, name, time_ns, xy_m, sigma_m=0.3)
            events += unit.process(Event(time_ns, rsu_objects(name), seen))
        yield [to_bus_record(event, bus_key(info, event)) for event in events]


def fresh_city(bootstrap: str, folder: Path) -> tuple[Path, DriveInfo]:
    """The city's site file, its description, and its topics emptied on a cluster."""
    site = folder / "site.toml"
    site.write_text(site_text())
    info = site_info(read_site(site), str(site))
    with KafkaTopics(bootstrap) as topics:
        names = [spec.name for spec in TOPICS]
        if present := topics.present():
            topics._admin.delete_topics(list(present))
        deadline = time.monotonic() + 20.0
        while topics.present(names) and time.monotonic() < deadline:
            time.sleep(0.2)
        topics.apply(plan(info.site, {}))
    return site, info


def start_worker(url: str, site: Path, group: str, *words: str) -> tuple[subprocess.Popen, str]:
    """A worker process that has found its bus, and the first line it said."""
    command = [sys.executable, "-m", "roadweave", "worker", "--bus", url, "--site", str(site), "--group", group, "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    assert line.startswith("fusing "), line + process.stderr.read()
    return process, line


def report(process: subprocess.Popen) -> dict:
    """What a worker said when it ended."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def published(bus: Bus, done: Callable[[Outputs], bool], patience_s: float) -> Outputs:
    """What workers published, by what it is known by, once that is `done` or the patience is over."""
    reader, found = bus.subscribe(OUTPUTS), {}
    deadline = time.monotonic() + patience_s
    while not done(found) and time.monotonic() < deadline:
        for record in reader.poll(0.2, max_records=2_000):
            found.setdefault(output_id(from_bus_record(record), record.key), []).append(record.value)
    return found


def contradicted(found: Outputs) -> list[tuple[str, str, int, str]]:
    """Outputs that workers published twice and not alike: readers that drop what they know would not see the same."""
    return [id for id, values in found.items() if len(set(values)) > 1]


def expected_outputs(info: DriveInfo, records: Sequence[BusRecord]) -> set[tuple[str, str, int, str]]:
    """What one worker that is never disturbed makes of records before their end, by what it is known by."""
    works = {key: CrossingWork(info, key) for key in CROSSINGS}
    made = [(record.key, event) for record in records for event in works[record.key].take(from_bus_record(record), record.value)]
    return {output_id(event, key) for key, event in made if event.topic in OUTPUTS}


def play(bus: KafkaBus, ticks: Iterable[list[BusRecord]], acts: dict[int, Callable[[], None]],
         speed: float = 2.0) -> list[BusRecord]:
    """Publish tick by tick in time, and do at some ticks what is to be done then; all that was published."""
    sent: list[BusRecord] = []
    began_s = time.monotonic()
    for i, records in enumerate(ticks):
        acts.get(i, lambda: None)()
        time.sleep(max(0.0, began_s + i * TICK_NS / 1e9 / speed - time.monotonic()))
        for record in records:
            bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)
        sent += records
    bus.flush(30.0)
    return sent
