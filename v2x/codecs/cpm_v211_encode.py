"""A RoadsideMessage as CPM v2.1.1: the inverse of `cpm_v211_decode`, rounded to the units of the wire.

What is lost: times to 1 ms, positions and speeds to 1 cm, angles to 0.1 degree, sizes to 0.1 m (25.4 m and more only as
"out of range"), standard deviations upwards to the next unit; above 20.9 m, 0.64 m/s, 6.4 degrees and 1.5 m they become
"out of range", which reads back as unmeasured. Source: ETSI TS 103 324 V2.1.1.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.clock import NS_PER_MS, its_ms_from_unix_ns, unix_ns_from_its_ms
from data_specs.errors import SpecError
from data_specs.messages import GeoPoint, PerceptionRegion, RoadsideMessage, SensorInfo
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs.bits import bit_string
from v2x.codecs.classes import class_to_v211
from v2x.codecs.cpm_v211 import MESSAGE_ID, PROTOCOL_VERSION
from v2x.codecs.cpm_v211_decode import SENSOR_KINDS, STATE_OF_COMPONENT
from v2x.codecs.shapes import polygon_shape, shape_of_view
from v2x.codecs.uncertainty import confidence_of

MAX_SEGMENTS = 8
_TENTH_DEGREE = math.radians(0.1)


def pdu_of(message: RoadsideMessage) -> dict[str, Any]:
    """Plain values of a message; SpecError names what the standard cannot say: an id, a time or a distance out of range."""
    header = message.header
    reference_ms = its_ms_from_unix_ns(header.generated_ns)
    management: dict[str, Any] = {"referenceTime": reference_ms, "referencePosition": _position(message.position)}
    if header.segment_count > 1:
        management["segmentationInfo"] = {"totalMsgNo": header.segment_count, "thisMsgNo": header.segment + 1}
    containers: list[dict[str, Any]] = [{"containerId": 2, "containerData": {}}]
    if message.sensors:
        containers.append({"containerId": 3, "containerData": [_sensor(sensor) for sensor in message.sensors]})
    if message.regions:
        containers.append({"containerId": 4, "containerData": [_region(region) for region in message.regions]})
    containers.append({"containerId": 5, "containerData": {
        "numberOfPerceivedObjects": min(len(message.objects), 255),
        "perceivedObjects": _objects(message.objects, unix_ns_from_its_ms(reference_ms)),
    }})
    return {
        "header": {"protocolVersion": PROTOCOL_VERSION, "messageId": MESSAGE_ID, "stationId": message.station_id},
        "payload": {"managementContainer": management, "cpmContainers": containers},
    }


def _position(position: GeoPoint) -> dict[str, Any]:
    """A reference position; what a surveyed mast's accuracy is, nobody has told us, so its confidences are unavailable."""
    altitude = 800_001 if math.isnan(position.altitude_m) else min(max(round(position.altitude_m * 100), -100_000), 800_000)
    return {
        "latitude": round(position.latitude_deg * 1e7),
        "longitude": round(position.longitude_deg * 1e7),
        "positionConfidenceEllipse": {
            "semiMajorConfidence": 4095, "semiMinorConfidence": 4095, "semiMajorOrientation": 3601},
        "altitude": {"altitudeValue": altitude, "altitudeConfidence": "unavailable"},
    }


