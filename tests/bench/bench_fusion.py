"""How honest and how quick fusion is, beside the same tracker as a plain Kalman filter that takes every error for new.

Twelve cars on straight lines for 15 s; a vehicle that sees eight of them (0.2 m), two units that see all (0.3 m) but whose
registration is wrong by REGISTRATION_M per axis, drawn anew for each of SCENES scenes. Consistency is the mean normalised
squared position error over its two dimensions: 1 is honest, above 1 the tracks claim more than they know.
"""
from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from data_specs.arrays import Array
from replay.drive import FUSED_TRACKS, Event
from tests.bench.harness import Row, report
from tests.v2x.scene import START_NS, TICK_NS, info, roadside_event, vehicle_event
from v2x.fusion import FusionConfig, config_for, fuse_all

SCENES, TICKS, CARS, SEEN = 6, 150, 12, 8
REGISTRATION_M = 0.5
UNITS = (("rsu-1", 20_000_000), ("rsu-2", 70_000_000))


def scene(seed: int) -> tuple[list[Event], Array]:
    """Events, and the cars' true places [ticks, cars, 2] in metres at the vehicle's times."""
    rng = np.random.default_rng(seed)
    start_m = np.stack([np.arange(CARS) % 4 * 12.0, np.arange(CARS) // 4 * 15.0], axis=1)
    velocity_mps = np.stack([rng.uniform(-8.0, 8.0, CARS), np.zeros(CARS)], axis=1)
    wrong_m = {name: rng.normal(0.0, REGISTRATION_M, 2) for name, _ in UNITS}
    events = []
    for tick in range(TICKS):
        time_ns = START_NS + tick * TICK_NS
        places_m = start_m + velocity_mps * tick / 10
        events.append(vehicle_event(time_ns, places_m[:SEEN] + rng.normal(0.0, 0.2, (SEEN, 2)), sigma_m=0.2))
        for name, phase_ns in UNITS:
            noisy_m = places_m + velocity_mps * phase_ns / 1e9 + wrong_m[name] + rng.normal(0.0, 0.3, (CARS, 2))
            events.append(roadside_event(name, time_ns + phase_ns, noisy_m, sigma_m=0.3, track_id=list(range(CARS))))
    return events, start_m + velocity_mps * np.arange(TICKS)[:, None, None] / 10


def measured(config: FusionConfig) -> dict[str, float]:
    """Consistency and median errors in metres after the first two seconds, and milliseconds an event."""
    squared, seen_m, hidden_m, spent_s, count = [], [], [], 0.0, 0
    for seed in range(SCENES):
        events, truth_m = scene(seed)
        started = time.perf_counter()
        fused = [event.payload for event in fuse_all(events, config) if event.topic == FUSED_TRACKS]
        spent_s, count = spent_s + time.perf_counter() - started, count + len(events)
        for tick in range(20, TICKS, 5):
            tracks = fused[tick][fused[tick].score > 0.3]
            offset_m = tracks.boxes.center_m[:, None, :2] - truth_m[tick][None]
            nearest = np.linalg.norm(offset_m, axis=-1).argmin(axis=0)
            error_m = offset_m[nearest, np.arange(CARS)]
            doubt = np.linalg.inv(tracks.covariance[nearest][:, :2, :2])
            squared.append(np.einsum("ni,nij,nj->n", error_m, doubt, error_m))
            seen_m.append(np.linalg.norm(error_m[:SEEN], axis=1))
            hidden_m.append(np.linalg.norm(error_m[SEEN:], axis=1))
    return {"consistency": float(np.mean(squared)) / 2, "error of what both see": float(np.median(seen_m)),
            "error of what only units see": float(np.median(hidden_m)), "time": spent_s / count * 1e3}


def main() -> None:
    ours = config_for(info(), in_order=False)
    alike = replace(ours, roadside=replace(ours.roadside, common_m=0.0, learns_common=False),
                    vehicle=replace(ours.vehicle, common_m=0.0, common_share=0.0))
    figures, plain = measured(ours), measured(alike)
    units = {"consistency": "1", "time": "ms/event"}
    better = {name: plain[name] / value for name, value in figures.items()}
    better["consistency"] = abs(np.log(plain["consistency"])) / abs(np.log(figures["consistency"]))  # nearness to 1
    rows = [Row(name, value, units.get(name, "m"), "plain Kalman", plain[name], float(better[name]))
            for name, value in figures.items()]
    report("Fusion with wrongly registered units", rows, ("consistency: 1 is honest, above 1 overconfident",))


if __name__ == "__main__":
    main()
