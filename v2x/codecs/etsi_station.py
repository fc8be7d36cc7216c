"""What a station says of itself in ETSI's terms, both ways: position with its ellipse, heading, speed and size, class.

Source: ETSI TS 102 894-2 V1.3.1 and V2.1.1. Angles on the wire run clockwise from North, ours counter-clockwise from East.
Accuracies are at a confidence level of 95 %: of one coordinate 1.96 standard deviations; of PosConfidenceEllipse, which holds
95 % in two dimensions, 2.448.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.clock import its_ms_near, unix_ns_from_its_ms
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs.rows import Row
from v2x.codecs.uncertainty import SIGMAS_95, confidence_of, sigma_of

NAN = math.nan
SIGMAS_95_ELLIPSE = math.sqrt(-2.0 * math.log(0.05))  # semi axis of the ellipse that holds 95 % of a normal error in the plane
CENTI, TENTH_DEGREE = 0.01, math.radians(0.1)
ALTITUDE_CONFIDENCES_M = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
ALTITUDE_CONFIDENCES = (
    "alt-000-01", "alt-000-02", "alt-000-05", "alt-000-10", "alt-000-20", "alt-000-50", "alt-001-00", "alt-002-00",
    "alt-005-00", "alt-010-00", "alt-020-00", "alt-050-00", "alt-100-00", "alt-200-00", "outOfRange", "unavailable",
)
_WIDEST_CM = 4093  # semi axis; above it "out of range"
_CLASSES = {
    1: ObjectClass.PEDESTRIAN, 2: ObjectClass.BICYCLE, 3: ObjectClass.MOTORCYCLE, 4: ObjectClass.MOTORCYCLE,
    5: ObjectClass.CAR, 6: ObjectClass.BUS, 7: ObjectClass.VAN, 8: ObjectClass.TRUCK, 9: ObjectClass.TRAILER,
    10: ObjectClass.CONSTRUCTION_VEHICLE, 11: ObjectClass.TRAM, 12: ObjectClass.BICYCLE, 13: ObjectClass.ANIMAL,
    14: ObjectClass.OTHER, 15: ObjectClass.OTHER,
}
# A special vehicle (10) is taken for one like a moving road works vehicle unless its role says another thing.
_OTHER_SPECIAL_ROLES = ("rescue", "emergency", "safetyCar", "military", "agriculture")
_STATION_TYPES = {
    ObjectClass.PEDESTRIAN: 1, ObjectClass.PERSON_SITTING: 1, ObjectClass.BICYCLE: 2, ObjectClass.MOTORCYCLE: 4,
    ObjectClass.CAR: 5, ObjectClass.BUS: 6, ObjectClass.VAN: 7, ObjectClass.TRUCK: 8, ObjectClass.TRAILER: 9,
    ObjectClass.CONSTRUCTION_VEHICLE: 10, ObjectClass.TRAM: 11,
}


@dataclass(frozen=True, slots=True)
class Motion:
    """How a station moves, NaN where it does not know; the direction is that of the movement, else where the station points."""

    speed_mps: float
    speed_sigma_mps: float
    direction_rad: float  # counter-clockwise from East
    direction_sigma_rad: float
    backward: bool


def class_of_station(station_type: int, vehicle_role: str = "default") -> ObjectClass:
    """The class of a stationType; a light truck is a van, a moped a motorcycle, a roadside unit something other."""
    if station_type == 10 and vehicle_role in _OTHER_SPECIAL_ROLES:
        return ObjectClass.OTHER
    return _CLASSES.get(station_type, ObjectClass.UNKNOWN)


def station_type_of(label: ObjectClass) -> int:
    """The stationType of a class; unknown (0) for what is no kind of station."""
    return _STATION_TYPES.get(label, 0)


def generated_ns_of(delta_time: int, received_ns: int, path: str, bit: int) -> int:
    """Unix time of a generationDeltaTime: the one nearest to the time of arrival; DecodeError where that is not known."""
    if received_ns <= 0:
        raise DecodeError(path, bit, "16 bits of a time", "a time of arrival to complete them")
    return unix_ns_from_its_ms(its_ms_near(delta_time, received_ns))


def place_of(position: dict[str, Any], path: str, latitude_bit: int) -> GeoPoint:
    """A reference position as a place; DecodeError at its latitude where it is unavailable."""
    if position["latitude"] > 900_000_000 or position["longitude"] > 1_800_000_000:
        raise DecodeError(path, latitude_bit, "an unavailable position", "latitude and longitude")
    altitude = position["altitude"]["altitudeValue"]
    return GeoPoint(position["latitude"] / 1e7, position["longitude"] / 1e7, NAN if altitude >= 800_000 else altitude / 100)


def position_of(place: GeoPoint, covariance: Array | None = None) -> dict[str, Any]:
    """A reference position; `covariance` [3, 3] of East, North, Up (m2), NaN or None where it is not known."""
    covariance = np.full((3, 3), NAN) if covariance is None else covariance
    altitude = 800_001 if math.isnan(place.altitude_m) else min(max(round(place.altitude_m * 100), -100_000), 800_000)
    return {
        "latitude": round(place.latitude_deg * 1e7),
        "longitude": round(place.longitude_deg * 1e7),
        "positionConfidenceEllipse": ellipse_of(covariance[:2, :2]),
        "altitude": {"altitudeValue": altitude, "altitudeConfidence": altitude_confidence_of(covariance[2, 2])},
    }


def ellipse_covariance(ellipse: dict[str, int]) -> Array:
    """Covariance [2, 2] of East and North, m2; NaN where an axis is not said.

    An ellipse without orientation counts as the circle around it.
    """
    major, minor = (sigma_of(ellipse[f"semi{axis}Confidence"], 1, _WIDEST_CM, CENTI) * SIGMAS_95 / SIGMAS_95_ELLIPSE
                    for axis in ("Major", "Minor"))
    if ellipse["semiMajorOrientation"] > 3600:
        minor = major
    along_rad = math.pi / 2 - ellipse["semiMajorOrientation"] * TENTH_DEGREE
    c, s = math.cos(along_rad), math.sin(along_rad)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([major**2, minor**2]) @ turn.T


def ellipse_of(covariance: Array) -> dict[str, int]:
    """The ellipse of a covariance [2, 2] of East and North, its axes rounded up; unavailable where it is NaN."""
    if np.isnan(covariance).any():
        return {"semiMajorConfidence": 4095, "semiMinorConfidence": 4095, "semiMajorOrientation": 3601}
    variances, axes = np.linalg.eigh(covariance)
    minor, major = (confidence_of(math.sqrt(max(variance, 0.0)) * SIGMAS_95_ELLIPSE / SIGMAS_95, _WIDEST_CM, CENTI)
                    for variance in variances.tolist())
    east, north = axes[:, 1].tolist()
    orientation = 0 if major == minor else round(math.degrees(math.atan2(east, north)) * 10) % 1800
    return {"semiMajorConfidence": major, "semiMinorConfidence": minor, "semiMajorOrientation": orientation}


def altitude_sigma(confidence: str) -> float:
    """Standard deviation of an altitude, m; NaN for "outOfRange" and "unavailable"."""
    place = ALTITUDE_CONFIDENCES.index(confidence)
    return ALTITUDE_CONFIDENCES_M[place] / SIGMAS_95 if place < len(ALTITUDE_CONFIDENCES_M) else NAN


def altitude_confidence_of(variance_m2: float) -> str:
    """The name of an altitude's accuracy, rounded up."""
    if math.isnan(variance_m2):
        return "unavailable"
    half_width_m = math.sqrt(variance_m2) * SIGMAS_95
    place = next((place for place, most_m in enumerate(ALTITUDE_CONFIDENCES_M) if half_width_m <= most_m * (1 + 1e-9)), -2)
    return ALTITUDE_CONFIDENCES[place]


