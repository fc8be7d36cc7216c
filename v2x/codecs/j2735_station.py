"""Place, motion and accuracy in J2735's terms, both ways.

Headings on the wire run clockwise from North, yaw rates are positive clockwise; ours run counter-clockwise from East. The
axes of PositionalAccuracy are taken for one standard deviation. Source: SAE J2735, DE_Heading, DE_YawRate,
DE_SemiMajorAxisAccuracy.
"""
from __future__ import annotations

import math

import numpy as np

from data_specs.arrays import Array
from data_specs.clock import NS_PER_MS
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, StationMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs.rows import NAN, Row, object_list

SPEED_MPS, HEADING_RAD, ACCURACY_M = 0.02, math.radians(0.0125), 0.05
UNAVAILABLE_SPEED, UNAVAILABLE_HEADING = 8191, 28_800
UNAVAILABLE_ACCURACY = {"semiMajor": 255, "semiMinor": 255, "orientation": 65_535}
UNAVAILABLE_ACCELERATION = {"long": 2001, "lat": 2001, "vert": -127, "yaw": 0}
_LONGEST_AXIS = 253  # 254 says 12.7 m or more
_ORIENTATION_RAD = 2 * math.pi / 65_535
_COUNT_NS = 100 * NS_PER_MS  # senders count their messages at 10 Hz
_SHORTEST_AXIS_M = 0.025  # what an accuracy of zero stands for: less than half a unit


def place_of(latitude: int, longitude: int, elevation: int, where: str, offset_bits: int) -> GeoPoint:
    """A position as coded; DecodeError where it is unavailable."""
    if latitude > 900_000_000 or longitude > 1_800_000_000:
        raise DecodeError(where, offset_bits, "an unavailable position", "latitude and longitude")
    return GeoPoint(latitude / 1e7, longitude / 1e7, NAN if elevation == -4096 else elevation / 10)


def position_of(place: GeoPoint) -> dict[str, int]:
    """A Position3D, without an elevation where it is unknown."""
    position = {"lat": round(place.latitude_deg * 1e7), "long": max(round(place.longitude_deg * 1e7), -1_799_999_999)}
    return position if math.isnan(place.altitude_m) else position | {"elevation": elevation_of(place)}


def elevation_of(place: GeoPoint) -> int:
    """In 0.1 m; unknown (-4096) for NaN."""
    return -4096 if math.isnan(place.altitude_m) else min(max(round(place.altitude_m * 10), -4095), 61_439)


def speed_mps(speed: int) -> float:
    """Metres per second; NaN where unavailable."""
    return NAN if speed == UNAVAILABLE_SPEED else speed * SPEED_MPS


def speed_of(speed: float) -> int:
    """In 0.02 m/s, at most 163.8 m/s; unavailable for NaN."""
    return UNAVAILABLE_SPEED if math.isnan(speed) else min(round(speed / SPEED_MPS), UNAVAILABLE_SPEED - 1)


def direction_rad(heading: int) -> float:
    """Counter-clockwise from East, within [-pi, pi]; NaN where unavailable."""
    return NAN if heading == UNAVAILABLE_HEADING else math.remainder(math.pi / 2 - heading * HEADING_RAD, 2 * math.pi)


def heading_of(direction: float) -> int:
    """In 0.0125 degrees from North; unavailable for NaN."""
    return UNAVAILABLE_HEADING if math.isnan(direction) else round((math.pi / 2 - direction) / HEADING_RAD) % 28_800


def yaw_rate_radps(acceleration: dict[str, int]) -> float:
    """The yaw rate of an AccelerationSet4Way; NaN where the whole set is unavailable, for yaw has no such value of its own."""
    return NAN if acceleration == UNAVAILABLE_ACCELERATION else -math.radians(acceleration["yaw"] * 0.01)


def acceleration_of(yaw_rate: float) -> dict[str, int]:
    """An AccelerationSet4Way that tells the yaw rate alone; a rate of zero goes as the smallest there is, 0.01 degree/s."""
    if math.isnan(yaw_rate):
        return dict(UNAVAILABLE_ACCELERATION)
    return UNAVAILABLE_ACCELERATION | {"yaw": min(max(round(-math.degrees(yaw_rate) * 100), -32_767), 32_767) or 1}


