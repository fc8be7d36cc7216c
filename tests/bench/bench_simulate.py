"""How fast the simulator is: samples a second, and its rays beside the same rays through plain numpy.

    python tests/bench/bench_simulate.py [--json]

The peer is Moeller and Trumbore's ray-triangle test (1997) in numpy over all triangles: it takes a subset of the sweep's
rays, and its figure is scaled to rays a second, which is fair since its cost is the same for every ray.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_specs.arrays import Array
from replay.drive import EGO_SAMPLES
from replay.simulate import simulate, training_pairs
from replay.simulate.lidar import EGO_BEAMS, EGO_FROM_LIDAR
from replay.simulate.scenarios import SCENARIOS
from replay.simulate.scene import SceneBuilder
from replay.simulate.world import World
from tests.bench.harness import Row, best_of, report, resnet18_ms

PEER_RAYS = 64


def per_second(make: Callable[[], Iterable[object]], windows: int = 3) -> float:
    """Items a second: the best of a few windows; what is not a sample counts in the time, not in the number."""
    best = 0.0
    for _ in range(windows):
        started = time.perf_counter()
        count = sum(1 for _ in make())
        best = max(best, count / (time.perf_counter() - started))
    return best


def samples(seconds: float, *, cameras: bool, roadside: bool) -> Iterable[object]:
    """The ego's samples of a drive; all else is simulated too, and dropped."""
    drive = simulate("crossing", 0, seconds, cameras=cameras, roadside=roadside)
    return (event for event in drive if event.topic == EGO_SAMPLES)


def nearest_by_numpy(origin: Array, directions: Array, corners: Array) -> Array:
    """Distance [r] to the nearest of the triangles [t, 3, 3]; inf where none is met."""
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    to_origin = origin - corners[:, 0]
    q = np.cross(to_origin, edge1)
    along = np.einsum("tk,tk->t", edge2, q)
    nearest = np.empty(len(directions))
    for ray, direction in enumerate(directions):
        p = np.cross(direction, edge2)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / np.einsum("tk,tk->t", edge1, p)
            u, v, t = np.einsum("tk,tk->t", to_origin, p) * inverse, (q @ direction) * inverse, along * inverse
        met = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6)
        nearest[ray] = t[met].min(initial=np.inf)
    return nearest


def rays_a_second() -> tuple[float, float, float]:
    """Ours and numpy's rays a second into the same street, and the largest difference of their distances (m)."""
    world = World(SCENARIOS["crossing"], 0)
    moment = world.moment(6.0)
    builder = SceneBuilder(world.street, world.cast)
    scene = builder.at(moment, without_ego=True)
    origin = (moment.map_from_ego @ EGO_FROM_LIDAR).translation_m
    directions = EGO_BEAMS.directions @ moment.map_from_ego.rotation.T.astype(np.float32)
    ours_s = best_of(lambda: scene.cast(origin, directions))
    corners = scene.vertices_m[scene.triangles].astype(np.float64)
    few = directions[:: len(directions) // PEER_RAYS][:PEER_RAYS]
    peer_s = best_of(lambda: nearest_by_numpy(origin, few.astype(np.float64), corners), windows=3)
    ours_m, peer_m = scene.cast(origin, few).range_m, nearest_by_numpy(origin, few.astype(np.float64), corners)
    both = np.isfinite(ours_m) & np.isfinite(peer_m)
    return len(directions) / ours_s, len(few) / peer_s, float(np.abs(ours_m[both] - peer_m[both]).max())


def main() -> None:
    ours, peer, apart_m = rays_a_second()
    pairs = per_second(lambda: training_pairs("crossing", 0, 10.0))
    lidar = per_second(lambda: samples(4.0, cameras=False, roadside=False))
    road = per_second(lambda: samples(2.0, cameras=False, roadside=True))
    full = per_second(lambda: samples(2.0, cameras=True, roadside=True))
    yardstick_hz = 1e3 / resnet18_ms()
    resnet = "ResNet-18 to layer3 on 6x128x352, passes/s"
    report("Simulator", [
        Row("lidar_rays_per_s", ours, "rays/s", "Moeller-Trumbore in numpy", peer, ours / peer),
        Row("training_pairs_per_s", pairs, "samples/s", resnet, yardstick_hz, pairs / yardstick_hz),
        Row("lidar_samples_per_s", lidar, "samples/s", resnet, yardstick_hz, lidar / yardstick_hz),
        Row("lidar_roadside_samples_per_s", road, "samples/s", resnet, yardstick_hz, road / yardstick_hz),
        Row("full_samples_per_s", full, "samples/s", resnet, yardstick_hz, full / yardstick_hz),
    ], (f"the two ray casters agree within {apart_m * 1e3:.3f} mm on {PEER_RAYS} of {len(EGO_BEAMS.directions):,} rays",
        "full: LiDAR and truth at 10 Hz, six cameras at 2.5 Hz, two roadside units at 10 Hz; 10 samples are a second of a drive"))


if __name__ == "__main__":
    main()
