"""What `roadweave train` does: gather scenes, train, calibrate, write the weights, their metrics and their learning curve."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from data_specs.errors import InputError, MissingInput
from perception.calibrate import calibrate
from perception.checkpoint import save_weights
from perception.config import CameraConfig, DetectorConfig, TrainConfig
from perception.dataset import DriveScenes, Pairs, RecordedScenes, late_pairs
from perception.learning_curve import write_learning_curve
from perception.ranks import ALONE, Ranks
from perception.scene import Scene
from perception.train import train
from perception.training_data import Scenes
from perception.training_losses import LOSS_WEIGHTS
from perception.training_run import Run, new_run, resume_run, write_rows
from perception.warm_start import start_from
from replay.console import progress, say

CALIBRATION_DRIVES = range(900, 1000)  # seeds that neither train (1000 and up) nor test (0 to 99)
CALIBRATION_EVERY = 10  # of recorded drives, the first and every tenth after it calibrate and do not train


def train_to_file(out: Path, config: TrainConfig, network: DetectorConfig, minutes: float, cache: Path, checkpoint: Path,
                  device: str = "cpu", ranks: Ranks = ALONE, pairs: Pairs = late_pairs, start: Sequence[Path] = ()) -> Run:
    """Train until the last step or for `minutes`, going on from `checkpoint` if it is there, else from `start`, and write `out`.

    Beside `out` come its metrics as Parquet and its learning curve as SVG. Scenes stay in `cache`. With 0 minutes nothing is
    trained or saved but `out` is written from the checkpoint as it stands, also while another process trains; MissingInput if
    there is none. InputError if processes outnumber the scenes of a batch.
    """
    if minutes <= 0 and not checkpoint.exists():
        raise MissingInput(checkpoint, "the checkpoint of a training run", "more --minutes start one")
    if ranks.size > config.batch:
        raise InputError("batch", f"{config.batch} scenes for {ranks.size} processes", "a scene or more for each")
    run = new_run(config, network, device, ranks)
    if checkpoint.exists():
        resume_run(run, checkpoint)
        _say(ranks, f"goes on at step {run.step} of {config.steps} of {checkpoint}")
    elif start:
        start_from(run, start)
    if minutes > 0:
        train(run, training_scenes(config, network, cache, pairs), minutes * 60, checkpoint, _tell)
    if ranks.leads:
        run.average.to("cpu")
        calibrate(run.average, calibration_scenes(config, network, cache, pairs))
        save_weights(out, run.average, network, {"step": run.step, "seconds": round(run.seconds, 1), "train": asdict(config)})
        write_rows(run.rows, out.with_suffix(".parquet"))
        write_learning_curve(run.rows, list(LOSS_WEIGHTS), out.with_suffix(".svg"))
    return run


def training_scenes(config: TrainConfig, network: DetectorConfig, cache: Path, pairs: Pairs) -> Scenes:
    """Simulated drives, or the recorded ones that the configuration names; both share files with networks without cameras."""
    image_hw, pictures = (network.camera or CameraConfig()).image_hw, network.camera is not None
    if config.recorded:
        return RecordedScenes(split_recordings(config.recorded)[0], cache, image_hw, pictures)
    return DriveScenes(config, cache, image_hw, pictures, pairs)


def calibration_scenes(config: TrainConfig, network: DetectorConfig, cache: Path, pairs: Pairs) -> Iterator[Scene]:
    """Scenes that did not train."""
    held_out, moments = training_scenes(config, network, cache, pairs), []
    if not config.recorded:
        moments = [(seed, index) for seed in CALIBRATION_DRIVES for index in range(held_out.scenes_of_drive)]
    elif recordings := split_recordings(config.recorded)[1]:
        held_out = RecordedScenes(recordings, cache, (network.camera or CameraConfig()).image_hw, network.camera is not None)
        moments = [(0, index) for index in range(held_out.scenes_of_drive)]
    else:
        say("a single recorded drive: none is left to calibrate on, scores and spreads stay as the network says them")
    for moment in progress(moments, "calibrating"):
        yield held_out.load(*moment)


def split_recordings(recorded: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Recordings that train, and those that calibrate; a single one trains."""
    if len(recorded) == 1:
        return recorded, ()
    calibrating = recorded[::CALIBRATION_EVERY]
    return tuple(r for r in recorded if r not in calibrating), calibrating


def _say(ranks: Ranks, line: str) -> None:
    if ranks.leads:
        say(line)


def _tell(row: dict[str, float]) -> None:
    losses = ", ".join(f"{name} {row[name]:.3f}" for name in LOSS_WEIGHTS if name in row)
    say(f"step {row['step']:.0f}, {row['samples']:.0f} samples, {row['seconds'] / 60:.1f} min: {losses}")
