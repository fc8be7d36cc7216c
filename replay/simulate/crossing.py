"""The crossing's geometry: four arms, two lanes per direction, kerbside strips, pavements, zebra crossings, and its signals.

`map` has its origin at the middle of the crossing; arm 0 leads East, 1 North, 2 West, 3 South. Traffic keeps right.
Signals run four phases, none of which lets two movements meet: North-South straight (and people across the East and West
arms), North-South left with East-West right (the usual right-turn overlap), then the same for East-West.
"""
from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from data_specs.arrays import Array

LANE_OFFSETS_M = (1.75, 5.25)  # from the centre line: inner, outer
PARKING_OFFSET_M = 8.4  # centre of the kerbside strip
KERB_M = 9.9  # from the centre line, along the arms
CORNER_KERB_M = 7.5  # near the crossing, where the pavement is widened
CORNER_RADIUS_M = 5.0
WIDENED_UNTIL_M = 22.0  # from the middle
ZEBRA_M = (9.9, 14.6)  # along the arm, from the middle
STOP_LINE_M = 16.0
ARM_LENGTH_M = 130.0  # what is built and seen
APPROACH_M = 420.0  # where vehicles of later minutes already queue up
STEP_M = 0.5  # between the points of a route
RIGHT_RADIUS_M, LEFT_RADIUS_M = 8.0, 12.0
RIGHT_SPEED_MPS, LEFT_SPEED_MPS = 4.5, 6.5


class Movement(IntEnum):
    STRAIGHT = 0
    RIGHT = 1
    LEFT = 2


@dataclass(frozen=True, slots=True)
class Route:
    """One way through the crossing. Arc length s starts at the far end of the arm it comes from."""

    arm_in: int
    lane: int  # 0 inner, 1 outer; the same on the way out
    movement: Movement
    stop_s_m: float  # of the stop line
    turn_s_m: tuple[float, float]  # where the bend begins and ends
    end_s_m: float
    points: Array  # [k, 3]: x, y, yaw at every STEP_M

    @property
    def arm_out(self) -> int:
        return (self.arm_in + {Movement.STRAIGHT: 2, Movement.RIGHT: 1, Movement.LEFT: 3}[self.movement]) % 4

    @property
    def phase(self) -> int:
        """The signal phase in which this movement has green."""
        along_north = self.arm_in % 2
        if self.movement is Movement.STRAIGHT:
            return 0 if along_north else 2
        return 1 if along_north == (self.movement is Movement.LEFT) else 3


def _route(arm_in: int, lane: int, movement: Movement) -> Route:
    """Built for a vehicle that comes from the South, then turned about the middle."""
    offset_m = LANE_OFFSETS_M[lane]
    side = {Movement.STRAIGHT: 0.0, Movement.RIGHT: -1.0, Movement.LEFT: 1.0}[movement]
    radius_m = {Movement.STRAIGHT: 0.0, Movement.RIGHT: RIGHT_RADIUS_M, Movement.LEFT: LEFT_RADIUS_M}[movement]
    straight_m = APPROACH_M + side * offset_m - radius_m if side else APPROACH_M
    arc_m = radius_m * np.pi / 2
    s = np.arange(0.0, APPROACH_M + arc_m + ARM_LENGTH_M + 2 * STEP_M, STEP_M)
    turned = np.clip(s - straight_m, 0.0, arc_m) / radius_m if side else np.zeros_like(s)
    before, after = np.minimum(s, straight_m), np.maximum(s - straight_m - arc_m, 0.0)
    yaw = np.pi / 2 + side * turned
    x = offset_m - side * radius_m * (1 - np.cos(turned)) + np.cos(yaw) * after
    y = -APPROACH_M + before + radius_m * np.sin(turned) + np.sin(yaw) * after
    if not side:
        y = -APPROACH_M + s
    turn = (arm_in + 1) * np.pi / 2
    c, sn = np.cos(turn), np.sin(turn)
    points = np.stack([c * x - sn * y, sn * x + c * y, yaw + turn], axis=1)
    bend = (straight_m, straight_m + arc_m) if side else (np.inf, np.inf)
    return Route(arm_in, lane, movement, APPROACH_M - STOP_LINE_M, bend, straight_m + arc_m + ARM_LENGTH_M, points)


ROUTES = tuple(_route(arm, lane, movement) for arm in range(4) for lane, movement in (
    (0, Movement.STRAIGHT), (0, Movement.LEFT), (1, Movement.STRAIGHT), (1, Movement.RIGHT)))


def route_index(arm_in: int, lane: int, movement: Movement) -> int:
    for index, route in enumerate(ROUTES):
        if (route.arm_in, route.lane, route.movement) == (arm_in, lane, movement):
            return index
    raise ValueError(f"no route from arm {arm_in}, lane {lane}, {movement.name.lower()}")


_LONGEST = max(len(route.points) for route in ROUTES)
_POINTS = np.stack([np.pad(r.points, ((0, _LONGEST - len(r.points)), (0, 0)), mode="edge") for r in ROUTES])


def poses_at(route: Array, s_m: Array) -> Array:
    """x, y, yaw [n, 3] at arc lengths s_m [n] of routes [n] (indices into ROUTES), in map."""
    place = np.clip(s_m / STEP_M, 0.0, _LONGEST - 1.001)
    before = place.astype(np.intp)
    part = (place - before)[:, None]
    return _POINTS[route, before] * (1 - part) + _POINTS[route, before + 1] * part


class Colour(IntEnum):
    RED = 0
    YELLOW = 1
    GREEN = 2


@dataclass(frozen=True, slots=True)
class Signals:
    """Fixed-time signals. `offset_s` is where in the cycle the drive's time zero lies."""

    offset_s: float
    green_s: tuple[float, float, float, float] = (15.0, 7.0, 15.0, 7.0)
    yellow_s: float = 3.0
    clearance_s: float = 2.0  # all red
    walk_s: float = 6.0  # from the start of green: who starts later does not make it across

    @property
    def cycle_s(self) -> float:
        return sum(self.green_s) + 4 * (self.yellow_s + self.clearance_s)

    def colours(self, time_s: float) -> Array:
        """Colour of each of the four phases, [4]."""
        phase, into_s = self._phase(time_s)
        colours = np.full(4, Colour.RED)
        if into_s < self.green_s[phase]:
            colours[phase] = Colour.GREEN
        elif into_s < self.green_s[phase] + self.yellow_s:
            colours[phase] = Colour.YELLOW
        return colours

    def walk(self, time_s: float) -> Array:
        """Whether people may start to cross each of the four arms, [4] bool."""
        phase, into_s = self._phase(time_s)
        may_start = into_s < self.walk_s
        return np.array([may_start and phase == (0 if arm % 2 == 0 else 2) for arm in range(4)])

    def _phase(self, time_s: float) -> tuple[int, float]:
        into_s = (time_s + self.offset_s) % self.cycle_s
        for phase, green_s in enumerate(self.green_s):
            if into_s < green_s + self.yellow_s + self.clearance_s:
                return phase, into_s
            into_s -= green_s + self.yellow_s + self.clearance_s
        return 0, 0.0


def signals_with_green_at(phase: int, time_s: float) -> Signals:
    """Signals whose phase turns green at `time_s` of the drive."""
    plain = Signals(0.0)
    starts_s = sum(green_s + plain.yellow_s + plain.clearance_s for green_s in plain.green_s[:phase])
    return Signals((starts_s - time_s) % plain.cycle_s)