def yaw_of(clockwise_tenths: int) -> float:
    """Radians counter-clockwise from East of tenths of a degree clockwise from North; NaN where unavailable."""
    return NAN if clockwise_tenths > 3600 else math.pi / 2 - clockwise_tenths * TENTH_DEGREE


def clockwise_tenths_of(yaw_rad: float) -> int:
    """Tenths of a degree clockwise from North, 0 to 3599; unavailable (3601) for NaN."""
    return 3601 if math.isnan(yaw_rad) else round((math.pi / 2 - yaw_rad) / TENTH_DEGREE) % 3600


def angle_sigma(confidence: int) -> float:
    """Standard deviation of an angle, rad."""
    return sigma_of(confidence, 1, 125, TENTH_DEGREE)


def angle_confidence_of(sigma_rad: float) -> int:
    return confidence_of(sigma_rad, 125, TENTH_DEGREE)


def speed_of(speed: dict[str, int]) -> tuple[float, float]:
    """Speed and its standard deviation, m/s."""
    value = speed["speedValue"]
    return (NAN if value > 16_381 else value * CENTI), sigma_of(speed["speedConfidence"], 1, 125, CENTI)


def speed_code_of(speed_mps: float, sigma_mps: float) -> dict[str, int]:
    """A speed as coded; 163.82 m/s and more is out of range."""
    value = 16_383 if math.isnan(speed_mps) else min(round(speed_mps / CENTI), 16_382)
    return {"speedValue": value, "speedConfidence": confidence_of(sigma_mps, 125, CENTI)}


