"""A small scene for tests of fusion: road users on straight lines, a vehicle's detections of some, roadside messages of all."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.messages import GeoPoint, Header, RoadsideMessage, StationMessage
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site
from replay.drive import ROADSIDE_MESSAGES, VEHICLE_OBJECTS, DriveInfo, Event, TopicInfo
from v2x.geodesy import geo_from_map

ORIGIN = GeoPoint(48.0, 11.0, 500.0)
START_NS = 1_700_000_000_000_000_000
TICK_NS = 100_000_000


def objects_at(frame: str, source: str, time_ns: int, xy_m: Sequence[Sequence[float]], *, label: int = ObjectClass.CAR,
               score: float = 0.9, track_id: Sequence[int] | None = None, sigma_m: float | None = None,
               velocity_mps: np.ndarray | None = None) -> ObjectList:
    """Boxes of usual size at these places; with sigma_m, a covariance that measures x and y alone."""
    n = len(xy_m)
    center_m = np.hstack([np.array(xy_m, float).reshape(n, 2), np.full((n, 1), 0.8)])
    size_m = np.tile([4.4, 1.8, 1.6] if label == ObjectClass.CAR else [0.7, 0.7, 1.7], (n, 1))
    covariance = None
    if sigma_m is not None:
        covariance = np.full((n, 6, 6), np.nan)
        covariance[:, 0, 0] = covariance[:, 1, 1] = sigma_m**2
    return ObjectList.build(Boxes3D(frame, center_m, size_m, np.zeros(n)), source, time_ns, np.full(n, label, np.uint8),
                            score=np.full(n, score), covariance=covariance, velocity_mps=velocity_mps,
                            track_id=None if track_id is None else np.array(track_id))


def vehicle_event(time_ns: int, xy_m: Sequence[Sequence[float]], **given) -> Event:
    return Event(time_ns, VEHICLE_OBJECTS, objects_at("map", "detector", time_ns, xy_m, **given))


def roadside_event(name: str, time_ns: int, xy_m: Sequence[Sequence[float]], *, segment: int = 0, **given) -> Event:
    """A message whose reference position is the map's origin."""
    raw = f"{name} {time_ns} {segment}".encode()
    header = Header(name, "test", time_ns, time_ns + 80_000_000, segment, 1, raw)
    objects = objects_at("reference", name, time_ns, xy_m, **given)
    return Event(time_ns, ROADSIDE_MESSAGES, RoadsideMessage(header, 1, ORIGIN, objects, (), ()))


def station_event(station_id: int, time_ns: int, xy_m: Sequence[float], velocity_mps: Sequence[float] | None) -> Event:
    """A station's word of itself, at its reference position; without a velocity, as of a roadside unit."""
    raw = f"station {station_id} {time_ns}".encode()
    name = f"station-{station_id}"
    header = Header(name, "test", time_ns, time_ns + 30_000_000, 0, 1, raw)
    place = geo_from_map(ORIGIN, np.array([[*xy_m, 0.0]]))[0]
    objects = objects_at("reference", name, time_ns, [[0.0, 0.0]], sigma_m=0.8, track_id=[station_id],
                         velocity_mps=None if velocity_mps is None else np.array([velocity_mps]))
    if velocity_mps is not None:
        objects = replace(objects, boxes=replace(objects.boxes, yaw_rad=np.arctan2(velocity_mps[1:], velocity_mps[:1])))
    return Event(time_ns, ROADSIDE_MESSAGES, StationMessage(header, station_id, place, objects))


def info(units: Sequence[str] = ("rsu-1", "rsu-2")) -> DriveInfo:
    crossing = Crossing("test", ORIGIN, np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0]]), "off")
    rsus = tuple(Rsu(name, "test", 1 + i, "", "", SE3.identity("map", name)) for i, name in enumerate(units))
    return DriveInfo("scene", ORIGIN, START_NS, START_NS, {VEHICLE_OBJECTS: TopicInfo("ObjectList", 1)}, Site((crossing,), rsus),
                     "test")


def crossing_events(ticks: int = 30, seed: int = 0) -> list[Event]:
    """Two cars that the vehicle sees and one hidden from it, seen by two units with noise and times of their own."""
    rng = np.random.default_rng(seed)
    start_m = np.array([[0.0, 0.0], [20.0, 5.0], [-15.0, 30.0]])
    velocity_mps = np.array([[8.0, 0.0], [0.0, 0.0], [0.0, -6.0]])
    events = []
    for tick in range(ticks):
        for name, phase_ns in (("vehicle", 0), ("rsu-1", 20_000_000), ("rsu-2", 70_000_000)):
            time_ns = START_NS + tick * TICK_NS + phase_ns
            xy_m = start_m + velocity_mps * ((time_ns - START_NS) / 1e9) + rng.normal(0.0, 0.2, (3, 2))
            if name == "vehicle":
                events.append(vehicle_event(time_ns, xy_m[:2]))
            else:
                events.append(roadside_event(name, time_ns, xy_m, track_id=[7, 8, 9], sigma_m=0.3))
    return events
