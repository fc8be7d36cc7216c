"""A training run as it stands at one step, its checkpoint file, and its table of metrics."""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from data_specs.errors import InputError
from perception.assemble import build_detector
from perception.checkpoint import require_fit
from perception.config import DetectorConfig, TrainConfig
from perception.detect import CalibratedDetector
from perception.precision import half_of
from perception.ranks import ALONE, Ranks

NETWORK = "network."  # what the tensors of CalibratedDetector.network are called in its state
SCHEDULE = {"steps", "settle_from", "beta_nll_from", "paste_until", "drives", "drives_at_start", "sensor_loss"}  # may change


@dataclass
class Run:
    """Everything a training run is at one step."""

    config: TrainConfig
    detector: CalibratedDetector
    average: CalibratedDetector  # exponential moving average of the weights: what is shipped
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # keeps float16's small gradients; without effect for other numbers
    ranks: Ranks = ALONE
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


def new_run(config: TrainConfig, network: DetectorConfig, device: str = "cpu", ranks: Ranks = ALONE) -> Run:
    """A run at step 0; its weights follow from the seed, on every device and in every process."""
    torch.manual_seed(config.seed)
    detector, average = build_detector(network).to(device), build_detector(network).to(device)
    average.load_state_dict(detector.state_dict())
    optimizer = torch.optim.AdamW(detector.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    scaled = config.half and half_of(torch.device(device)) == torch.float16
    scaler = torch.amp.GradScaler(torch.device(device).type, enabled=scaled)
    return Run(config, detector, average.eval(), optimizer, scaler, ranks)


def save_run(run: Run, path: Path) -> None:
    """Write the run's checkpoint, whole or not at all: the old one stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save({"config": asdict(run.config), "detector": run.detector.state_dict(), "average": run.average.state_dict(),
                "optimizer": run.optimizer.state_dict(), "scaler": run.scaler.state_dict(), "step": run.step,
                "seconds": run.seconds, "rows": run.rows}, part)
    part.replace(path)


def resume_run(run: Run, path: Path) -> Run:
    """The run at its checkpoint; InputError if the checkpoint is of another network, batch, seed or set of drives.

    The schedule (SCHEDULE) may differ: the run then follows the new one from here on.
    """
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        was = saved["config"]
        saved |= {name: _network(saved[name]) for name in ("detector", "average")}
    except (RuntimeError, KeyError, EOFError, OSError, UnpicklingError) as error:
        raise InputError(path, str(error).splitlines()[0], "a training checkpoint") from error
    now, usual = asdict(run.config), asdict(TrainConfig())
    for key in sorted(set(now) - SCHEDULE):
        if was.get(key, usual[key]) != now[key]:
            raise InputError(path, f"{key} {was.get(key, usual[key])!r}", f"{now[key]!r} as asked for",
                             "another --checkpoint starts afresh")
    require_fit(run.detector.network.state_dict(), saved["detector"], str(path))
    run.detector.network.load_state_dict(saved["detector"])
    run.average.network.load_state_dict(saved["average"])
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({**saved["optimizer"], "param_groups": groups})  # how it computes is this version's matter
    if saved.get("scaler"):
        run.scaler.load_state_dict(saved["scaler"])
    run.step, run.seconds = saved["step"], saved["seconds"]
    run.rows = [{"samples": row["step"] * run.config.batch, **row} for row in saved["rows"]]
    return run


def write_rows(rows: list[dict[str, float]], path: Path) -> None:
    """The rows of metrics as Parquet, whole or not at all; a loss that a row lacks is null there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row))
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), part)
    part.replace(path)


def _network(state: dict[str, Any]) -> dict[str, Any]:
    """What training changes of a detector's tensors: its calibration is fitted afterwards."""
    return {name.removeprefix(NETWORK): tensor for name, tensor in state.items() if name.startswith(NETWORK)}
