"""How long detection takes, whole and by stage, beside ResNet-18 in the same run.

    python tests/bench/bench_perception.py [--weights F | --config NAME] [--threads 2] [--rounds 40] [--no-base] [--json]

A frame is a sample of a simulated drive with its earlier sweeps and six pictures, from arrays in memory to objects: points moved
and voxelized, pictures through the network, boxes through NMS. `nano_p50_ms` and `nano_p99_ms` are the shipped network with all
sensors; `lidar` and `camera` the same with the others switched off, `bf16` its convolutions in bfloat16, `unfolded` as trained.
Frames and ResNet-18 take turns, so that what else the machine does falls on both; a peer is ResNet-18's p50, and a ratio its
time over ours. With a GPU there, `base_frames_per_s` is the large network in fp16 with a CUDA graph.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from perception.assemble import build_detector
from perception.batch import collate
from perception.bench import Moment, measure, simulated_moments
from perception.checkpoint import load_weights
from perception.config_file import read_recipe
from perception.detect import CalibratedDetector
from perception.device import DTYPES, Device, chosen_device, ready
from perception.head import one_for_each_place, peaks_of
from perception.load import shipped_weights
from perception.scene import Scene, scene_of
from perception.stage import ObjectDetector
from tests.bench.harness import Row, report, resnet18

PEER = "ResNet-18 to layer3, 6x128x352"
Work = Callable[[], object]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=shipped_weights())
    parser.add_argument("--config", help="fresh weights of a configuration instead: nano, base or a TOML file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=40, help="frames of each kind")
    parser.add_argument("--no-base", action="store_true", help="leave out the large network on a GPU")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def frame_rows(trained: CalibratedDetector, moments: Sequence[Moment], rounds: int) -> list[Row]:
    """p50 and p99 of whole frames, kinds in turn with ResNet-18."""
    name, cpu = trained.config.name, chosen_device("cpu")
    detector = ready(trained, cpu)
    kinds: dict[str, tuple[ObjectDetector, Sequence[Moment]]] = {
        name: (detector, moments), f"{name}_unfolded": (trained, moments),
        f"{name}_bf16": (ready(trained, Device("cpu", DTYPES["bf16"], graph=False)), moments)}
    if trained.config.lidar is not None and trained.config.camera is not None:
        kinds[f"{name}_lidar"] = detector, [without(moment, "images") for moment in moments]
        kinds[f"{name}_camera"] = detector, [without(moment, "clouds") for moment in moments]
    frame = iter(range(10**9))
    works: dict[str, Work] = {
        kind: lambda chosen=chosen, shown=shown: chosen.detect(*shown[next(frame) % len(shown)])
        for kind, (chosen, shown) in kinds.items()}
    spent_ms = in_turn(works | {"resnet18": resnet18()}, rounds)
    peer_ms = float(np.median(spent_ms["resnet18"]))
    rows = []
    for kind in kinds:
        for percent in (50, 99) if kind == name else (50,):
            ms = float(np.percentile(spent_ms[kind], percent))
            rows.append(Row(f"{kind}_p{percent}_ms", ms, "ms", PEER, peer_ms, peer_ms / ms))
    return [*rows, Row("resnet18_ms", peer_ms, "ms")]


def stage_rows(trained: CalibratedDetector, moment: Moment, rounds: int) -> list[Row]:
    """p50 of the stages of one frame; each is given what the one before it made."""
    detector = ready(trained, chosen_device("cpu"))
    network, grid = detector.network, detector.config.grid
    scene: Scene = scene_of(*moment, None, detector.config.image_hw)
    batch, works = collate([scene]), {}
    works["scene_and_batch"] = lambda: collate([scene_of(*moment, None, detector.config.image_hw)])
    with torch.inference_mode():
        lidar = camera = None
        if network.lidar is not None:
            pillars, stem = network.lidar.pillars, network.lidar
            canvas = pillars(batch.points, batch.scene, 1)
            lidar = stem(canvas)
            works |= {"points_to_stem": lambda: pillars(batch.points, batch.scene, 1), "lidar_stem": lambda: stem(canvas)}
        if network.camera is not None:
            branch = network.camera
            camera, features = branch(batch)
            depth_m = features.lidar_depth_m.flatten(0, 1)
            works |= {"camera_encoder": lambda: branch.encoder.context_of(batch.images[0], depth_m),
                      "camera_branch": lambda: branch(batch)}
        has_image = batch.has_image.any(dim=1)
        merged = network.merge(lidar, camera, batch.has_points, has_image)
        encoded = network.encoded(merged)
        candidates = network.head.candidates(encoded)
    works |= {"merge_and_bev": lambda: network.encoded(network.merge(lidar, camera, batch.has_points, has_image)),
              "head": lambda: network.head.candidates(encoded),
              "decode_and_nms": lambda: one_for_each_place(peaks_of(candidates, grid, grid.nx))}
    return [Row(f"stage_{name}_ms", float(np.median(ms)), "ms") for name, ms in in_turn(works, rounds).items()]


def in_turn(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every call, each work once a round."""
    spent_ms: dict[str, list[float]] = {name: [] for name in works}
    with torch.inference_mode():
        for number in range(rounds + 2):
            for name, work in works.items():
                started = perf_counter()
                work()
                if number >= 2:  # the first ones compile kernels and take memory
                    spent_ms[name].append((perf_counter() - started) * 1e3)
    return spent_ms


def without(moment: Moment, sensors: str) -> Moment:
    """The moment with no clouds, or no images."""
    sample, earlier = moment
    return replace(sample, **{sensors: ()}), tuple(replace(one, **{sensors: ()}) for one in earlier)


def base_rows(moments: Sequence[Moment]) -> list[Row]:
    """Frames a second of the large network, on the GPU that is here."""
    device = chosen_device("cuda")
    torch.manual_seed(0)
    speed = measure(ready(build_detector(read_recipe("base").network), device), device, moments, seconds=10.0)
    return [Row("base_frames_per_s", speed.frames_per_s, f"1/s on {speed.device}"), Row("base_p50_ms", speed.p50_ms, "ms"),
            Row("base_gpu_mib", speed.gpu_peak_mib or 0.0, "MiB")]


def main() -> None:
    chosen = options()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    trained = build_detector(read_recipe(chosen.config).network) if chosen.config else load_weights(chosen.weights)
    moments = simulated_moments(seconds=10.0)
    rows = frame_rows(trained.eval(), moments, chosen.rounds) + stage_rows(trained, moments[-1], chosen.rounds)
    if torch.cuda.is_available() and not chosen.no_base:
        rows += base_rows(moments)
    report(f"{trained.config.name}, {chosen.threads} threads", rows)


if __name__ == "__main__":
    main()