def row_at(position: dict[str, Any], measured_ns: int, label: ObjectClass, station_id: int) -> Row:
    """The station's own row at its reference position, with the uncertainty of its place."""
    covariance = ellipse_covariance(position["positionConfidenceEllipse"])
    east, north = np.sqrt(np.diagonal(covariance)).tolist()
    up = altitude_sigma(position["altitude"]["altitudeConfidence"])
    row = Row(measured_ns, (0.0, 0.0, 0.0), (east, north, up, NAN, NAN, NAN), label=label, track_id=station_id)
    if east > 0.0 and north > 0.0:
        row.correlation = {(0, 1): float(covariance[0, 1]) / (east * north)}
    return row


def put_motion(row: Row, heading: int, heading_confidence: int, speed: dict[str, int], *, backward: bool = False) -> None:
    """Yaw and velocity into a row, of a heading of the movement and a speed as coded. A speed of zero needs no heading."""
    direction_rad, direction_sigma = yaw_of(heading), angle_sigma(heading_confidence)
    speed_mps, speed_sigma = speed_of(speed)
    row.yaw_rad = direction_rad + math.pi * backward
    if math.isnan(direction_rad) and speed_mps == 0.0:
        row.velocity, row.sigma = (0.0, 0.0), (*row.sigma[:4], speed_sigma, speed_sigma)
        return
    row.velocity, row.polar = (speed_mps, direction_rad), True
    row.sigma = (*row.sigma[:3], direction_sigma, speed_sigma, direction_sigma)


def motion_of(objects: ObjectList) -> Motion:
    """The motion of one object; its direction is that of its velocity or of its box, whichever is known better.

    A yaw of exactly zero, without uncertainty and without movement, is one that was not measured.
    """
    velocity_mps, covariance = objects.velocity_mps[0], objects.covariance[0]
    yaw_rad, yaw_sigma = float(objects.boxes.yaw_rad[0]), float(np.sqrt(covariance[3, 3]))
    speed_mps = float(np.hypot(*velocity_mps))
    if not speed_mps > 0.0:
        unmeasured = yaw_rad == 0.0 and math.isnan(yaw_sigma)
        unknown = bool(np.isnan(covariance[4:, 4:]).any())
        speed_sigma = NAN if unknown else math.sqrt(max(np.linalg.eigvalsh(covariance[4:, 4:])[1], 0.0))
        return Motion(speed_mps, speed_sigma, NAN if unmeasured else yaw_rad, yaw_sigma, False)
    along = velocity_mps / speed_mps
    across = np.array([-along[1], along[0]])
    speed_sigma, across_mps = (float(np.sqrt(axis @ covariance[4:, 4:] @ axis)) for axis in (along, across))
    moving_rad = math.atan2(velocity_mps[1], velocity_mps[0])
    backward = math.cos(moving_rad - yaw_rad) < 0.0
    if math.isnan(yaw_sigma) or across_mps / speed_mps < yaw_sigma:
        return Motion(speed_mps, speed_sigma, moving_rad, across_mps / speed_mps, backward)
    return Motion(speed_mps, speed_sigma, yaw_rad + math.pi * backward, yaw_sigma, backward)


def require_station_id(station_id: int) -> int:
    if not 0 <= station_id <= 4_294_967_295:
        raise SpecError(f"station_id: {station_id}, expected 0 to 4294967295")
    return station_id
