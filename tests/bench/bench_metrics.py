"""Processor seconds of our metrics beside nuscenes-devkit's and TrackEval's, on the same data in the same run.

Both sides start from what they work on in memory (arrays here, box objects there) and must come to the same figures. Reading
nuScenes' JSON is a row of its own, over a tenth of the samples. Each side is a process: its memory is the most that it held,
libraries included. Ours are timed at the second call, kernels loaded; what the first adds is told below the table.
    python tests/bench/bench_metrics.py [--samples 6019] [--json]     (make setup-devkit installs the peers)
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from data_specs.arrays import array_fields  # noqa: E402
from data_specs.objects import NUSCENES_CLASSES  # noqa: E402
from replay.metrics.attributes import ATTRIBUTES  # noqa: E402
from replay.metrics.matching import Flat  # noqa: E402
from replay.metrics.track_boxes import SampleTimes, TrackBoxes  # noqa: E402
from replay.metrics.tracking import TRACKING_CLASSES  # noqa: E402
from tests.bench.harness import Row, report  # noqa: E402
from tests.bench.peer_devkit import peak_mb  # noqa: E402

PEER_PYTHON = ROOT / ".venv-devkit" / "bin" / "python"
SAMPLES, TRUTHS, PREDICTIONS = 6019, 30, 200  # nuScenes' validation split, and boxes a sample
SCENES, SCENE_SAMPLES = 25, 40
NAMES = {int(cls): name for name, cls in NUSCENES_CLASSES.items()}
AGREE = {"detection": 1e-12, "json": 0.0, "tracking": 1e-9, "hota": 1e-12}


def detection_arrays(samples: int) -> dict[str, dict[str, Any]]:
    """Truths, and predictions that stand around them with scores that tell the near ones from the far."""
    rng = np.random.default_rng(0)
    truths = {
        "sample": np.repeat(np.arange(samples), TRUTHS), "label": rng.choice(list(NAMES), samples * TRUTHS),
        "center_m": np.column_stack([rng.uniform(-50, 50, (samples * TRUTHS, 2)), np.zeros(samples * TRUTHS)]),
        "size_lwh_m": rng.uniform(0.5, 8, (samples * TRUTHS, 3)), "yaw_rad": rng.uniform(-3, 3, samples * TRUTHS),
        "velocity_mps": rng.normal(0, 4, (samples * TRUTHS, 2)), "attribute": rng.integers(0, len(ATTRIBUTES), samples * TRUTHS),
        "score": np.ones(samples * TRUTHS)}
    count = samples * PREDICTIONS
    of = np.repeat(np.arange(samples), PREDICTIONS) * TRUTHS + rng.integers(0, TRUTHS, count)
    spread_m = rng.exponential(1.5, count)
    made = {name: values[of] for name, values in truths.items()}
    made["center_m"] = made["center_m"] + rng.normal(size=(count, 3)) * spread_m[:, None]
    made["size_lwh_m"] = made["size_lwh_m"] * rng.uniform(0.8, 1.25, (count, 3))
    made["yaw_rad"] = made["yaw_rad"] + rng.normal(0, 0.3, count)
    made["velocity_mps"] = made["velocity_mps"] + rng.normal(0, 1, (count, 2))
    made["score"] = np.clip(np.exp(-spread_m / 3) + rng.normal(0, 0.1, count), 0.001, 0.999)
    return {"truths": truths, "predictions": made}


def as_flat(arrays: dict[str, Any]) -> dict[str, Any]:
    """Detection arrays as the fields of Flat, in its dtypes."""
    count = len(arrays["sample"])
    every = arrays | {"row": np.zeros(count), "ignore": np.zeros(count)}
    return {name: every[name].astype(spec.dtype) for name, spec in array_fields(Flat).items()}


def for_devkit(arrays: dict[str, Any], samples: int) -> dict[str, Any]:
    """Detection arrays in the terms of the devkit's boxes."""
    half_rad = arrays["yaw_rad"] / 2
    still = np.zeros(len(half_rad))
    return {"samples": samples, "sample": arrays["sample"], "center_m": arrays["center_m"],
            "size_wlh_m": arrays["size_lwh_m"][:, [1, 0, 2]], "velocity_mps": arrays["velocity_mps"], "score": arrays["score"],
            "rotation": np.column_stack([np.cos(half_rad), still, still, np.sin(half_rad)]),
            "name": np.array([NAMES[label] for label in arrays["label"].tolist()]),
            "attribute": np.array(ATTRIBUTES)[arrays["attribute"]]}


