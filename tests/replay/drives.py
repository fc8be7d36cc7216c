"""Small drives that tests of this floor share."""
from __future__ import annotations

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.health import RsuHealth
from data_specs.messages import REFERENCE_FRAME, GeoPoint, Header, RoadsideMessage, SignalMessage
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample
from data_specs.site import Site
from replay.drive import (
    EGO_POSES,
    EGO_SAMPLES,
    ROADSIDE_MESSAGES,
    RSU_HEALTH,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
    rsu_samples,
)

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000


def drive_info(**changes) -> DriveInfo:
    given = {"drive_id": "test", "origin": GeoPoint(48.1, 11.5, 520.0), "start_ns": 0, "end_ns": 0, "topics": {},
             "site": Site((), ()), "importer": "test", "notes": ("a note",), "facts": {"seed": 3}}
    return DriveInfo(**given | changes)


def objects(count: int, time_ns: int, rng: np.random.Generator, frame: str = "map") -> ObjectList:
    boxes = Boxes3D(frame, rng.normal(0, 20, (count, 3)), rng.uniform(0.5, 4, (count, 3)), rng.uniform(-3, 3, count))
    return ObjectList.build(boxes, "test", time_ns, np.full(count, ObjectClass.CAR, np.uint8), score=rng.uniform(0, 1, count))


def sample(time_ns: int, rng: np.random.Generator, platform: str = "ego", points: int = 500, cameras: int = 2) -> Sample:
    cloud = PointCloud("LIDAR_TOP", time_ns, rng.normal(0, 30, (points, 3)).astype(np.float32),
                       rng.uniform(0, 1, points).astype(np.float32), rng.integers(0, 32, points).astype(np.uint8),
                       rng.integers(-50_000_000, 50_000_000, points).astype(np.int32))
    matrix_px = np.array([[300.1, 0, 24.7], [0, 300.3, 15.9], [0, 0, 1]])
    images = []
    for i in range(cameras):
        camera = CameraModel(f"CAM_{i}", 48, 32, matrix_px + i, rng.normal(0, 0.1, 5 * (i % 2)))
        shade = np.linspace(0, 200, 48 * 32 * 3).reshape(32, 48, 3).astype(np.uint8)
        images.append(CameraImage(time_ns + i + 1, shade, camera))
    poses = {name: SE3.from_quaternion(platform, name, _unit(rng.normal(size=4)), rng.normal(size=3))
             for name in ["LIDAR_TOP", *(image.camera.frame for image in images)]}
    map_from_ego = SE3.from_quaternion("map", platform, _unit(rng.normal(size=4)), rng.normal(0, 50, 3))
    return Sample("test", time_ns, (cloud,), tuple(images), map_from_ego, poses)


def message(time_ns: int, rng: np.random.Generator) -> RoadsideMessage:
    header = Header("rsu-1", "etsi-cpm-2.1.1", time_ns, time_ns + 5_000_000, 0, 1, rng.bytes(40))
    return RoadsideMessage(header, 101, GeoPoint(48.1, 11.5, 520.0), objects(3, time_ns, rng, REFERENCE_FRAME), (), ())


def signal(time_ns: int) -> SignalMessage:
    header = Header("rsu-1", "j2735-spat", time_ns, time_ns, 0, 1, b"spat")
    return SignalMessage(header, 7, np.array([1, 2]), np.array([3, 6]), np.array([-1, time_ns]), np.array([-1, -1]))


def events(steps: int = 12, seed: int = 0) -> list[Event]:
    """Every kind of payload, `steps` times a tenth of a second, by time then topic."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(steps):
        time_ns = START_NS + i * STEP_NS
        covariance = np.full((6, 6), np.nan)
        truth = Truth.build(objects(i % 3, time_ns, rng), points_in_box=np.arange(i % 3), attribute=["parked"] * (i % 3))
        made += [
            Event(time_ns, EGO_POSES, EgoPose(time_ns, SE3.identity("map", "ego"), np.zeros(3), covariance)),
            Event(time_ns, EGO_SAMPLES, sample(time_ns, rng)),
            Event(time_ns, rsu_samples("rsu-1"), sample(time_ns, rng, "rsu-1", cameras=0)),
            Event(time_ns, RSU_HEALTH, RsuHealth("rsu-1", time_ns, time_ns, i, 3 * i, 0, 10.0, float("nan"))),
            Event(time_ns, ROADSIDE_MESSAGES, message(time_ns, rng)),
            Event(time_ns, ROADSIDE_MESSAGES, signal(time_ns)),
            Event(time_ns, TRUTH, truth),
            Event(time_ns, VEHICLE_OBJECTS, objects(4, time_ns, rng)),
        ]
    return sorted(made, key=lambda event: (event.time_ns, event.topic))


def same(a: object, b: object) -> bool:
    """Whether two payloads hold the same values, NaN equal to NaN; images may differ as JPEG makes them."""
    if isinstance(a, CameraImage) and isinstance(b, CameraImage):
        close = np.abs(a.rgb.astype(int) - b.rgb.astype(int)).max() < 16
        return a.taken_ns == b.taken_ns and bool(close) and same(a.camera, b.camera)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b)
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "items"):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def _unit(wxyz: np.ndarray) -> np.ndarray:
    return wxyz / np.linalg.norm(wxyz)
