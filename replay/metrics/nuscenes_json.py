"""nuScenes' results JSON, in and out: detections of the vehicle, and tracks.

{"meta": {...}, "results": {sample token: [box, ..]}}; a box has sample_token, translation (m, global), size (width, length,
height, m), rotation (quaternion w x y z), velocity (m/s, NaN = unknown), and detection_name, detection_score, attribute_name or
tracking_id, tracking_name, tracking_score. Source: nuScenes detection and tracking tasks, as nuscenes-devkit 1.2.0 reads them.
"""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList
from data_specs.pose import SE3
from replay.drive import FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Drive
from replay.metrics.attributes import ATTRIBUTES, FOREIGN, attribute_codes, likely_attributes
from replay.metrics.matching import Flat
from replay.metrics.sources import TOLERANCE_NS, Timeline
from replay.metrics.track_boxes import TrackBoxes

NUSCENES_RESULTS = "results_nusc.json"
MOST_BOXES = 500  # a sample
_TRACKED = {name: cls for name, cls in NUSCENES_CLASSES.items()
            if cls not in (ObjectClass.CONSTRUCTION_VEHICLE, ObjectClass.TRAFFIC_CONE, ObjectClass.BARRIER)}


def write_detections(drive: Drive, folder: Path) -> int:
    """Write the vehicle's detections, in nuScenes' global frame, and return how many samples they are of.

    Every moment of truth, or every list of detections where there is no truth, is a sample; its token is the recording's,
    or its time where that gives none. NaN stands for a velocity that nobody measured; attributes are those likely at the speed
    (replay/metrics/attributes.py).
    """
    return _write(drive, VEHICLE_OBJECTS, "run 'roadweave perceive' first", NUSCENES_CLASSES, _detection, Path(folder))


def write_tracks(drive: Drive, folder: Path) -> int:
    """Write the fused tracks as write_detections writes detections; classes that nuScenes does not track are left out."""
    return _write(drive, FUSED_TRACKS, "run 'roadweave fuse' first", _TRACKED, _track, Path(folder))


def read_detections(path: Path) -> tuple[tuple[str, ...], Flat]:
    """Sample tokens and the detections of all samples, in the file's order; InputError names the box that cannot be one."""
    tokens, rows, sample = _boxes(Path(path))
    names = _column(path, rows, "attribute_name", str)
    attribute = attribute_codes(names)
    if (attribute == FOREIGN).any():
        row = int(np.argmax(attribute == FOREIGN))
        raise UnknownFormat(_where(path, rows, row), f"attribute {names[row]!r}", f"one of {', '.join(ATTRIBUTES[1:])} or ''")
    size_m = _vectors(path, rows, "size", 3)
    if not (size_m > 0).all():
        row = int(np.argmin((size_m > 0).all(axis=1)))
        raise InputError(_where(path, rows, row), f"size {size_m[row].tolist()}", "three lengths above 0")
    first = np.searchsorted(sample, np.arange(len(tokens)))
    return tokens, Flat(
        sample, np.arange(len(sample)) - first[sample], _labels(path, rows, "detection_name", NUSCENES_CLASSES),
        _vectors(path, rows, "translation", 3), size_m[:, [1, 0, 2]], _yaw_rad(_vectors(path, rows, "rotation", 4)),
        _vectors(path, rows, "velocity", 2, finite=False), attribute, _scores(path, rows, "detection_score"),
        np.zeros(len(rows), bool))


def read_tracks(path: Path) -> tuple[tuple[str, ...], TrackBoxes]:
    """Sample tokens and the boxes of tracks of all samples, in the file's order; tracks are numbered by first appearance."""
    tokens, rows, sample = _boxes(Path(path))
    number: dict[str, int] = {}
    track_id = [number.setdefault(str(name), len(number)) for name in _column(path, rows, "tracking_id", (str, int))]
    xy_m = _vectors(path, rows, "translation", 3)[:, :2]
    return tokens, TrackBoxes(sample, _labels(path, rows, "tracking_name", _TRACKED), xy_m, _scores(path, rows, "tracking_score"),
                              np.array(track_id, np.int64))


def _write(drive: Drive, topic: str, hint: str, classes: Mapping[str, ObjectClass], box: Any, folder: Path) -> int:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder, "there already", "an empty or new folder for result files")
    topics = drive.info.topics
    if topic not in topics:
        raise InputError(f"drive {drive.info.drive_id}", f"no {topic}", "objects to write", hint)
    tokens = drive.info.facts.get("sample_tokens", {})
    shift_m = drive.info.facts.get("global_from_map_m", [0.0, 0.0, 0.0])
    said = Timeline([(event.time_ns, event.payload) for event in drive.events(topics=[topic])
                     if isinstance(event.payload, ObjectList)])
    results: dict[str, list[dict[str, Any]]] = {}
    for event in drive.events(topics=[TRUTH if TRUTH in topics else topic]):
        token = tokens.get(str(event.time_ns), str(event.time_ns))
        objects = said.nearest(event.time_ns, TOLERANCE_NS)
        results[token] = [] if objects is None else _rows(objects, token, shift_m, classes, box)
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


