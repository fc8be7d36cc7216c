"""How well detectors see on the 40 held-out drives: mAP, NDS, AP by class and true-positive errors, with intervals by drive.

    python tests/bench/bench_accuracy.py [--weights F] [--modality both|lidar|camera] [--drives 40] [--cells] [--json]
    python tests/bench/bench_accuracy.py --all       (make evaluate-nano)

--all scores the shipped network with all sensors, the network trained without cameras (nano-lidar; while none is shipped, the
same network without its pictures: a column's head says which), and the shipped one without LiDAR, in one table. What counts, see
replay/metrics/perception_scores.py; --cells adds how honest the boxes' uncertainty is (replay/metrics/consistency.py). The drives
take 4 GB in .cache/held-out and a quarter of an hour to simulate, once.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_specs.errors import RoadweaveError
from data_specs.objects import ObjectList, Truth
from data_specs.results import RunResult, Score
from data_specs.sensors import Sample
from perception.load import load_detector
from replay.console import print_json, print_table, progress, say
from replay.metrics.consistency import NUMBERS, cells_that_miss, consistency
from replay.metrics.detection import ERRORS
from replay.metrics.perception_scores import CLASSES, PerceptionScores, ScoredDrive, score_drives
from tests.bench.held_out import DRIVES, ROOT, held_out_pairs

NANO = ROOT / "perception" / "weights" / "nano.safetensors"
NANO_LIDAR = ROOT / "perception" / "weights" / "nano-lidar.safetensors"
SENSORS = {"both": "camera + LiDAR", "lidar": "LiDAR", "camera": "camera"}
SHORT = {"velocity": "vx, vy"}  # headings
SUMMARY = ("mAP", "NDS", *(f"{cls.title}_AP" for cls in CLASSES), *(f"m{name}" for name in ERRORS))


@dataclass(frozen=True, slots=True)
class Run:
    """One column of the table: a network, and the sensors that it is given."""

    weights: Path
    modality: str

    @property
    def name(self) -> str:
        return f"{self.weights.stem}, {SENSORS[self.modality]}"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=NANO)
    parser.add_argument("--modality", choices=tuple(SENSORS), default="both", help="the sensors that the network is given")
    parser.add_argument("--all", action="store_true", help="the three runs of the shipped networks in one table")
    parser.add_argument("--drives", type=int, default=len(DRIVES), choices=range(1, len(DRIVES) + 1), metavar="N",
                        help="only the first N; five hold every scenario once")
    parser.add_argument("--dtype", default="fp32", choices=("fp32", "bf16"), help="of the networks' convolutions")
    parser.add_argument("--cells", action="store_true", help="also ANEES and 90 %% regions, by class and range")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def only(sample: Sample, modality: str) -> Sample:
    """The sample with the sensors of a modality alone."""
    return replace(sample, clouds=() if modality == "camera" else sample.clouds,
                   images=() if modality == "lidar" else sample.images)


def detect_drives(runs: Sequence[Run], drives: Sequence[tuple[str, int]],
                  dtype: str = "fp32") -> dict[Run, list[ScoredDrive]]:
    """What every run finds on every drive, beside the truth, in the frame of the ego."""
    detectors = {run.weights: load_detector(run.weights, "cpu", dtype) for run in runs}
    scored: dict[Run, list[ScoredDrive]] = {run: [] for run in runs}
    for scenario, seed in progress(drives, "detecting", len(drives)):
        found: dict[Run, list[ObjectList]] = {run: [] for run in runs}
        truths: list[Truth] = []
        for sample, earlier, truth in held_out_pairs(scenario, seed):
            truths.append(truth.transformed(sample.map_from_ego.inverse()))
            for run in runs:
                before = [only(one, run.modality) for one in earlier]
                found[run].append(detectors[run.weights].detect(
                    only(sample, run.modality), tuple(one for one in before if one.clouds or one.images)))
        for run in runs:
            scored[run].append(ScoredDrive(f"{scenario}-{seed}", tuple(found[run]), tuple(truths), np.zeros((len(truths), 2))))
    return scored


def print_scores(title: str, results: dict[Run, PerceptionScores]) -> None:
    """A column for each run; below it, by how much the first is better than the others."""
    tables = {run: {score.name: score for score in scores.result().scores} for run, scores in results.items()}
    first = next(iter(results))
    notes = [f"mAP of {first.name} above {run.name}: {shown(gain)}" for run, gain in gains(results).items()]
    rows = [[name, *(shown(table[name]) for table in tables.values()), tables[first][name].count] for name in SUMMARY]
    print_table(title, ["score", *(run.name for run in results), "truths"], rows, ["in brackets: 95 %, by drive", *notes])


def gains(results: dict[Run, PerceptionScores]) -> dict[Run, Score]:
    """The first run's mAP above that of each other."""
    first, *others = results
    return {run: results[first].gain_over(results[run]) for run in others}


def to_json(results: dict[Run, PerceptionScores], honesty: dict[Run, RunResult]) -> dict[str, object]:
    """{run: {"scores", "consistency" where asked for, "mAP_gain_of_first" of every run but the first}}."""
    content = {run.name: {"scores": scores.result().to_json()["scores"]} for run, scores in results.items()}
    for run, result in honesty.items():
        content[run.name]["consistency"] = result.to_json()["scores"]
    for run, gain in gains(results).items():
        content[run.name]["mAP_gain_of_first"] = {"value": gain.value, "interval": gain.interval}
    return content


def print_consistency(run: Run, result: RunResult) -> None:
    """ANEES and held shares of the whole, the classes, and the cells."""
    by_slice: dict[str, dict[str, Score]] = {}
    for score in result.scores:
        by_slice.setdefault(score.slice, {})[score.name] = score
    missing = {cell.slice for cell in cells_that_miss(result)}
    single = {f"held_90_{number}": SHORT.get(number, number) for number in NUMBERS if number != "xy"}
    rows = [[f"{name} *" if name in missing else name, shown(row["ANEES"]), shown(row["held_90_xy"]),
             *(row[column].value for column in single), row["ANEES"].count] for name, row in by_slice.items()]
    print_table(f"{run.name}: is it as sure as it says?",
                ["slice", "ANEES", "90 % of (x, y)", *single.values(), "matches"], rows,
                ["in brackets: 95 %, by drive; * a cell of 400 or more whose bracket leaves 0.90 out"])


def shown(score: Score) -> str:
    """"0.812 (0.790-0.831)", "-" where there is no value."""
    low, high = score.interval or (np.nan, np.nan)
    return "-" if np.isnan(score.value) else f"{score.value:.3f} ({low:.3f}-{high:.3f})"


def main() -> None:
    chosen = options()
    torch.set_num_threads(1)
    runs = [Run(chosen.weights, chosen.modality)]
    if chosen.all:
        runs = [Run(NANO, "both"), Run(NANO_LIDAR if NANO_LIDAR.exists() else NANO, "lidar"), Run(NANO, "camera")]
    scored = detect_drives(runs, DRIVES[:chosen.drives], chosen.dtype)
    results = {run: score_drives(drives) for run, drives in scored.items()}
    honesty = {run: consistency(drives) for run, drives in scored.items()} if chosen.cells else {}
    if chosen.json:
        print_json(to_json(results, honesty))
        return
    print_scores(f"held-out drives: {chosen.drives}, at 2 Hz", results)
    for run, result in honesty.items():
        print_consistency(run, result)


if __name__ == "__main__":
    try:
        main()
    except RoadweaveError as error:
        say(f"bench_accuracy: {error}")
        sys.exit(2)
