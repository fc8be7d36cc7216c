"""A drive as a nuScenes data set of one scene, which nuscenes-devkit opens: thirteen tables, samples/ and sweeps/.

Source: nuScenes (Caesar et al. 2020), schema of nuscenes-devkit 1.2.0 (docs/schema_nuscenes.md): translations in `global`, which
is the drive's map; quaternions scalar first; sizes as width, length, height; times in microseconds; point files of five float32.
A sample with truth at its very time is a key frame, any other is swept along with the key frame after it.
"""
from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_specs.errors import InputError
from data_specs.objects import ObjectClass, Truth
from data_specs.pose import SE3
from data_specs.sensors import CameraModel, PointCloud, Sample
from replay.drive import EGO_SAMPLES, TRUTH, Event
from replay.export import Span
from replay.recorded import RecordedDrive

VERSION = "v1.0-mini"  # of the tables' folder: the name that the devkit asks for first
FIRST_LIDAR = "LIDAR_TOP"  # what the devkit calls the LiDAR that it looks for
CATEGORIES = {
    ObjectClass.CAR: "vehicle.car", ObjectClass.TRUCK: "vehicle.truck", ObjectClass.BUS: "vehicle.bus.rigid",
    ObjectClass.TRAILER: "vehicle.trailer", ObjectClass.CONSTRUCTION_VEHICLE: "vehicle.construction",
    ObjectClass.PEDESTRIAN: "human.pedestrian.adult", ObjectClass.MOTORCYCLE: "vehicle.motorcycle",
    ObjectClass.BICYCLE: "vehicle.bicycle", ObjectClass.TRAFFIC_CONE: "movable_object.trafficcone",
    ObjectClass.BARRIER: "movable_object.barrier", ObjectClass.ANIMAL: "animal", ObjectClass.TRAM: "vehicle.tram",
    ObjectClass.VAN: "vehicle.van", ObjectClass.PERSON_SITTING: "human.pedestrian.sitting",
    ObjectClass.OTHER: "movable_object.other", ObjectClass.UNKNOWN: "movable_object.unknown",
}
VISIBILITIES = {"1": "v0-40", "2": "v40-60", "3": "v60-80", "4": "v80-100"}
_Row = dict[str, Any]


def write_nuscenes(drive: RecordedDrive, out: Path, span: Span,
                   watch: Callable[[Iterable[Event]], Iterable[Event]] = iter) -> dict[str, int]:
    """Write the data set into the folder `out`; how many rows each table has. InputError for a drive without ego samples."""
    if EGO_SAMPLES not in drive.info.topics:
        raise InputError(drive.path, f"topics {', '.join(sorted(drive.info.topics))}", f"samples of sensors, {EGO_SAMPLES}")
    writer = _Writer(drive, out)
    topics = [EGO_SAMPLES, *([TRUTH] if TRUTH in drive.info.topics else [])]
    for event in watch(drive.events(span.start_ns, span.end_ns, topics)):
        if isinstance(event.payload, Sample):
            writer.sample(event.time_ns, event.payload)
        elif isinstance(event.payload, Truth):
            writer.truth(event.time_ns, event.payload)
    return writer.finish()


