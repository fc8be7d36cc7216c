"""Drives on disk: write speed, seeks, sequential reads, against the plain mcap and pyarrow libraries on the same bytes.

    python tests/bench/bench_drive.py [--json]

A drive of 20 s at 10 Hz: 35,000 points and six 352x128 images a sample, 60 objects of truth and of detections. The peers
write the same sensor messages with mcap's own Writer, read the same files with mcap's make_reader, decoding alike, and with
pyarrow.parquet, whose rows stay undecoded. A ratio near 1 means that the drive costs little on top.
"""
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from mcap.reader import McapReader, make_reader
from mcap.writer import CompressionType, Writer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_specs.boxes import Boxes3D
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Site
from replay import foxglove
from replay.drive import EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, DriveInfo, Event
from replay.recorded import RecordedDrive, open_drive
from replay.recorder import Recorder
from tests.bench.harness import Row, report

SAMPLES, POINTS, OBJECTS, STEP_NS = 200, 35_000, 60, 100_000_000
SEEKS = 60
INFO = DriveInfo("bench", GeoPoint(0.0, 0.0, 0.0), 0, 0, {}, Site((), ()), "bench")


def make_events() -> list[Event]:
    """The whole drive in memory. Clouds look like a LiDAR's: rings of a scene, so that they compress as real ones do."""
    rng = np.random.default_rng(0)
    azimuth = np.tile(np.linspace(-np.pi, np.pi, POINTS // 32), 32)
    ring = np.repeat(np.arange(32), POINTS // 32).astype(np.uint8)
    poses = {name: SE3.identity("ego", name) for name in ["LIDAR_TOP", *(f"CAM_{i}" for i in range(6))]}
    camera = [CameraModel(f"CAM_{i}", 352, 128, np.array([[250.0, 0, 176], [0, 250, 64], [0, 0, 1]]), np.zeros(0))
              for i in range(6)]
    shade = np.add.outer(np.linspace(0, 120, 128), 60 + 40 * np.sin(np.linspace(0, 30, 352)))[..., None]
    events = []
    for i in range(SAMPLES):
        time_ns = (i + 1) * STEP_NS
        reach_m = 12 + 8 * np.sin(5 * azimuth + 0.1 * i) + rng.normal(0, 0.02, len(azimuth))
        xyz_m = np.stack([reach_m * np.cos(azimuth), reach_m * np.sin(azimuth), (ring - 20) * reach_m / 60], axis=1)
        intensity = rng.integers(0, 255, len(ring)).astype(np.float32) / 255
        cloud = PointCloud("LIDAR_TOP", time_ns, xyz_m.astype(np.float32), intensity, ring,
                           np.linspace(0, 5e7, len(ring)).astype(np.int32))
        noise = rng.integers(0, 12, (6, 128, 352, 3))
        images = [CameraImage(time_ns, (shade + noise[k]).astype(np.uint8), camera[k]) for k in range(6)]
        boxes = Boxes3D("map", rng.normal(0, 30, (OBJECTS, 3)), rng.uniform(1, 5, (OBJECTS, 3)), rng.uniform(-3, 3, OBJECTS))
        objects = ObjectList.build(boxes, "bench", time_ns, np.full(OBJECTS, ObjectClass.CAR, np.uint8))
        sample = Sample("bench", time_ns, (cloud,), tuple(images), SE3.identity("map", "ego"), poses)
        events += [Event(time_ns, EGO_SAMPLES, sample), Event(time_ns, TRUTH, Truth.build(objects)),
                   Event(time_ns, VEHICLE_OBJECTS, objects)]
    return events


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The best of a few runs: each is long."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def each_ms(work: Callable[[int], object], moments_ns: list[int]) -> tuple[float, float]:
    """p50 and p95 of one call per moment, in milliseconds."""
    spent = []
    for time_ns in moments_ns:
        started = time.perf_counter()
        work(time_ns)
        spent.append((time.perf_counter() - started) * 1e3)
    p50, p95 = np.percentile(spent, [50, 95])
    return float(p50), float(p95)


def write_ours(folder: Path, events: list[Event]) -> None:
    with Recorder(folder, INFO, overwrite=True) as recorder:
        for event in events:
            recorder.write(event)


def write_peer(path: Path, events: list[Event]) -> int:
    """The same sensor messages through mcap's Writer alone; the bytes before compression."""
    written = 0
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType.ZSTD)
        writer.start()
        channels: dict[str, int] = {}
        for event in events:
            if event.topic != EGO_SAMPLES:
                continue
            assert isinstance(event.payload, Sample)
            for suffix, _, taken_ns, data in foxglove.encode(event.payload):
                if suffix not in channels:
                    channels[suffix] = writer.register_channel(suffix or "bundle", "protobuf", 0)
                writer.add_message(channels[suffix], event.time_ns, data, taken_ns)
                written += len(data)
        writer.finish()
    return written


def peer_samples(reader: McapReader, start_ns: int, end_ns: int) -> int:
    """Decode the samples of a range as mcap's reader finds them; how many there were."""
    parts, found = foxglove.Parts(), 0
    for _, channel, message in reader.iter_messages(starting_at=start_ns, ending_before=end_ns):
        role = channel.topic[len(EGO_SAMPLES):].lstrip("/")
        parts.add(role, message.data)
        if not role:
            foxglove.decode(parts)
            parts, found = foxglove.Parts(), found + 1
    return found


def main() -> None:
    events = make_events()
    rng = np.random.default_rng(1)
    moments_ns = [int(time_ns) for time_ns in rng.permutation(SAMPLES)[:SEEKS] * STEP_NS + STEP_NS]
    with tempfile.TemporaryDirectory() as work:
        ours, peer = Path(work) / "drive", Path(work) / "peer.mcap"
        megabytes = write_peer(peer, events) / 1e6
        write_s, peer_write_s = seconds(lambda: write_ours(ours, events)), seconds(lambda: write_peer(peer, events))
        drive = open_drive(ours)
        drive.times(TRUTH)  # opened, as a page or a player has it
        stream, table = (ours / "sensors.mcap").open("rb"), ours / "truth.Truth.parquet"
        reader = make_reader(stream)
        assert peer_samples(reader, STEP_NS, STEP_NS + 1) == 1
        rows = seek_rows(drive, reader, table, moments_ns)
        read_s = seconds(lambda: sum(1 for _ in open_drive(ours).events(topics=[EGO_SAMPLES])))
        peer_read_s = seconds(lambda: peer_samples(reader, 0, SAMPLES * STEP_NS + 1))
        truth_s = seconds(lambda: sum(1 for _ in open_drive(ours).events(topics=[TRUTH])))
        peer_truth_s = seconds(lambda: pq.read_table(table).to_batches())
        open_ms = seconds(lambda: open_drive(ours).info) * 1e3
        stream.close()
        disk = sum(path.stat().st_size for path in ours.iterdir()) / 1e6
    report("Drives on disk", [
        Row("write", megabytes / write_s, "MB/s", "mcap Writer, sensors alone", megabytes / peer_write_s, peer_write_s / write_s),
        *rows,
        Row("read sensors", megabytes / read_s, "MB/s", "mcap make_reader, same decoding", megabytes / peer_read_s,
            peer_read_s / read_s),
        Row("read truth", SAMPLES / truth_s, "records/s", "pyarrow.parquet, undecoded", SAMPLES / peer_truth_s,
            peer_truth_s / truth_s),
        Row("open and info", open_ms, "ms"),
    ], (f"{SAMPLES} samples, {megabytes:.0f} MB of messages, {disk:.0f} MB on disk; warm file cache",))


def seek_rows(drive: RecordedDrive, reader: McapReader, table: Path, moments_ns: list[int]) -> list[Row]:
    """One moment at random: the sample, the truth, the JPEGs alone."""
    sample_ms = each_ms(lambda t: next(drive.events(t, t + 1, [EGO_SAMPLES])), moments_ns)
    peer_ms = each_ms(lambda t: peer_samples(reader, t, t + 1), moments_ns)
    truth_ms = each_ms(lambda t: next(drive.events(t, t + 1, [TRUTH])), moments_ns)
    plain_ms = each_ms(lambda t: pq.read_table(table, filters=[("time_ns", "==", t)]), moments_ns)
    jpeg_ms = each_ms(drive.jpegs, moments_ns)
    rows = []
    for name, found, peer, there in (("seek sample", sample_ms, "mcap make_reader, same decoding", peer_ms),
                                     ("seek truth", truth_ms, "pyarrow.parquet filter", plain_ms)):
        for which, value, peer_value in zip(("p50", "p95"), found, there):
            rows.append(Row(f"{name} {which}", value, "ms", peer, peer_value, peer_value / value))
    return [*rows, Row("seek JPEGs p50", jpeg_ms[0], "ms")]


if __name__ == "__main__":
    main()