def _rows(objects: ObjectList, token: str, shift_m: Sequence[float], classes: Mapping[str, ObjectClass], box: Any) -> list[Any]:
    names = {int(label): name for name, label in classes.items()}
    rows = []
    for i in range(len(objects)):
        if int(objects.label[i]) not in names:
            continue
        length_m, width_m, height_m = objects.boxes.size_lwh_m[i].tolist()
        turn = SE3.from_yaw("map", "object", float(objects.boxes.yaw_rad[i]), objects.boxes.center_m[i])
        rows.append({
            "sample_token": token, "translation": (turn.translation_m + shift_m).tolist(), "size": [width_m, length_m, height_m],
            "rotation": turn.quaternion_wxyz().tolist(), "velocity": objects.velocity_mps[i].tolist(),
            **box(objects[i:i + 1], names[int(objects.label[i])]),
        })
    return rows


def _detection(one: ObjectList, name: str) -> dict[str, Any]:
    (attribute,) = likely_attributes(one.label, one.velocity_mps)
    return {"detection_name": name, "detection_score": float(one.score[0]), "attribute_name": ATTRIBUTES[attribute]}


def _track(one: ObjectList, name: str) -> dict[str, Any]:
    return {"tracking_id": str(one.track_id[0]), "tracking_name": name, "tracking_score": float(one.score[0])}


def _boxes(path: Path) -> tuple[tuple[str, ...], list[Any], Array]:
    """Sample tokens, the boxes of all samples, and which sample each is of."""
    if not path.is_file():
        raise MissingInput(path, "a nuScenes results JSON")
    try:
        results = json.loads(path.read_bytes())["results"]
        boxes = [box for said in results.values() for box in said]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(path, f"no results ({error})", 'JSON with "results": {sample token: [box, ..]}') from error
    for token, said in results.items():
        if len(said) > MOST_BOXES:
            raise InputError(f"{path}, sample {token}", f"{len(said)} boxes", f"at most {MOST_BOXES} a sample")
    return tuple(results), boxes, np.repeat(np.arange(len(results)), [len(said) for said in results.values()])


def _column(path: Path, rows: list[Any], key: str, kind: type | tuple[type, ...]) -> list[Any]:
    """One value of every box."""
    try:
        values = [row[key] for row in rows]
    except (KeyError, TypeError, IndexError):
        row = next(k for k, box in enumerate(rows) if not isinstance(box, dict) or key not in box)
        raise InputError(_where(path, rows, row), f"no {key}", "a box of nuScenes' results") from None
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            raise InputError(_where(path, rows, row), f"{key} {value!r}", "a value of its kind")
    return values


def _vectors(path: Path, rows: list[Any], key: str, width: int, finite: bool = True) -> Array:
    values = _column(path, rows, key, list)
    try:
        vectors = np.array(values, np.float64).reshape(len(values), width)
        if not finite or np.isfinite(vectors).all():
            return vectors
    except (ValueError, TypeError):
        pass
    row = next(k for k, value in enumerate(values) if not _is_vector(value, width, finite))
    raise InputError(_where(path, rows, row), f"{key} {values[row]!r}", f"{width} numbers")


def _is_vector(value: list[Any], width: int, finite: bool) -> bool:
    return len(value) == width and all(isinstance(one, float | int) and (not finite or np.isfinite(one)) for one in value)


def _scores(path: Path, rows: list[Any], key: str) -> Array:
    scores = np.array(_column(path, rows, key, (float, int)), np.float64)
    if np.isnan(scores).any():
        raise InputError(_where(path, rows, int(np.argmax(np.isnan(scores)))), f"{key} NaN", "a number")
    return scores


def _labels(path: Path, rows: list[Any], key: str, classes: Mapping[str, ObjectClass]) -> Array:
    names = _column(path, rows, key, str)
    labels = [classes.get(name, -1) for name in names]
    if -1 in labels:
        row = labels.index(-1)
        raise UnknownFormat(_where(path, rows, row), f"class {names[row]!r}", f"one of {', '.join(classes)}")
    return np.array(labels, np.uint8)


def _yaw_rad(wxyz: Array) -> Array:
    """Headings [n] of quaternions [n, 4] of any length: where they turn the x axis."""
    w, x, y, z = (wxyz / np.linalg.norm(wxyz, axis=1, keepdims=True)).T
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _where(path: Path, rows: list[Any], row: int) -> str:
    token = rows[row].get("sample_token", "?") if isinstance(rows[row], dict) else "?"
    return f"{path}, box {row} (sample {token})"