class _Writer:
    def __init__(self, drive: RecordedDrive, out: Path) -> None:
        self._drive, self._out = drive, out
        self._tables: dict[str, list[_Row]] = defaultdict(list)
        self._known: dict[str, str] = {}  # tokens by what they were made of, of rows that are written once
        self._truths = set(drive.times(TRUTH).tolist()) if TRUTH in drive.info.topics else None
        self._waiting: list[_Row] = []  # sample data of sweeps, until their key frame comes
        self._last: dict[str, _Row] = {}  # sample data by channel
        self._scene = _token("scene", drive.info.drive_id)
        self._log = _token("log", drive.info.drive_id)
        out.mkdir(parents=True)

    def sample(self, time_ns: int, sample: Sample) -> None:
        """One moment of the sensors: files, and their rows."""
        key_frame = self._truths is None or time_ns in self._truths
        token = _token("sample", time_ns)
        folder = "samples" if key_frame else "sweeps"
        rows = [self._cloud(cloud, number, sample, folder) for number, cloud in enumerate(sample.clouds)]
        jpegs = self._drive.jpegs(time_ns) if sample.images else {}
        rows += [self._image(jpegs[image.camera.frame], image.camera, image.taken_ns, sample, folder) for image in sample.images]
        for row in rows:
            row |= {"sample_token": token, "is_key_frame": key_frame}
        if key_frame:
            self._tables["sample"].append({"token": token, "timestamp": time_ns // 1000, "scene_token": self._scene})
            for row in self._waiting:
                row["sample_token"] = token
            self._waiting = []
        else:
            self._waiting += rows
        for row in rows:
            self._chain("sample_data", row, row.pop("channel"), self._last)

    def truth(self, time_ns: int, truth: Truth) -> None:
        """The boxes of one key frame; what is to be ignored is left out, as in nuScenes itself."""
        objects, sample = truth.objects, _token("sample", time_ns)
        for row in np.flatnonzero(~truth.ignore).tolist():
            track = int(objects.track_id[row])
            instance = _token("instance", track if track >= 0 else f"{time_ns}-{row}")
            category = self._once("category", CATEGORIES[ObjectClass(objects.label[row])])
            pose = SE3("global", "box", _turned(float(objects.boxes.yaw_rad[row])), objects.boxes.center_m[row])
            length, width, height = objects.boxes.size_lwh_m[row].tolist()
            attribute = truth.attribute[row]
            self._tables["sample_annotation"].append({
                "token": _token("annotation", time_ns, row), "sample_token": sample, "instance_token": instance,
                "visibility_token": "", "attribute_tokens": [self._once("attribute", attribute)] if attribute else [],
                "translation": objects.boxes.center_m[row].tolist(), "size": [width, length, height],
                "rotation": pose.quaternion_wxyz().tolist(), "num_lidar_pts": max(int(truth.points_in_box[row]), 0),
                "num_radar_pts": 0, "prev": "", "next": "", "category": category})

    def finish(self) -> dict[str, int]:
        """Chain what follows one another, write the tables; rows by table. InputError where nothing is a key frame."""
        samples = self._tables["sample"]
        if not samples:
            raise InputError(self._drive.path, "no sample with truth at its own time", "at least one key frame")
        for row in self._waiting:  # behind the last key frame
            row["sample_token"] = samples[-1]["token"]
        _link(samples)
        known = {row["token"] for row in samples}
        self._tables["sample_annotation"] = [row for row in self._tables["sample_annotation"] if row["sample_token"] in known]
        self._instances()
        self._scene_rows(samples)
        folder = self._out / VERSION
        folder.mkdir()
        names = ("category", "attribute", "visibility", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene",
                 "sample", "sample_data", "sample_annotation", "map")
        for name in names:
            (folder / f"{name}.json").write_text(json.dumps(self._tables[name]))
        return {name: len(self._tables[name]) for name in names}

    def _scene_rows(self, samples: list[_Row]) -> None:
        info = self._drive.info
        self._tables["scene"] = [{
            "token": self._scene, "log_token": self._log, "name": info.drive_id, "description": info.importer,
            "nbr_samples": len(samples), "first_sample_token": samples[0]["token"], "last_sample_token": samples[-1]["token"]}]
        self._tables["log"] = [{"token": self._log, "logfile": info.drive_id, "vehicle": "", "date_captured": "", "location": ""}]
        (self._out / "maps").mkdir()
        Image.new("L", (1, 1)).save(self._out / "maps" / "none.png")  # the devkit wants a mask
        self._tables["map"] = [{"token": _token("map"), "log_tokens": [self._log], "category": "semantic_prior",
                                "filename": "maps/none.png"}]
        self._tables["visibility"] = [
            {"token": token, "level": level, "description": ""} for token, level in VISIBILITIES.items()]

    def _instances(self) -> None:
        by_instance: dict[str, list[_Row]] = defaultdict(list)
        for row in self._tables["sample_annotation"]:
            by_instance[row["instance_token"]].append(row)
        for token, rows in by_instance.items():
            _link(rows)
            self._tables["instance"].append({
                "token": token, "category_token": rows[0]["category"], "nbr_annotations": len(rows),
                "first_annotation_token": rows[0]["token"], "last_annotation_token": rows[-1]["token"]})
        for row in self._tables["sample_annotation"]:
            del row["category"]

    def _cloud(self, cloud: PointCloud, number: int, sample: Sample, folder: str) -> _Row:
        channel = FIRST_LIDAR if number == 0 else _channel(cloud.frame)
        name = f"{folder}/{channel}/{cloud.taken_ns}.pcd.bin"
        points = np.column_stack([cloud.xyz_m, cloud.intensity * 255.0, cloud.ring]).astype("<f4")
        self._file(name).write_bytes(points.tobytes())
        return self._data(channel, "lidar", name, cloud.taken_ns, sample, sample.ego_from_sensor[cloud.frame], None)

    def _image(self, jpeg: bytes, camera: CameraModel, taken_ns: int, sample: Sample, folder: str) -> _Row:
        channel = _channel(camera.frame)
        name = f"{folder}/{channel}/{taken_ns}.jpg"
        self._file(name).write_bytes(jpeg)
        return self._data(channel, "camera", name, taken_ns, sample, sample.ego_from_sensor[camera.frame], camera)

    def _data(self, channel: str, modality: str, name: str, taken_ns: int, sample: Sample, ego_from_sensor: SE3,
              camera: CameraModel | None) -> _Row:
        """A row of sample_data, with the rows that it names; the ego pose is the sample's, in which each sensor is placed."""
        sensor = self._once("sensor", channel, {"channel": channel, "modality": modality})
        matrix = [] if camera is None else camera.matrix_px.tolist()
        placed = {"sensor_token": sensor, "translation": ego_from_sensor.translation_m.tolist(),
                  "rotation": ego_from_sensor.quaternion_wxyz().tolist(), "camera_intrinsic": matrix}
        calibrated = self._once("calibrated_sensor", json.dumps(placed), placed)
        token = _token("data", channel, taken_ns)
        self._tables["ego_pose"].append({"token": token, "timestamp": taken_ns // 1000,
                                         "translation": sample.map_from_ego.translation_m.tolist(),
                                         "rotation": sample.map_from_ego.quaternion_wxyz().tolist()})
        return {"token": token, "ego_pose_token": token, "calibrated_sensor_token": calibrated, "timestamp": taken_ns // 1000,
                "fileformat": name.rpartition(".")[2] if camera else "pcd", "filename": name, "prev": "", "next": "",
                "height": camera.height_px if camera else 0, "width": camera.width_px if camera else 0, "channel": channel}

    def _file(self, name: str) -> Path:
        path = self._out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _once(self, table: str, key: str, row: _Row | None = None) -> str:
        """The token of a row that is written when first asked for; without `row`, one with a name and no description."""
        if (token := self._known.get(f"{table}/{key}")) is None:
            token = self._known[f"{table}/{key}"] = _token(table, key)
            self._tables[table].append({"token": token} | (row or {"name": key, "description": ""}))
        return token

    def _chain(self, table: str, row: _Row, channel: str, last: dict[str, _Row]) -> None:
        if before := last.get(channel):
            before["next"], row["prev"] = row["token"], before["token"]
        last[channel] = row
        self._tables[table].append(row)


def _link(rows: list[_Row]) -> None:
    """Each row names the one before and the one after it."""
    for row, before, after in zip(rows, [None, *rows[:-1]], [*rows[1:], None]):
        row["prev"], row["next"] = before["token"] if before else "", after["token"] if after else ""


def _channel(frame: str) -> str:
    """A frame's name as a folder."""
    return frame.replace("/", "_")


def _turned(yaw_rad: float) -> Any:
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _token(*parts: object) -> str:
    """32 hex digits that follow from what a row is about: the same drive gives the same data set."""
    return md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