def tracking_arrays(scenes: int) -> dict[str, dict[str, Any]]:
    """Objects on straight ways through scenes; tracks of them with gaps and changes of number, and false tracks."""
    rng = np.random.default_rng(1)
    rows: dict[str, list[tuple[Any, ...]]] = {"truths": [], "predictions": []}
    names = [cls.title for cls in TRACKING_CLASSES]
    for scene in range(scenes):
        for number in range(60):
            name, start_m, step_m = rng.choice(names), rng.uniform(-50, 50, 2) + 800.0, rng.normal(0, 0.8, 2)
            first, last = np.sort(rng.integers(0, SCENE_SAMPLES + 1, 2))
            false, track = number >= 45, 1000 + number
            level = rng.uniform(0.0, 0.5) if false else rng.uniform(0.2, 1.0)
            for k in range(first, last):
                sample, xy_m = scene * SCENE_SAMPLES + k, start_m + step_m * k
                track = 2000 + int(rng.integers(0, 100)) * 100 + number if rng.uniform() < 0.03 else track
                if not false and rng.uniform() < 0.95:
                    rows["truths"].append((sample, name, *xy_m, 1.0, number))
                if rng.uniform() < 0.9:
                    made_m = xy_m + rng.normal(0, 0.4, 2)
                    rows["predictions"].append((sample, name, *made_m, rng.uniform(0.5, 1) * level, track))
    times = {"scene": np.repeat(np.arange(scenes), SCENE_SAMPLES),
             "time_ns": np.tile(np.arange(SCENE_SAMPLES) * 500_000_000, scenes)}
    return {name: track_columns(said) for name, said in rows.items()} | {"times": times}


def track_columns(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: row[0])
    sample, name, x_m, y_m, score, track_id = map(np.array, zip(*rows))
    return {"sample": sample, "name": name, "xy_m": np.column_stack([x_m, y_m]), "score": score, "track_id": track_id}


def our_detection(folder: Path) -> Callable[[], list[float]]:
    from replay.metrics.detection import DetectionProtocol, class_results, mean_scores

    flats = {}
    for name in ("predictions", "truths"):
        arrays = [np.load(folder / f"ours_{name}.npz")[field] for field in array_fields(Flat)]
        for array in arrays:
            array.setflags(write=False)  # they are taken as they are
        flats[name] = Flat(*arrays)

    def once() -> list[float]:
        mean_ap, nds, errors = mean_scores(class_results(flats["predictions"], flats["truths"], DetectionProtocol()).values())
        return [mean_ap, nds, *errors.tolist()]

    return once


def our_json(folder: Path) -> Callable[[], list[float]]:
    from replay.metrics.nuscenes_json import read_detections

    return lambda: [len(read_detections(folder / "results.json")[1])]


def our_tracks(folder: Path) -> tuple[TrackBoxes, TrackBoxes, SampleTimes]:
    arrays = {name: np.load(folder / f"{name}.npz") for name in ("predictions", "truths", "times")}
    made, wanted = (TrackBoxes(one["sample"], np.array([int(NUSCENES_CLASSES[name]) for name in one["name"].tolist()], np.uint8),
                               one["xy_m"], one["score"], one["track_id"]) for one in (arrays["predictions"], arrays["truths"]))
    return made, wanted, SampleTimes(arrays["times"]["scene"], arrays["times"]["time_ns"])


def our_tracking(folder: Path) -> Callable[[], list[float]]:
    from replay.metrics.tracking import TrackingProtocol, mean_figures, tracking_results

    boxes = our_tracks(folder)
    return lambda: list(mean_figures(tracking_results(*boxes, TrackingProtocol())).values())


def our_hota(folder: Path) -> Callable[[], list[float]]:
    from replay.metrics.hota import hota_results, mean_figures

    boxes = our_tracks(folder)
    return lambda: list(mean_figures(hota_results(*boxes, TRACKING_CLASSES)).values())


