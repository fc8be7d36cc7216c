"""Scores a drive by one of the protocols, and writes its detections for other people's evaluators."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputError, UnknownFormat
from data_specs.objects import NUSCENES_CLASSES, ObjectList
from data_specs.pose import SE3
from data_specs.results import RunResult
from replay.drive import TRUTH, VEHICLE_OBJECTS, Drive

if TYPE_CHECKING:
    from replay.results_folder import Shard

PROTOCOLS = ("nuscenes", "kitti", "cooperative")
NUSCENES_RESULTS = "results_nusc.json"


def evaluate(drive: Drive, protocol: str, write_results: Path | None = None) -> RunResult:
    """The scores of one protocol; UnknownFormat for one that is not known, InputError where there is nothing to score.

    `write_results` is a folder to make; it is written first, since others may know truth that the drive lacks.
    """
    if protocol == "nuscenes":
        from replay.metrics.detection import evaluate_nuscenes

        if write_results is not None:
            write_nuscenes_results(drive, write_results)
        return evaluate_nuscenes(drive)
    if protocol == "kitti":
        from replay.metrics.kitti import evaluate_kitti, write_kitti_results

        if write_results is not None:
            write_kitti_results(drive, write_results)
        return evaluate_kitti(drive)
    if protocol == "cooperative":
        from replay.metrics.cooperative import evaluate_cooperative

        if write_results is not None:
            raise InputError(write_results, "result files of protocol 'cooperative'", "protocol nuscenes or kitti: there is no "
                             "common format for cooperative results")
        return evaluate_cooperative(drive)
    raise UnknownFormat("protocol", repr(protocol), f"one of {', '.join(PROTOCOLS)}")


def evaluate_into(paths: Sequence[Path], protocol: str, out: Path, shard: Shard | None = None) -> list[str]:
    """Score every drive, or those of one shard, each into a file of its own; returns their ids. Several shards may share `out`.

    InputError where there are results already, or two drives have one id.
    """
    from replay.results_folder import require_new, write_shard

    if shard is None:
        require_new(out)
    out.mkdir(parents=True, exist_ok=True)
    chosen = sorted(paths) if shard is None else shard.of(sorted(paths))
    done = [_evaluate_one(path, protocol, out) for path in chosen]
    if shard is not None:
        write_shard(out, shard, done)
    return done


def _evaluate_one(path: Path, protocol: str, out: Path) -> str:
    from replay.recorded import open_drive
    from replay.results_folder import DriveResult, write_result

    drive = open_drive(path)
    outcomes = None
    result = evaluate(drive, protocol)
    if protocol == "nuscenes":
        from replay.metrics.outcomes import outcomes_of

        outcomes = outcomes_of(drive)
    write_result(out, DriveResult(drive.info.drive_id, str(path), result, outcomes))
    return drive.info.drive_id


Table = tuple[list[str], list[list[Any]]]  # columns, rows


def score_tables(result: RunResult) -> tuple[Table | None, Table | None]:
    """Scores as people read them: those of the whole, one a row, and those of slices, a row each; None where there are none.

    Slices with nothing behind them are left out. Where the scores of a slice count different things, they stay one a row.
    """
    whole = [score for score in result.scores if score.slice == "all"]
    sliced = [score for score in result.scores if score.slice != "all" and score.count]
    counts = {(score.slice, score.count) for score in sliced}
    slices = list(dict.fromkeys(score.slice for score in sliced))
    if len(counts) > len(slices):
        whole, sliced, slices = list(result.scores), [], []
    value = {(score.slice, score.name.removeprefix(f"{score.slice}_")): score.value for score in sliced}
    names = list(dict.fromkeys(name for _, name in value))
    flat = ["score", "slice", "value", "unit", "count"], [[s.name, s.slice, s.value, s.unit, s.count] for s in whole]
    pivot = ["slice", *names, "count"], [[name, *(value.get((name, column), float("nan")) for column in names),
                                          dict(counts)[name]] for name in slices]
    return flat if whole else None, pivot if slices else None


def write_nuscenes_results(drive: Drive, folder: Path) -> int:
    """Write the vehicle's detections as nuScenes' results JSON, in its global frame, and return how many samples it holds.

    Every moment of truth, or every list of detections where there is no truth, is a sample; its token is the recording's,
    or its time where that gives none. NaN stands for a velocity that nobody measured, as the devkit reads it;
    attributes are those likely at the speed (replay/metrics/attributes.py).
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "there already", "an empty or new folder for result files")
    topics = drive.info.topics
    if VEHICLE_OBJECTS not in topics:
        raise InputError(f"drive {drive.info.drive_id}", f"no {VEHICLE_OBJECTS}", "detections to write",
                         "run 'roadweave perceive' first")
    asked = TRUTH if TRUTH in topics else VEHICLE_OBJECTS
    tokens = drive.info.facts.get("sample_tokens", {})
    shift_m = drive.info.facts.get("global_from_map_m", [0.0, 0.0, 0.0])
    found = {event.time_ns: event.payload for event in drive.events(topics=[VEHICLE_OBJECTS])}
    results: dict[str, list[dict[str, Any]]] = {}
    for event in drive.events(topics=[asked]):
        token = tokens.get(str(event.time_ns), str(event.time_ns))
        objects = found.get(event.time_ns)
        results[token] = _rows(objects, token, shift_m) if isinstance(objects, ObjectList) else []
    meta = {"use_camera": False, "use_lidar": True, "use_radar": False, "use_map": False, "use_external": False}
    aside = folder.parent / f".{folder.name}.writing-{os.getpid()}"
    aside.mkdir(parents=True)
    try:
        (aside / NUSCENES_RESULTS).write_text(json.dumps({"meta": meta, "results": results}), encoding="utf-8")
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return len(results)


def _rows(objects: ObjectList, token: str, shift_m: list[float]) -> list[dict[str, Any]]:
    from replay.metrics.attributes import ATTRIBUTES, likely_attributes

    names = {int(label): name for name, label in NUSCENES_CLASSES.items()}
    attributes = likely_attributes(objects.label, objects.velocity_mps)
    rows = []
    for i in range(len(objects)):
        if int(objects.label[i]) not in names:
            continue
        length_m, width_m, height_m = objects.boxes.size_lwh_m[i].tolist()
        turn = SE3.from_yaw("map", "object", float(objects.boxes.yaw_rad[i]), objects.boxes.center_m[i])
        rows.append({
            "sample_token": token, "translation": (turn.translation_m + shift_m).tolist(), "size": [width_m, length_m, height_m],
            "rotation": turn.quaternion_wxyz().tolist(), "velocity": objects.velocity_mps[i].tolist(),
            "detection_name": names[int(objects.label[i])], "detection_score": float(objects.score[i]),
            "attribute_name": ATTRIBUTES[attributes[i]],
        })
    return rows
