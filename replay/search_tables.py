"""A drive as flat tables that SQL can ask: objects (a row for each object of each list), messages, the ego, and events (a row for
each record that is not a sensor's).

Every number that a search compares is a column here, worked out once, with the same functions as the metrics use: distance and
gap to the ego, time to collision, acceleration, who is hidden. data_specs/search.md lists the columns.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as arrow_compute

from data_specs.arrays import Array
from data_specs.messages import HazardMessage, LaneMap, RoadsideMessage, SignalMessage, StationMessage
from data_specs.objects import ObjectClass
from replay.drive import EGO_POSES
from replay.metrics.visibility import FEWEST_PIXELS, FEWEST_ROADSIDE_RETURNS, HIDDEN_WITHIN_M
from replay.recorded import RecordedDrive
from replay.search_beside import beside_ego, with_velocities

pc: Any = arrow_compute  # its functions are made when it is loaded
TABLES = ("objects", "messages", "ego", "events")
MESSAGE_KINDS = tuple(kind.__name__ for kind in (RoadsideMessage, StationMessage, SignalMessage, LaneMap, HazardMessage))
ACCELERATION_OVER_NS = 400_000_000  # at least: differences over shorter times are noise
_CLASS_TITLES = np.array([label.title for label in sorted(ObjectClass)])
_COUNTED = {"ObjectList": "label", "Truth": "ignore", "EgoPose": "taken_ns", "RsuHealth": "rsu"}  # a small field of each
_OBJECT_FIELDS = ("boxes", "source", "measured_ns", "label", "score", "existence", "velocity_mps", "track_id")


def flat_tables(drive: RecordedDrive) -> dict[str, pa.Table]:
    """The tables of a drive by name; sensor data is not read. InputError where a file is damaged."""
    start_ns = drive.info.start_ns
    ego_table = _ego(drive, start_ns)
    ego = {name: ego_table[name].to_numpy() for name in ego_table.column_names}
    units = {drive.info.site.publisher_of(rsu): rsu.name for rsu in drive.info.site.rsus}
    found = [_objects(drive, topic, kind, ego, start_ns) for topic, kind in _kinds(drive) if kind in ("ObjectList", "Truth")]
    heard = [_messages(drive, topic, kind, units, start_ns) for topic, kind in _kinds(drive) if kind in MESSAGE_KINDS]
    events = [_events(drive, topic, kind, start_ns) for topic, kind in _kinds(drive) if kind in _COUNTED]
    messages = pa.concat_tables([MESSAGES.empty_table(), *heard]).sort_by("time_ns")
    return {"objects": pa.concat_tables([OBJECTS.empty_table(), *found]), "messages": messages, "ego": ego_table,
            "events": pa.concat_tables([messages.select(EVENTS.names), *events]).sort_by("time_ns")}


EVENTS = pa.schema([("topic", pa.string()), ("kind", pa.string()), ("time_ns", pa.int64()), ("t_s", pa.float64()),
                    ("objects", pa.int64())])
OBJECTS = pa.schema([
    ("row", pa.int64()), ("topic", pa.string()), ("time_ns", pa.int64()), ("t_s", pa.float64()),
    ("source", pa.string()), ("class", pa.string()),
    ("track_id", pa.int64()), *((name, pa.float32()) for name in (
        "x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad", "vx_mps", "vy_mps", "speed_mps", "acceleration_mps2",
        "score", "existence", "distance_m", "gap_m", "ttc_s", "pet_s", "ahead_m", "left_m", "closing_mps")),
    ("crossing", pa.bool_()), ("age_s", pa.float32()), ("lidar_points", pa.int32()), ("hidden", pa.bool_()),
])
MESSAGES = pa.schema([
    ("topic", pa.string()), ("time_ns", pa.int64()), ("t_s", pa.float64()), ("kind", pa.string()), ("publisher", pa.string()),
    ("unit", pa.string()), ("wire_format", pa.string()), ("generated_ns", pa.int64()), ("received_ns", pa.int64()),
    ("delay_s", pa.float64()), ("objects", pa.int64()), ("octets", pa.int64()),
])
EGO = pa.schema([
    ("time_ns", pa.int64()), *((name, pa.float64()) for name in ("t_s", "x_m", "y_m", "z_m", "yaw_rad", "speed_mps",
                                                                 "acceleration_mps2", "vx_mps", "vy_mps")),
])


def _kinds(drive: RecordedDrive) -> list[tuple[str, str]]:
    return [(topic, kind) for topic, told in sorted(drive.info.topics.items()) for kind in told.kind.split(", ")]


def _ego(drive: RecordedDrive, start_ns: int) -> pa.Table:
    if EGO_POSES not in drive.info.topics:
        return EGO.empty_table()
    poses = drive.columns(EGO_POSES, "EgoPose", ["map_from_ego", "velocity_mps"])
    rotation, place = (_rows(pc.struct_field(poses["map_from_ego"], name)) for name in ("rotation", "translation_m"))
    time_ns = poses["time_ns"].to_numpy()
    velocity = with_velocities(time_ns, place[:, :2], _rows(poses["velocity_mps"])[:, :2])
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    yaw = np.arctan2(rotation[:, 3], rotation[:, 0])
    return _table([time_ns, _since_s(time_ns, start_ns), *place.T, yaw, speed, _slope(time_ns, speed), *velocity.T], EGO)


def _objects(drive: RecordedDrive, topic: str, kind: str, ego: Mapping[str, Array], start_ns: int) -> pa.Table:
    """Rows of one topic; lists in another frame than `map` give none."""
    truth = kind == "Truth"
    more = ("points_in_box", "pixels_visible", "roadside_points", "ignore") if truth else ()
    records = drive.columns(topic, kind, ["objects", *more] if truth else _OBJECT_FIELDS)
    lists = _struct(records["objects"]) if truth else {name: records[name] for name in _OBJECT_FIELDS}
    in_map = pc.equal(pc.struct_field(lists["boxes"], "frame"), "map")
    records = records.filter(in_map)
    lists = {name: column.filter(in_map) for name, column in lists.items()}
    boxes = _struct(lists["boxes"])
    counts = pc.list_value_length(lists["label"]).to_numpy()
    time_ns = np.repeat(records["time_ns"].to_numpy(), counts)
    center_m, size_m, velocity = (_flat(column) for column in (boxes["center_m"], boxes["size_lwh_m"], lists["velocity_mps"]))
    yaw, track_id = _flat(boxes["yaw_rad"]), _flat(lists["track_id"])
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    near = beside_ego(ego, time_ns, center_m, size_m[:, :2], yaw, velocity)
    points = _flat(records["points_in_box"]) if truth else np.full(len(time_ns), -1, np.int32)
    hidden = _hidden(points, _flat(records["pixels_visible"]), _flat(records["roadside_points"]), near["distance_m"],
                     _flat(records["ignore"])) if truth else np.zeros(len(time_ns), bool)
    return _table([
        np.arange(len(time_ns)), pa.array([topic] * len(time_ns), pa.string()), time_ns, _since_s(time_ns, start_ns),
        lists["source"].combine_chunks().take(pa.array(np.repeat(np.arange(len(counts)), counts))),
        _CLASS_TITLES[_flat(lists["label"])], track_id, *center_m.T, *size_m.T, yaw, *velocity.T, speed,
        _slopes_of_tracks(track_id, time_ns, speed), _flat(lists["score"]), _flat(lists["existence"]).astype(float),
        *near.values(), (time_ns - _flat(lists["measured_ns"])) / 1e9, points, hidden], OBJECTS)


def _messages(drive: RecordedDrive, topic: str, kind: str, units: Mapping[str, str], start_ns: int) -> pa.Table:
    with_objects = kind in ("RoadsideMessage", "StationMessage")
    records = drive.columns(topic, kind, ["header", "objects"] if with_objects else ["header"])
    header, n = _struct(records["header"]), records.num_rows
    time_ns, generated, received = (column.to_numpy() for column in (records["time_ns"], header["generated_ns"],
                                                                     header["received_ns"]))
    counts = pc.list_value_length(pc.struct_field(records["objects"], "label")) if with_objects else pa.array([0] * n)
    delay_s = np.where(received > 0, (received - generated) / 1e9, np.nan)
    names = pa.array([units.get(name, "") for name in header["publisher"].to_pylist()], pa.string())
    return _table([pa.array([topic] * n, pa.string()), time_ns, _since_s(time_ns, start_ns), pa.array([kind] * n, pa.string()),
                   header["publisher"], names, header["wire_format"], generated, received, delay_s, pc.cast(counts, pa.int64()),
                   pc.cast(pc.binary_length(header["raw"]), pa.int64())], MESSAGES)


def _events(drive: RecordedDrive, topic: str, kind: str, start_ns: int) -> pa.Table:
    records = drive.columns(topic, kind, [_COUNTED[kind]])
    time_ns, n = records["time_ns"].to_numpy(), records.num_rows
    lists = kind in ("ObjectList", "Truth")
    counts = pc.list_value_length(records[_COUNTED[kind]]).to_numpy() if lists else np.zeros(n, np.int64)
    return _table([pa.array([topic] * n, pa.string()), pa.array([kind] * n, pa.string()), time_ns, _since_s(time_ns, start_ns),
                   counts], EVENTS)


def _hidden(points: Array, pixels: Array, roadside: Array, distance_m: Array, ignore: Array) -> Array:
    """As hidden_from_ego of replay/metrics/visibility.py, over all lists at once."""
    unseen = (points == 0) & (pixels >= 0) & (pixels < FEWEST_PIXELS)
    return unseen & (roadside >= FEWEST_ROADSIDE_RETURNS) & (distance_m <= HIDDEN_WITHIN_M) & ~ignore


def _slopes_of_tracks(track_id: Array, time_ns: Array, value: Array) -> Array:
    """Change of a value per second [n] along each track; NaN for what has no track, and at a track's start."""
    slopes = np.full(len(value), np.nan)
    order = np.lexsort((time_ns, track_id))
    starts = np.flatnonzero(np.r_[True, np.diff(track_id[order]) != 0]) if len(order) else np.zeros(0, int)
    for own in np.split(order, starts[1:]):
        if len(own) > 1 and track_id[own[0]] >= 0:
            slopes[own] = _slope(time_ns[own], value[own])
    return slopes