def ours(folder: Path) -> None:
    """Our side of a job, in this process: what peer_devkit.py prints, and the seconds of the first call."""
    what = json.loads((folder / "job.json").read_text())["what"]
    once = {"detection": our_detection, "json": our_json, "tracking": our_tracking, "hota": our_hota}[what](folder)
    seconds = []
    figures: list[float] = []
    for _ in range(4):
        started = time.process_time()
        figures = once()
        seconds.append(time.process_time() - started)
    print(json.dumps({"cpu_s": min(seconds[1:]), "first_s": seconds[0], "figures": figures,
                      "peak_mb": peak_mb()}))


def side(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"bench_metrics: {command[1]} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])  # TrackEval prints its own timings before


def measured(what: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our side and the peer's; ends the run where their figures differ."""
    (folder / "job.json").write_text(json.dumps({"what": what}))
    mine = side([sys.executable, __file__, "--ours", str(folder)])
    if not PEER_PYTHON.is_file():
        return mine, {}
    theirs = side([str(PEER_PYTHON), str(Path(__file__).with_name("peer_devkit.py")), str(folder)])
    if not np.allclose(mine["figures"], theirs["figures"], rtol=0, atol=AGREE[what], equal_nan=True):
        raise SystemExit(f"bench_metrics: {what}: {mine['figures']}, expected {theirs['figures']} as the peer has them")
    return mine, theirs


def row(name: str, key: str, unit: str, mine: dict[str, Any], theirs: dict[str, Any]) -> Row:
    other = theirs.get(key)
    return Row(name, mine[key], unit, theirs.get("version", "not installed"), other, None if other is None else other / mine[key])


def write_results(folder: Path, arrays: dict[str, Any], samples: int) -> None:
    """Detections as the JSON that both sides read."""
    columns = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in arrays.items()}
    results: dict[str, list[dict[str, Any]]] = {str(k): [] for k in range(samples)}
    for k, sample in enumerate(columns["sample"]):
        results[str(sample)].append({
            "sample_token": str(sample), "translation": columns["center_m"][k], "size": columns["size_wlh_m"][k],
            "rotation": columns["rotation"][k], "velocity": columns["velocity_mps"][k], "detection_name": columns["name"][k],
            "detection_score": columns["score"][k], "attribute_name": columns["attribute"][k]})
    (folder / "results.json").write_text(json.dumps({"meta": {}, "results": results}))


def main() -> None:
    options = argparse.ArgumentParser(description="Our metrics beside nuscenes-devkit's and TrackEval's.")
    options.add_argument("--samples", type=int, default=SAMPLES, help="of detection; scenes of tracking go along with it")
    options.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.ours:
        return ours(asked.ours)
    samples, scenes = max(1, asked.samples), max(1, round(SCENES * asked.samples / SAMPLES))
    rows, first = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side_name, arrays in detection_arrays(samples).items():
            np.savez(folder / f"ours_{side_name}.npz", **as_flat(arrays))
            np.savez(folder / f"{side_name}.npz", **for_devkit(arrays, samples))
        mine, theirs = measured("detection", folder)
        first["detection"] = mine["first_s"]
        rows += [row("nuscenes_detection", "cpu_s", "CPU s", mine, theirs),
                 row("nuscenes_detection_memory", "peak_mb", "MB", mine, theirs)]
        tenth = max(1, samples // 10)
        write_results(folder, for_devkit(detection_arrays(tenth)["predictions"], tenth), tenth)
        rows.append(row("nuscenes_json", "cpu_s", "CPU s", *measured("json", folder)))
        for side_name, arrays in tracking_arrays(scenes).items():
            np.savez(folder / f"{side_name}.npz", **arrays)
        for what, title in (("tracking", "nuscenes_tracking"), ("hota", "hota")):
            mine, theirs = measured(what, folder)
            first[what] = mine["first_s"]
            rows.append(row(title, "cpu_s", "CPU s", mine, theirs))
    report(f"Metrics: {samples} samples ({TRUTHS} truths, {PREDICTIONS} predictions each), {scenes} scenes of {SCENE_SAMPLES}",
           rows, ("figures of both sides agree; first call of ours: "
                  + ", ".join(f"{what} {seconds:.2f} CPU s" for what, seconds in first.items()),))


if __name__ == "__main__":
    main()