def _objects(objects: ObjectList, reference_ns: int) -> list[dict[str, Any]]:
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(np.diagonal(objects.covariance, axis1=1, axis2=2))
    boxes = objects.boxes
    items = []
    for row in range(len(objects)):
        item: dict[str, Any] = {
            "objectId": _object_id(int(objects.track_id[row]), row),
            "measurementDeltaTime": _delta_ms(int(objects.measured_ns[row]), reference_ns, row),
            "position": _components("xyz", "Coordinate", boxes.center_m[row], sigma[row, :3], (-131_072, 131_071), 4094),
            "angles": {"zAngle": {"value": round(float(boxes.yaw_rad[row]) / _TENTH_DEGREE) % 3600,
                                  "confidence": confidence_of(float(sigma[row, 3]), 125, _TENTH_DEGREE)}},
            "objectPerceptionQuality": min(max(round(float(objects.existence[row]) * 15), 1), 15),
            "classification": [{"objectClass": class_to_v211(ObjectClass(objects.label[row])),
                                "confidence": _percent(float(objects.score[row]))}],
            **_sizes(boxes.size_lwh_m[row], objects.size_sigma_m[row]),
        }
        if not np.isnan(objects.velocity_mps[row]).any():
            item["velocity"] = {"choice": "cartesianVelocity", "value": _components(
                "xy", "Velocity", objects.velocity_mps[row], sigma[row, 4:], (-16_383, 16_382), 125)}
        if not math.isnan(yaw_rate := float(objects.yaw_rate_radps[row])):
            item["zAngularVelocity"] = {"value": min(max(round(math.degrees(yaw_rate)), -255), 255), "confidence": "unavailable"}
        if (matrix := _correlation_matrix(objects.covariance[row], sigma[row], "velocity" in item)) is not None:
            item["lowerTriangularCorrelationMatrices"] = [matrix]
        items.append(item)
    return items


def _components(axes: str, name: str, values: Array, sigma: Array, span: tuple[int, int], highest: int) -> dict[str, Any]:
    """Values in centimetres (per second) with their confidences; beyond `span` they say "out of range", its ends."""
    return {f"{axis}{name}": {"value": min(max(round(value * 100), span[0]), span[1]),
                              "confidence": confidence_of(s, highest, 0.01)}
            for axis, value, s in zip(axes, values.tolist(), sigma.tolist())}


def _sizes(size_lwh_m: Array, sigma_m: Array) -> dict[str, Any]:
    """Dimensions that are there; a length of zero means that it was not measured."""
    return {f"objectDimension{axis}": {"value": min(max(round(size * 10), 1), 255), "confidence": confidence_of(s, 30, 0.1)}
            for axis, size, s in zip("XYZ", size_lwh_m.tolist(), sigma_m.tolist()) if size > 0.0}


def _object_id(track_id: int, row: int) -> int:
    if not 0 <= track_id <= 65_535:
        raise SpecError(f"objects: track_id {track_id} at row {row}, expected an objectId 0 to 65535")
    return track_id


def _delta_ms(measured_ns: int, reference_ns: int, row: int) -> int:
    delta_ms = round((measured_ns - reference_ns) / NS_PER_MS)
    if not -2047 <= delta_ms <= 2046:
        raise SpecError(f"objects: row {row} was measured {delta_ms} ms from the message's time, expected -2047 to 2046")
    return delta_ms


def _percent(fraction: float) -> int:
    return 101 if math.isnan(fraction) else min(max(round(fraction * 100), 1), 100)


def _correlation_matrix(covariance: Array, sigma: Array, has_velocity: bool) -> dict[str, Any] | None:
    """The measured components' correlations, cut towards zero to hundredths; None where all of them are zero."""
    components = [component for component, place in sorted(STATE_OF_COMPONENT.items())
                  if sigma[place] > 0.0 and (place < 4 or has_velocity)]
    places = [STATE_OF_COMPONENT[component] for component in components]
    cells = np.trunc(np.nan_to_num(covariance[np.ix_(places, places)] / np.outer(sigma[places], sigma[places])) * 100)
    columns = [np.clip(cells[row + 1:, row], -99, 99).astype(int).tolist() for row in range(len(places) - 1)]
    if not any(any(column) for column in columns):
        return None
    mask = sum(1 << 12 - component for component in components)
    return {"componentsIncludedIntheMatrix": bit_string(mask, 13), "matrix": columns}


def _sensor(sensor: SensorInfo) -> dict[str, Any]:
    kind = SENSOR_KINDS.index(sensor.kind) if sensor.kind in SENSOR_KINDS else 0
    item: dict[str, Any] = {"sensorId": sensor.sensor_id, "sensorType": kind, "shadowingApplies": True}
    shape = shape_of_view(sensor.range_m, sensor.opening_rad, sensor.heading_rad)
    return item if shape is None else item | {"perceptionRegionShape": shape}


def _region(region: PerceptionRegion) -> dict[str, Any]:
    return {
        "measurementDeltaTime": 0,
        "perceptionRegionConfidence": _percent(region.confidence),
        "perceptionRegionShape": polygon_shape(region.polygon_m),
        "shadowingApplies": True,
    }