def accuracy_covariance(accuracy: dict[str, int]) -> Array:
    """Covariance [2, 2] of East and North, m2; NaN where an axis is not said. Without orientation the circle around it."""
    major, minor = (max(axis * ACCURACY_M, _SHORTEST_AXIS_M) if axis <= _LONGEST_AXIS else NAN
                    for axis in (accuracy["semiMajor"], accuracy["semiMinor"]))
    if accuracy["orientation"] == UNAVAILABLE_ACCURACY["orientation"]:
        minor = major
    along = math.pi / 2 - accuracy["orientation"] * _ORIENTATION_RAD
    turn = np.array([[math.cos(along), -math.sin(along)], [math.sin(along), math.cos(along)]])
    return turn @ np.diag([major**2, minor**2]) @ turn.T


def accuracy_of(covariance: Array) -> dict[str, int]:
    """The PositionalAccuracy of a covariance [2, 2] of East and North, its axes rounded up; unavailable where it is NaN."""
    if np.isnan(covariance).any():
        return dict(UNAVAILABLE_ACCURACY)
    variances, axes = np.linalg.eigh(covariance)
    minor, major = (min(math.ceil(math.sqrt(max(variance, 0.0)) / ACCURACY_M - 1e-6), _LONGEST_AXIS + 1)
                    for variance in variances.tolist())
    east, north = axes[:, 1].tolist()
    clockwise = math.atan2(east, north) % math.pi
    return {"semiMajor": major, "semiMinor": minor, "orientation": 0 if major == minor else round(clockwise / _ORIENTATION_RAD)}


def message_count(generated_ns: int) -> int:
    """A MsgCount that grows by one every tenth of a second."""
    return generated_ns // _COUNT_NS % 128


def temporary_id(station_id: int) -> str:
    """Four octets as hex; SpecError for a number that does not fit."""
    if not 0 <= station_id < 1 << 32:
        raise SpecError(f"station_id: {station_id}, expected 0 to 4294967295")
    return f"{station_id:08x}"


def station_message(header: Header, place: GeoPoint, row: Row, accuracy: dict[str, int], speed: int, heading: int,
                    backward: bool) -> StationMessage:
    """The message of a station with its place, motion and accuracy put into its row, whose track_id is the station's."""
    covariance = accuracy_covariance(accuracy)
    east, north = np.sqrt(np.diagonal(covariance)).tolist()
    row.sigma = (east, north, NAN, NAN, NAN, NAN)
    if not math.isnan(east + north):
        row.correlation = {(0, 1): float(covariance[0, 1]) / (east * north)}
    row.yaw_rad = direction_rad(heading)
    row.velocity, row.polar = (speed_mps(speed), row.yaw_rad + math.pi * backward), True
    if row.velocity[0] == 0.0:
        row.velocity, row.polar = (0.0, 0.0), False
    return StationMessage(header, row.track_id, place, object_list([row], header.publisher))


def heading_and_speed(objects: ObjectList) -> tuple[float, float, bool]:
    """Where one object points (NaN unknown), its speed (m/s), and whether it drives backwards.

    A yaw of exactly zero without uncertainty is one that was not measured: the direction of motion stands in for it.
    """
    velocity, yaw = objects.velocity_mps[0], float(objects.boxes.yaw_rad[0])
    speed = float(np.hypot(*velocity))
    moving = math.atan2(velocity[1], velocity[0]) if speed > 0.0 else NAN
    if yaw == 0.0 and math.isnan(objects.covariance[0, 3, 3]):
        return moving, speed, False
    return yaw, speed, bool(math.cos(moving - yaw) < 0.0)


def size_of(objects: ObjectList) -> dict[str, int]:
    """A VehicleSize; a size of zero was not measured."""
    length_m, width_m = objects.boxes.size_lwh_m[0, :2].tolist()
    return {"width": min(round(width_m * 100), 1023), "length": min(round(length_m * 100), 4095)}


def label_of(objects: ObjectList) -> ObjectClass:
    return ObjectClass(objects.label[0])