def _slope(time_ns: Array, value: Array) -> Array:
    """Change per second [n] since the last value that is ACCELERATION_OVER_NS old or more, and less than twice that."""
    before = np.searchsorted(time_ns, time_ns - ACCELERATION_OVER_NS, side="right") - 1
    past = np.maximum(before, 0)
    span_ns = time_ns - time_ns[past]
    known = (before >= 0) & (span_ns < 2 * ACCELERATION_OVER_NS)
    return np.where(known, (value - value[past]) / (np.maximum(span_ns, 1) / 1e9), np.nan)


def _table(columns: list[Any], schema: pa.Schema) -> pa.Table:
    """The table; NaN becomes null, since DuckDB holds NaN for the greatest of all numbers."""
    return pa.table([pa.array(column, from_pandas=True).cast(kind.type) if isinstance(column, np.ndarray) else column
                     for column, kind in zip(columns, schema)], schema=schema)


def _since_s(time_ns: Array, start_ns: int) -> Array:
    return (time_ns - start_ns) / 1e9


def _struct(column: Any) -> dict[str, Any]:
    return {field.name: pc.struct_field(column, field.name) for field in column.type}


def _flat(column: Any) -> Array:
    """The values of all lists in a row: [n], or [n, k] of lists of fixed size."""
    return _rows(pc.list_flatten(column))


def _rows(column: Any) -> Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
    return column.to_numpy(zero_copy_only=False)
