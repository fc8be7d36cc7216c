"""Searching a folder of drives: the index made, a search that hits, one that cannot, beside pandas reading every drive's files.

    python tests/bench/bench_search.py [--json] [--drives 1000]

One drive of 10 s at 10 Hz is recorded (an ego, 12 road users in truth and as tracks, a roadside unit's messages) and copied. The
peer answers the same phrase as a script in a notebook does: pyarrow reads the columns it needs of each drive, pandas holds them,
and the moments are those of the same rule. Both count the same rows, or the benchmark stops. Times are of the processor, so that
a loaded machine does not decide; ratio above 1: ours needs less.
"""
from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_specs.boxes import Boxes3D
from data_specs.messages import REFERENCE_FRAME, GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.site import Site
from replay.drive import EGO_POSES, FUSED_TRACKS, ROADSIDE_MESSAGES, TRUTH, DriveInfo, Event
from replay.recorder import Recorder
from replay.search import search
from tests.bench.harness import Row, report

DRIVES, TICKS, STEP_NS, ROAD_USERS = 1_000, 100, 100_000_000, 12
CAR_FASTER_THAN_MPS = 10.0
HITS = f"car faster than {CAR_FASTER_THAN_MPS:g} m/s"
NEAR = "pedestrian within 2 m of ego and ttc < 1.5"
NEVER = "tram faster than 60 m/s"


def record(folder: Path) -> None:
    """The drive: cars at 5 to 15 m/s along the ego's street, pedestrians that cross it."""
    rng = np.random.default_rng(7)
    label = np.where(np.arange(ROAD_USERS) % 3 == 0, ObjectClass.PEDESTRIAN, ObjectClass.CAR).astype(np.uint8)
    car = label == ObjectClass.CAR
    start_m = np.column_stack([rng.uniform(-60, 60, ROAD_USERS), rng.uniform(-8, 8, ROAD_USERS), np.zeros(ROAD_USERS)])
    start_m[0] = 30.0, -4.0, 0.0  # at 1 m/s this one is before the ego when that passes
    velocity_mps = np.where(car[:, None], [1.0, 0.0], [0.0, 0.1]) * np.r_[10.0, rng.uniform(5, 15, ROAD_USERS - 1)][:, None]
    size_m = np.where(car[:, None], [4.4, 1.8, 1.5], [0.6, 0.6, 1.7])
    info = DriveInfo("bench", GeoPoint(48.0, 11.0, 500.0), 0, 0, {}, Site((), ()), "bench")
    with Recorder(folder, info, sync_every_s=None) as recorder:
        for tick in range(TICKS):
            time_ns, t_s = (tick + 1) * STEP_NS, tick / 10
            at_m = start_m + np.column_stack([velocity_mps * t_s, np.zeros(ROAD_USERS)])
            boxes = Boxes3D("map", at_m, size_m, np.where(car, 0.0, np.pi / 2))
            objects = ObjectList.build(boxes, "bench", time_ns, label, velocity_mps=velocity_mps, track_id=np.arange(ROAD_USERS))
            pose = SE3("map", "ego", np.eye(3), np.array([8.0 * t_s, 0.0, 0.0]))
            heard = ObjectList.empty(REFERENCE_FRAME, "rsu-1")
            header = Header("rsu-1", "etsi-cpm-2.1.1", time_ns, time_ns + 5_000_000, 0, 1, bytes(120))
            recorder.write(Event(time_ns, EGO_POSES, EgoPose(time_ns, pose, np.array([8.0, 0.0, 0.0]), np.full((6, 6), np.nan))))
            recorder.write(Event(time_ns, TRUTH, Truth.build(objects)))
            recorder.write(Event(time_ns, FUSED_TRACKS, objects))
            recorder.write(Event(time_ns, ROADSIDE_MESSAGES, RoadsideMessage(header, 1, info.origin, heard, (), ())))


def by_pandas(folder: Path) -> int:
    """How many rows of `fused.tracks` are cars faster than CAR_FASTER_THAN_MPS: every drive is read."""
    hits = 0
    for path in sorted(folder.glob("*/fused.tracks.ObjectList.parquet")):
        records = pq.ParquetFile(path).read(columns=["record.label", "record.velocity_mps"])["record"].combine_chunks()
        velocity_mps = records.field("velocity_mps").flatten().flatten().to_numpy().reshape(-1, 2)
        rows = pd.DataFrame({"label": records.field("label").flatten().to_numpy(), "speed_mps": np.hypot(*velocity_mps.T)})
        hits += len(rows[(rows.label == int(ObjectClass.CAR)) & (rows.speed_mps > CAR_FASTER_THAN_MPS)])
    return hits


def spent_s(work: Callable[[], object]) -> tuple[float, float, object]:
    """(processor seconds, seconds, result) of one call."""
    cpu_s, started_s = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - cpu_s, time.perf_counter() - started_s, result


def copies(folder: Path, count: int) -> Path:
    """A folder of `count` equal drives."""
    drives = folder / "drives"
    drives.mkdir()
    record(folder / "one")
    for number in range(count):
        shutil.copytree(folder / "one", drives / f"drive-{number:04d}", copy_function=shutil.copyfile)
    return drives


def measure(folder: Path, count: int) -> list[Row]:
    """Index, searches and the peer over `count` drives in `folder`."""
    drives = copies(folder, count)
    index_s, index_wall_s, _ = spent_s(lambda: search([drives], NEVER))
    hits_s, hits_wall_s, found = spent_s(lambda: search([drives], HITS))
    near_s, _, near = spent_s(lambda: search([drives], NEAR))
    never_s, _, none = spent_s(lambda: search([drives], NEVER))
    peer_s, peer_wall_s, peer_hits = spent_s(lambda: by_pandas(drives))
    ours_hits = sum(found["hits"].to_pylist())  # type: ignore[index]
    if ours_hits != peer_hits or len(none):  # type: ignore[arg-type]
        raise SystemExit(f"bench_search: {ours_hits} hits and {peer_hits} by pandas, expected as many")
    peer = "pandas, pyarrow"
    return [
        Row("index_s", index_s, f"s CPU, {count:,} drives, once"),
        Row("index_wall_s", index_wall_s, "s"),
        Row("search_hits_s", hits_s, f"s CPU, {len(found):,} moments", peer, peer_s, peer_s / hits_s),  # type: ignore[arg-type]
        Row("search_hits_wall_s", hits_wall_s, "s", peer, peer_wall_s, peer_wall_s / hits_wall_s),
        Row("search_near_s", near_s, f"s CPU, {len(near):,} moments"),  # type: ignore[arg-type]
        Row("search_never_s", never_s, "s CPU, no drive can match", peer, peer_s, peer_s / never_s),
    ]


def main() -> None:
    count = int(sys.argv[sys.argv.index("--drives") + 1]) if "--drives" in sys.argv else DRIVES
    with tempfile.TemporaryDirectory() as folder:
        report(f"Search of {count:,} drives", measure(Path(folder), count))


if __name__ == "__main__":
    main()
