"""The LiDAR detector: milliseconds a sample on two threads, beside ResNet-18 in the same run; with --accuracy its AP.

Accuracy is what the demo's table prints for the vehicle alone: nuScenes' AP at 0.5, 1, 2 and 4 m over everything within 50 m of
the ego, hidden or not, pooled over held-out drives (--seeds 0-4) of a scenario (--scenario crossing).
"""
from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from data_specs.objects import ObjectList, Truth
from perception.checkpoint import DEFAULT_WEIGHTS, load_weights
from perception.detector import Detector
from replay.metrics.demo_scores import RANGE_M, score_lists
from replay.simulate import training_pairs
from tests.bench.harness import Row, report, resnet18_ms


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--accuracy", action="store_true", help="AP over held-out drives instead of times")
    parser.add_argument("--seeds", default="0-4", help="first-last; below 100 they are held out")
    parser.add_argument("--scenario", default="crossing")
    parser.add_argument("--hz", type=float, default=2.0, help="samples a second of each drive")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def time_rows(detector: Detector, scenario: str) -> list[Row]:
    """p50 and p99 over 100 samples of a drive, points to objects."""
    torch.set_num_threads(2)
    samples = [sample for sample, _ in training_pairs(scenario, 0, 10.0, 2.0)]
    for sample in samples[:5]:
        detector.detect(sample)
    spent_ms = []
    for sample in samples * 5:
        started = time.perf_counter()
        detector.detect(sample)
        spent_ms.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(spent_ms, [50, 99])
    peer_ms = resnet18_ms()
    peer = "ResNet-18 to layer3, 6x128x352"
    return [Row(name, ms, "ms", peer, peer_ms, peer_ms / ms) for name, ms in (("nano_p50_ms", p50), ("nano_p99_ms", p99))]


def accuracy_rows(detector: Detector, scenario: str, seeds: range, hz: float) -> list[Row]:
    """mAP, AP by class and the median error of position, pooled over the drives; and each drive's mAP."""
    torch.set_num_threads(1)
    every_list: list[ObjectList] = []
    every_truth: list[Truth] = []
    rows = []
    for seed in seeds:
        lists, truths = _near(detector, scenario, seed, hz)
        every_list += lists
        every_truth += truths
        rows.append(Row(f"mAP_seed_{seed}", score_lists(lists, truths, _none_hidden(truths)).mean_ap, "1"))
    scores = score_lists(every_list, every_truth, _none_hidden(every_truth))
    by_class = [Row(f"AP_{cls.title}", ap, "1") for cls, ap in scores.ap.items()]
    return [Row("mAP", scores.mean_ap, "1"), *by_class, Row("position_error_m", scores.position_error_m, "m"),
            Row("truths", scores.truths, "1"), Row("best_f1_score", scores.best_f1_score, "1"), *rows]


def _near(detector: Detector, scenario: str, seed: int, hz: float) -> tuple[list[ObjectList], list[Truth]]:
    lists, truths = [], []
    for sample, truth in training_pairs(scenario, seed, 20.0, hz):
        found, wanted = detector.detect(sample), truth.transformed(sample.map_from_ego.inverse())
        lists.append(found[found.range_m() <= RANGE_M])
        truths.append(wanted[wanted.objects.range_m() <= RANGE_M])
    return lists, truths


def _none_hidden(truths: list[Truth]) -> list[np.ndarray]:
    return [np.zeros(len(truth), bool) for truth in truths]


def main() -> None:
    chosen = options()
    detector = load_weights(chosen.weights)
    if chosen.accuracy:
        first, last = (int(part) for part in chosen.seeds.split("-"))
        rows = accuracy_rows(detector, chosen.scenario, range(first, last + 1), chosen.hz)
        report(f"{chosen.weights.name} on {chosen.scenario}, seeds {chosen.seeds}", rows)
        return
    report(f"{chosen.weights.name}, 2 threads", time_rows(detector, chosen.scenario))


if __name__ == "__main__":
    main()
