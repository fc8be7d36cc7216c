"""What `roadweave train` does: simulate, train, calibrate, write the weights and their metrics."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from data_specs.errors import MissingInput
from perception.calibrate import calibrate
from perception.checkpoint import save_weights
from perception.config import CameraConfig, DetectorConfig, TrainConfig
from perception.dataset import DriveScenes, Pairs, late_pairs
from perception.train import LOSS_WEIGHTS, Run, new_run, resume_run, train, write_rows
from replay.console import progress, say

CALIBRATION_DRIVES = range(900, 925)  # seeds that neither train (1000 and up) nor test (0 to 99)


def train_to_file(out: Path, config: TrainConfig, network: DetectorConfig, minutes: float, cache: Path,
                  checkpoint: Path, pairs: Pairs = late_pairs) -> Run:
    """Train until the last step or for `minutes`, going on from `checkpoint` if it is there, and write `out`.

    Beside `out` come its metrics as Parquet. Simulated scenes stay in `cache`. With 0 minutes nothing is trained or saved
    but `out` is written from the checkpoint as it stands, also while another process trains; MissingInput if there is none.
    """
    if minutes <= 0 and not checkpoint.exists():
        raise MissingInput(checkpoint, "the checkpoint of a training run", "more --minutes start one")
    run = new_run(config, network)
    if checkpoint.exists():
        resume_run(run, checkpoint)
        say(f"goes on at step {run.step} of {config.steps} of {checkpoint}")
    if minutes > 0:
        train(run, _scenes(config, network, cache, pairs), minutes * 60, checkpoint, _tell)
    held_out = _scenes(config, network, cache, pairs)
    moments = [(seed, index) for seed in CALIBRATION_DRIVES for index in range(held_out.scenes_of_drive)]
    calibrate(run.average, (held_out.load(*moment) for moment in progress(moments, "calibrating")))
    save_weights(out, run.average, network, {"step": run.step, "seconds": round(run.seconds, 1), "train": asdict(config)})
    write_rows(run.rows, out.with_suffix(".parquet"))
    return run


def _scenes(config: TrainConfig, network: DetectorConfig, cache: Path, pairs: Pairs) -> DriveScenes:
    """A network without cameras shares the simulated drives of one that has them."""
    return DriveScenes(config, cache, (network.camera or CameraConfig()).image_hw, network.camera is not None, pairs)


def _tell(row: dict[str, float]) -> None:
    losses = ", ".join(f"{name} {row[name]:.3f}" for name in LOSS_WEIGHTS if name in row)
    say(f"step {row['step']:.0f} after {row['seconds'] / 60:.1f} min: {losses}")
