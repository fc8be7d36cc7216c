"""Who is in the street, with sizes and colours, drawn from a seed: vehicles in the lanes, parked ones, people, the ego."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass
from replay.simulate.crossing import PARKING_OFFSET_M, ROUTES, Movement, route_index, signals_with_green_at
from replay.simulate.scenarios import Scenario
from replay.simulate.traffic import Traffic
from replay.simulate.walkers import Walkers

WARM_UP_S = 14.0  # simulated before the drive's time zero, so that queues stand and people are under way
EGO_SIZE_LWH_M = (4.4, 1.84, 1.6)
QUEUE_TO_M = 400.0  # from the stop line, at the start of the warm-up
PARKED_FROM_M = 24.5

_CAR_PAINT = np.array([(0.75, 0.75, 0.75), (0.55, 0.56, 0.58), (0.04, 0.04, 0.05), (0.2, 0.21, 0.23), (0.05, 0.12, 0.4),
                       (0.5, 0.03, 0.03), (0.75, 0.75, 0.75), (0.1, 0.25, 0.18), (0.7, 0.35, 0.05), (0.35, 0.3, 0.22)])
_BUS_PAINT = np.array([(0.75, 0.5, 0.02), (0.6, 0.05, 0.05), (0.05, 0.2, 0.5), (0.1, 0.4, 0.2)])
_VEHICLES = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.MOTORCYCLE)


@dataclass
class Cast:
    """n road users: row 0 is the ego, then the other vehicles of `traffic`, parked ones, and `walkers`."""

    label: Array  # [n] ObjectClass
    size_lwh_m: Array  # [n, 3]
    variant: Array  # [n] which shape of its class
    paint: Array  # [n, 3] linear
    second: Array  # [n, 3]
    parked_pose: Array  # [p, 3] x, y, yaw
    traffic: Traffic
    walkers: Walkers


@dataclass
class _Bodies:
    """Collects who there is, row by row."""

    rng: np.random.Generator
    label: list[ObjectClass]
    size: list[tuple[float, float, float]]
    variant: list[int]
    paint: list[Array]
    second: list[Array]

    def add(self, label: ObjectClass, size_lwh_m: tuple[float, float, float], variant: int) -> None:
        self.label.append(label)
        self.size.append(size_lwh_m)
        self.variant.append(variant)
        paint, second = _colours(label, self.rng)
        self.paint.append(paint)
        self.second.append(second)


def draw_cast(scenario: Scenario, rng: np.random.Generator) -> Cast:
    """Everybody, at the start of the warm-up."""
    bodies = _Bodies(rng, [], [], [], [], [])
    traffic = _draw_traffic(scenario, bodies, rng)
    parked = _draw_parked(scenario, bodies, rng)
    walkers = _draw_walkers(scenario, bodies, rng)
    return Cast(np.array(bodies.label, np.uint8), np.array(bodies.size), np.array(bodies.variant), np.array(bodies.paint),
                np.array(bodies.second), parked, traffic, walkers)


def _draw_traffic(scenario: Scenario, bodies: _Bodies, rng: np.random.Generator) -> Traffic:
    ego_lane = int(rng.integers(2))
    turns = rng.random() < scenario.ego_turning
    movement = (Movement.LEFT if ego_lane == 0 else Movement.RIGHT) if turns else Movement.STRAIGHT
    ego_arm = int(rng.integers(4))
    ego_route = route_index(ego_arm, ego_lane, movement)
    signals = signals_with_green_at(ROUTES[ego_route].phase, float(rng.uniform(3.0, 10.0)))
    bodies.add(ObjectClass.CAR, EGO_SIZE_LWH_M, 0)
    before_line_m = [float(rng.uniform(180.0, 205.0))]
    routes = [ego_route]
    for arm in range(4):
        for lane in range(2):
            own = (arm, lane) == (ego_arm, ego_lane)
            _fill_lane(scenario, arm, lane, (ego_route, before_line_m[0]) if own else None, routes, before_line_m, bodies)
    n = len(routes)
    length_m = np.array([size[0] for size in bodies.size[:n]])
    slow = np.array([label in (ObjectClass.TRUCK, ObjectClass.BUS) for label in bodies.label[:n]])
    wish_mps = rng.uniform(*scenario.speed_mps, n) * np.where(slow, 0.85, 1.0)
    wish_mps[0] = rng.uniform(8.5, 9.8)  # so that twenty seconds lead up to the crossing, through it, and no farther
    route = np.array(routes)
    stop_s_m = np.array([ROUTES[index].stop_s_m for index in routes])
    near = np.array(before_line_m) < 25.0
    return Traffic(route, length_m, wish_mps, stop_s_m - np.array(before_line_m) - length_m / 2,
                   np.where(near, 0.0, wish_mps * 0.8), signals)


def _fill_lane(scenario: Scenario, arm: int, lane: int, ego: tuple[int, float] | None, routes: list[int],
               before_line_m: list[float], bodies: _Bodies) -> None:
    """Queue vehicles up one lane; where the ego drives, at most two ahead of it, and those go its way."""
    rng = bodies.rng
    if ego is None:
        place_m = float(rng.uniform(1.0, 25.0))
    else:
        place_m = ego[1] - float(rng.integers(3)) * float(rng.uniform(24.0, 34.0))
    while place_m < QUEUE_TO_M:
        if ego is not None and abs(place_m - ego[1]) < 12.0:
            place_m = ego[1] + EGO_SIZE_LWH_M[0] + float(rng.uniform(*scenario.headway_m))
            continue
        movement = Movement.STRAIGHT
        if rng.random() < scenario.turning:
            movement = Movement.LEFT if lane == 0 else Movement.RIGHT
        label = ObjectClass(int(rng.choice(_VEHICLES, p=(0.72, 0.1, 0.06, 0.12))))
        if movement is not Movement.STRAIGHT and label in (ObjectClass.TRUCK, ObjectClass.BUS):
            label = ObjectClass.CAR
        size_m, variant = _vehicle_size(label, rng)
        if ego is not None and place_m < ego[1]:
            label, (size_m, variant), movement = ObjectClass.CAR, _vehicle_size(ObjectClass.CAR, rng), ROUTES[ego[0]].movement
        routes.append(route_index(arm, lane, movement))
        before_line_m.append(place_m)
        bodies.add(label, size_m, variant)
        place_m += size_m[0] + float(rng.uniform(*scenario.headway_m))


def _draw_parked(scenario: Scenario, bodies: _Bodies, rng: np.random.Generator) -> Array:
    poses = []
    for arm in range(4):
        for side in (1.0, -1.0):  # 1: where traffic drives up, -1: where it leaves
            along_m = PARKED_FROM_M + rng.uniform(0.0, 5.0)
            for _ in range(int(rng.uniform(*scenario.parked_per_strip))):
                large = rng.random() < scenario.large_parked
                label = ObjectClass.TRUCK if large and rng.random() < 0.6 else ObjectClass.CAR
                size_m, variant = _vehicle_size(label, rng, van=large)
                outward = arm * np.pi / 2
                u, v = along_m + size_m[0] / 2, side * (PARKING_OFFSET_M + rng.uniform(-0.08, 0.08))
                poses.append((np.cos(outward) * u - np.sin(outward) * v, np.sin(outward) * u + np.cos(outward) * v,
                              outward + (np.pi if side > 0 else 0.0) + rng.normal(0.0, 0.015)))
                bodies.add(label, size_m, variant)
                along_m += size_m[0] + rng.uniform(0.9, 9.0)
    return np.array(poses).reshape(-1, 3)


def _draw_walkers(scenario: Scenario, bodies: _Bodies, rng: np.random.Generator) -> Walkers:
    people, riders = (int(rng.uniform(*span)) for span in (scenario.pedestrians, scenario.cyclists))
    n = people + riders
    rides = np.arange(n) >= people
    stands = ~rides & (rng.random(n) < 0.2)
    forward = np.where(rides | (rng.random(n) < 0.5), 1.0, -1.0)
    near_m, far_m = rng.uniform(11.3, 12.5, n), rng.uniform(12.9, 14.1, n)
    offset_m = np.where(rides, 10.45, np.where(stands, far_m, np.where(forward > 0, near_m, far_m)))
    walks_from_m = np.where(rng.random(n) < 0.8, rng.uniform(-45.0, -9.5, n), rng.uniform(9.5, 25.0, n))
    stands_at_m = rng.choice([-1.0, 1.0], n) * rng.uniform(10.0, 40.0, n)
    u_m = np.where(rides, rng.uniform(-95.0, -12.0, n), np.where(stands, stands_at_m, walks_from_m))
    wish_mps = np.where(rides, rng.uniform(3.5, 5.5, n), np.where(stands, 0.0, rng.uniform(1.05, 1.7, n)))
    for row in range(n):
        if rides[row]:
            size_m = (rng.uniform(1.65, 1.85), rng.uniform(0.55, 0.68), rng.uniform(1.65, 1.85))
            bodies.add(ObjectClass.BICYCLE, size_m, 0)
        else:
            size_m = (rng.uniform(0.55, 0.8), rng.uniform(0.55, 0.72), rng.uniform(1.5, 1.92))
            bodies.add(ObjectClass.PEDESTRIAN, size_m, 0)
    length_m = np.array([size[0] for size in bodies.size[len(bodies.size) - n:]])
    return Walkers(rng.integers(4, size=n), forward, offset_m, length_m, wish_mps, u_m, wish_mps.copy())


def _vehicle_size(label: ObjectClass, rng: np.random.Generator, van: bool = False) -> tuple[tuple[float, float, float], int]:
    """Length, width, height and which shape; a van is a car of its own shape."""
    if label is ObjectClass.TRUCK:
        return (rng.uniform(6.2, 9.2), rng.uniform(2.3, 2.5), rng.uniform(2.7, 3.5)), 0
    if label is ObjectClass.BUS:
        return (rng.uniform(10.8, 12.2), rng.uniform(2.45, 2.55), rng.uniform(3.0, 3.3)), 0
    if label is ObjectClass.MOTORCYCLE:
        return (rng.uniform(1.95, 2.25), rng.uniform(0.72, 0.85), rng.uniform(1.55, 1.7)), 0
    if van or rng.random() < 0.12:
        return (rng.uniform(4.9, 5.5), rng.uniform(1.92, 2.05), rng.uniform(1.95, 2.4)), 2
    return (rng.uniform(4.0, 4.95), rng.uniform(1.74, 1.94), rng.uniform(1.42, 1.75)), int(rng.integers(2))


def _colours(label: ObjectClass, rng: np.random.Generator) -> tuple[Array, Array]:
    shade = rng.uniform(0.85, 1.1)
    if label in (ObjectClass.CAR, ObjectClass.MOTORCYCLE):
        paint = _CAR_PAINT[rng.integers(len(_CAR_PAINT))] * shade
        return paint, paint
    if label is ObjectClass.BUS:
        paint = _BUS_PAINT[rng.integers(len(_BUS_PAINT))] * shade
        return paint, paint * 0.9
    if label is ObjectClass.TRUCK:
        box = np.array([0.7, 0.7, 0.68]) if rng.random() < 0.5 else rng.uniform(0.1, 0.6, 3)
        return _CAR_PAINT[rng.integers(len(_CAR_PAINT))] * shade, box
    return 0.03 + 0.6 * rng.random(3) ** 2.2, 0.02 + 0.25 * rng.random(3) ** 2

