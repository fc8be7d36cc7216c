"""What a V2X message says, whatever standard carried it. Codecs decode into these types and encode from them.

Objects of a message stand in the frame "reference": East-North-Up with its origin at the message's reference position.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from data_specs.arrays import Array, Spec, lock_fields
from data_specs.errors import FrameError, SpecError
from data_specs.objects import ObjectList

REFERENCE_FRAME = "reference"


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place on WGS84."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float  # above the ellipsoid; NaN = unknown

    def __post_init__(self) -> None:
        if not (-90.0 <= self.latitude_deg <= 90.0 and -180.0 <= self.longitude_deg <= 180.0):
            raise SpecError(f"place: {self.latitude_deg}, {self.longitude_deg}, expected latitude within 90 and "
                            "longitude within 180 degrees")


@dataclass(frozen=True, slots=True)
class Header:
    """Where a message came from. It is known by (publisher, generated_ns, segment, hash of raw)."""

    publisher: str  # certificate digest, else GeoNetworking source address, else the site file's name for it
    wire_format: str  # "etsi-cpm-2.1.1", ...
    generated_ns: int  # the sender's clock: the time the message refers to
    received_ns: int  # our clock; feeds latency figures alone
    segment: int  # 0 for a message that is whole
    segment_count: int  # 1 for a message that is whole
    raw: bytes  # the message's octets


@dataclass(frozen=True, slots=True)
class SensorInfo:
    """A sensor of a roadside unit, as it announces itself."""

    sensor_id: int
    kind: str  # "lidar", "radar", "video", "fusion", "unknown", ...
    range_m: float  # NaN = not said
    opening_rad: float  # horizontal, centred on heading; NaN = not said
    heading_rad: float  # counter-clockwise from East; NaN = not said


@dataclass(frozen=True, slots=True)
class PerceptionRegion:
    """A polygon that a roadside unit says it watches; what it does not report there it holds to be free."""

    polygon_m: Annotated[Array, Spec("f8", "n", 2)]  # East, North of the reference position
    confidence: float  # 0 to 1; NaN = not said

    def __post_init__(self) -> None:
        lock_fields(self)


@dataclass(frozen=True, slots=True)
class RoadsideMessage:
    """Objects seen by a station: CPM, SDSM, RSM."""

    header: Header
    station_id: int
    position: GeoPoint
    objects: ObjectList  # in the frame "reference"
    sensors: tuple[SensorInfo, ...]
    regions: tuple[PerceptionRegion, ...]

    def __post_init__(self) -> None:
        _require_reference(self.objects)


@dataclass(frozen=True, slots=True)
class StationMessage:
    """A station about itself: CAM, BSM, VAM. One row in `objects`, at the reference position."""

    header: Header
    station_id: int
    position: GeoPoint
    objects: ObjectList

    def __post_init__(self) -> None:
        _require_reference(self.objects)
        if len(self.objects) != 1:
            raise SpecError(f"objects: {len(self.objects)} rows, expected 1, the station itself")


@dataclass(frozen=True, slots=True)
class SignalMessage:
    """Signal states of one intersection: SPaT."""

    header: Header
    intersection_id: int
    group: Annotated[Array, Spec("i4", "g")]
    state: Annotated[Array, Spec("u1", "g")]  # SAE J2735 MovementPhaseState, 0 to 9
    min_end_ns: Annotated[Array, Spec("i8", "g")]  # -1 unknown
    max_end_ns: Annotated[Array, Spec("i8", "g")]  # -1 unknown

    def __post_init__(self) -> None:
        lock_fields(self)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of an intersection, as a line of nodes."""

    lane_id: int
    group: int  # signal group; -1 none
    width_m: float
    nodes_m: Annotated[Array, Spec("f8", "n", 2)]  # East, North of the reference position

    def __post_init__(self) -> None:
        lock_fields(self)


@dataclass(frozen=True, slots=True)
class LaneMap:
    """Lane geometry of one intersection: MAP."""

    header: Header
    intersection_id: int
    position: GeoPoint
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class HazardMessage:
    """A warning: DENM."""

    header: Header
    station_id: int
    position: GeoPoint
    cause: int  # ETSI CauseCodeType
    sub_cause: int
    detected_ns: int
    valid_until_ns: int
    cancelled: bool


Message = RoadsideMessage | StationMessage | SignalMessage | LaneMap | HazardMessage


def _require_reference(objects: ObjectList) -> None:
    if objects.boxes.frame != REFERENCE_FRAME:
        raise FrameError(f"objects: frame is {objects.boxes.frame!r}, expected {REFERENCE_FRAME!r}")
