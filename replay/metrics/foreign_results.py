"""A drive with another detector's result files in place of its own detections, so that they are scored on its truth.

- nuScenes: a results JSON. Every moment of truth must be among its samples; samples of other drives are passed over.
- KITTI: a folder of NNNNNN.txt, one for every frame, empty ones too. Their image boxes are not read: they are projected anew from
  the boxes in space, as those of our own detections are.
Sources: nuScenes detection task, results format; KITTI object development kit, readme.txt (15 label fields and a score).
"""
from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.objects import KITTI_CLASSES, ObjectList, class_of
from replay.drive import TRUTH, VEHICLE_OBJECTS, Drive, DriveInfo, Event, TopicInfo
from replay.importers.kitti_calibration import KittiCalibration
from replay.metrics.kitti import frame_calibrations
from replay.metrics.nuscenes_json import read_detections

KITTI_FIELDS = 16
SOURCE = "results"


class ScoredResults:
    """A drive whose `vehicle.objects` are those of result files."""

    def __init__(self, drive: Drive, made: Sequence[Event]) -> None:
        self._drive, self._made = drive, sorted(made, key=lambda event: event.time_ns)

    @property
    def info(self) -> DriveInfo:
        """The drive's own, with as many lists of detections as the files gave."""
        told = TopicInfo("ObjectList", len(self._made), sum(len(event.payload) for event in self._made
                                                            if isinstance(event.payload, ObjectList)))
        return replace(self._drive.info, topics={**self._drive.info.topics, VEHICLE_OBJECTS: told})

    def events(self, start_ns: int | None = None, end_ns: int | None = None,
               topics: Sequence[str] | None = None) -> Iterator[Event]:
        """As of the drive, its own detections left out."""
        asked = None if topics is None else [topic for topic in topics if topic != VEHICLE_OBJECTS]
        others = (event for event in self._drive.events(start_ns, end_ns, asked) if event.topic != VEHICLE_OBJECTS)
        mine = (event for event in self._made if (start_ns is None or event.time_ns >= start_ns)
                and (end_ns is None or event.time_ns < end_ns))
        yield from heapq.merge(others, mine if topics is None or VEHICLE_OBJECTS in topics else (),
                               key=lambda event: (event.time_ns, event.topic))


def with_results(drive: Drive, results: Path) -> ScoredResults:
    """The drive with the results of a nuScenes JSON or of a folder of KITTI txt files; InputError names what is wrong in them."""
    results = Path(results)
    if not results.exists():
        raise MissingInput(results, "a nuScenes results JSON, or a folder of KITTI result files")
    made = _of_kitti(drive, results) if results.is_dir() else _of_nuscenes(drive, results)
    return ScoredResults(drive, list(made))


def read_kitti_results(path: Path, calibration: KittiCalibration, time_ns: int) -> ObjectList:
    """The detections of one frame, in map; InputError or UnknownFormat names file and line."""
    names, rows = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        words, where = line.split(), f"{path}:{number}"
        if not words:
            continue
        if len(words) != KITTI_FIELDS:
            raise InputError(where, f"{len(words)} fields", f"{KITTI_FIELDS}: type, 14 numbers and the score")
        class_of(words[0], KITTI_CLASSES, where)
        try:
            rows.append([float(word) for word in words[8:]])
        except ValueError as error:
            raise InputError(where, str(error), "numbers after the type") from error
        if not np.isfinite(rows[-1]).all() or min(rows[-1][:3]) <= 0.0 or not 0.0 <= rows[-1][7] <= 1.0:
            raise InputError(where, " ".join(words[8:]), "dimensions above 0, place and heading finite, a score of 0 to 1")
        names.append(words[0])
    table = np.array(rows).reshape(-1, 8)
    boxes = calibration.boxes_from_label(table[:, :3], table[:, 3:6], table[:, 6])
    label = np.array([KITTI_CLASSES[name] for name in names], np.uint8)
    in_map = Boxes3D("map", boxes.center_m, boxes.size_lwh_m, boxes.yaw_rad)
    return ObjectList.build(in_map, SOURCE, time_ns, label, score=table[:, 7])


def _of_kitti(drive: Drive, folder: Path) -> Iterator[Event]:
    for time_ns, (name, calibration) in frame_calibrations(drive).items():
        path = folder / f"{name}.txt"
        if not path.is_file():
            raise MissingInput(path, "a result file for every frame of the drive, empty where nothing was found")
        yield Event(time_ns, VEHICLE_OBJECTS, read_kitti_results(path, calibration, time_ns))


def _of_nuscenes(drive: Drive, path: Path) -> Iterator[Event]:
    tokens, found = read_detections(path)
    place = {token: row for row, token in enumerate(tokens)}
    known = drive.info.facts.get("sample_tokens", {})
    shift_m = np.array(drive.info.facts.get("global_from_map_m", [0.0, 0.0, 0.0]))
    for event in drive.events(topics=[TRUTH]):
        token = known.get(str(event.time_ns), str(event.time_ns))
        if token not in place:
            raise InputError(path, f"no sample {token!r}", f"every moment of truth of drive {drive.info.drive_id}")
        said = found[found.sample == place[token]]
        try:
            boxes = Boxes3D("map", said.center_m - shift_m, said.size_lwh_m, said.yaw_rad)
            objects = ObjectList.build(boxes, SOURCE, event.time_ns, said.label, score=said.score, velocity_mps=said.velocity_mps)
        except SpecError as error:
            raise InputError(f"{path}, sample {token}", str(error), "boxes that can be") from error
        yield Event(event.time_ns, VEHICLE_OBJECTS, objects)
