"""How vehicles move: along routes, behind one another, and with the signals.

Sources: Treiber, Hennecke, Helbing, Congested traffic states in empirical observations and microscopic simulations,
Phys. Rev. E 62 (2000): the Intelligent Driver Model, equations 2 and 3. A signal at red is a standing leader at its stop line.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data_specs.arrays import Array
from replay.simulate.crossing import (
    LEFT_SPEED_MPS,
    RIGHT_SPEED_MPS,
    ROUTES,
    STOP_LINE_M,
    Colour,
    Movement,
    Signals,
)

HEADWAY_S, STANDSTILL_GAP_M = 1.3, 2.2
ACCELERATION_MPS2, BRAKING_MPS2 = 1.7, 2.2
HARDEST_BRAKING_MPS2 = 8.0
RUNS_YELLOW_ABOVE_MPS2 = 3.5  # who would have to brake harder than this drives on at yellow
FREE_GAP_M = 1e3

_PHASE = np.array([route.phase for route in ROUTES])
_STOP_S = np.array([route.stop_s_m for route in ROUTES])
_TURN_S = np.array([route.turn_s_m for route in ROUTES])
_END_S = np.array([route.end_s_m for route in ROUTES])
_CLEAR_S = np.where(np.isinf(_TURN_S[:, 1]), _STOP_S + 2 * STOP_LINE_M, _TURN_S[:, 1] + 8.0)
_TURN_SPEED = np.array([{Movement.STRAIGHT: np.inf, Movement.RIGHT: RIGHT_SPEED_MPS, Movement.LEFT: LEFT_SPEED_MPS}[r.movement]
                        for r in ROUTES])
_ARM_IN = np.array([route.arm_in for route in ROUTES])
_ARM_OUT = np.array([route.arm_out for route in ROUTES])
_LANE = np.array([route.lane for route in ROUTES])


@dataclass
class Traffic:
    """n vehicles on their routes; `s_m` is the arc length of each centre. Advances in place, the same way every time."""

    route: Array  # [n], indices into ROUTES
    length_m: Array
    wish_mps: Array
    s_m: Array
    speed_mps: Array
    signals: Signals
    committed: Array = field(init=False)  # [n] bool: drives on at yellow
    _same_lane_in: Array = field(init=False)
    _same_lane_out: Array = field(init=False)

    def __post_init__(self) -> None:
        self.committed = np.zeros(len(self.route), bool)
        entry, leave = (_ARM_IN * 2 + _LANE)[self.route], (_ARM_OUT * 2 + _LANE)[self.route]
        self._same_lane_in = (entry[:, None] == entry[None]) & ~np.eye(len(entry), dtype=bool)
        self._same_lane_out = (leave[:, None] == leave[None]) & (entry[:, None] != entry[None])

    def gone(self) -> Array:
        """Mask [n] of who has left by the far end of an arm."""
        return self.s_m > _END_S[self.route]

    def inside(self) -> Array:
        """Mask [n] of who is between its stop line and the far side of the crossing."""
        front_m, rear_m = self.s_m + self.length_m / 2, self.s_m - self.length_m / 2
        return (front_m > _STOP_S[self.route]) & (rear_m < _CLEAR_S[self.route])

    def arms_in_use(self) -> Array:
        """Which arms' zebra crossings lie on the way of a vehicle inside the crossing, [4] bool."""
        inside = self.inside()
        used = np.zeros(4, bool)
        used[_ARM_IN[self.route[inside]]] = True
        used[_ARM_OUT[self.route[inside]]] = True
        return used

    def step(self, time_s: float, step_s: float, people_on_zebra: Array) -> None:
        """Advance from time_s by step_s; `people_on_zebra` [4] bool, by arm."""
        gap_m, leader_mps = self._leaders()
        line_gap_m = _STOP_S[self.route] - self.s_m - self.length_m / 2
        waits = self._waits(time_s, line_gap_m, people_on_zebra)
        line_first = waits & (line_gap_m + STANDSTILL_GAP_M - 0.6 < gap_m)
        gap_m = np.where(line_first, line_gap_m + STANDSTILL_GAP_M - 0.6, gap_m)  # stands 0.6 m before the line
        leader_mps = np.where(line_first, 0.0, leader_mps)
        acceleration = idm_acceleration(self.speed_mps, self._wished(), gap_m, leader_mps)
        speed_mps = np.maximum(self.speed_mps + acceleration * step_s, 0.0)
        self.s_m = self.s_m + (self.speed_mps + speed_mps) / 2 * step_s
        self.speed_mps = speed_mps

    def _wished(self) -> Array:
        """Wished speed [n]: lower ahead of and inside a bend."""
        into_bend_m = np.maximum(_TURN_S[self.route, 0] - self.s_m, 0.0)
        bend_mps = np.sqrt(_TURN_SPEED[self.route] ** 2 + 2 * 1.5 * into_bend_m)
        return np.where(self.s_m < _TURN_S[self.route, 1], np.minimum(self.wish_mps, bend_mps), self.wish_mps)

    def _leaders(self) -> tuple[Array, Array]:
        """Gap [n] to the vehicle ahead and its speed [n]: in the same lane on the way in, or on the way out."""
        half_m = (self.length_m[:, None] + self.length_m[None]) / 2
        here = ~self.gone()[None]
        ahead_in = self.s_m[None] - self.s_m[:, None]
        same_route = self.route[:, None] == self.route[None]
        still_in_way = same_route | ((self.s_m - self.length_m / 2) < _STOP_S[self.route] + 14.0)[None]
        left_m = _END_S[self.route] - self.s_m
        ahead_out = left_m[:, None] - left_m[None]
        entered = self.s_m + self.length_m / 2 > _STOP_S[self.route]
        gaps = np.full(ahead_in.shape, FREE_GAP_M)
        follows = self._same_lane_in & (ahead_in > 0) & still_in_way & here
        gaps[follows] = (ahead_in - half_m)[follows]
        merges = self._same_lane_out & (ahead_out > 0) & entered[None] & here
        gaps[merges] = np.minimum(gaps, ahead_out - half_m)[merges]
        leader = gaps.argmin(axis=1)
        return gaps[np.arange(len(gaps)), leader], self.speed_mps[leader]

    def _waits(self, time_s: float, line_gap_m: Array, people_on_zebra: Array) -> Array:
        """Mask [n] of who has to stop at its line."""
        colour = self.signals.colours(time_s)[_PHASE[self.route]]
        before = line_gap_m > 0.0
        needed = self.speed_mps ** 2 / (2 * np.maximum(line_gap_m, 0.1))
        green = colour == Colour.GREEN
        # Decided at every moment of green, so that the decision at the onset of yellow stands.
        self.committed = np.where(green, needed > RUNS_YELLOW_ABOVE_MPS2, self.committed & (colour == Colour.YELLOW))
        inside_by_phase = np.bincount(_PHASE[self.route[self.inside()]], minlength=4)
        crossed_by_others = inside_by_phase.sum() - inside_by_phase[_PHASE[self.route]] > 0
        people = people_on_zebra[_ARM_IN[self.route]] | people_on_zebra[_ARM_OUT[self.route]]
        blocked = (crossed_by_others | people) & (needed < HARDEST_BRAKING_MPS2)
        return before & ((~green & ~self.committed) | blocked)


def idm_acceleration(speed_mps: Array, wish_mps: Array, gap_m: Array, leader_mps: Array) -> Array:
    """The Intelligent Driver Model's acceleration [n] in m/s2, not below the hardest braking; all inputs [n]."""
    closing_mps = speed_mps - leader_mps
    wanted_gap_m = STANDSTILL_GAP_M + np.maximum(
        speed_mps * HEADWAY_S + speed_mps * closing_mps / (2 * np.sqrt(ACCELERATION_MPS2 * BRAKING_MPS2)), 0.0)
    pressure = (wanted_gap_m / np.maximum(gap_m, 0.1)) ** 2
    free = ACCELERATION_MPS2 * (1 - (speed_mps / np.maximum(wish_mps, 0.1)) ** 4)
    return np.clip(free - ACCELERATION_MPS2 * pressure, -HARDEST_BRAKING_MPS2, ACCELERATION_MPS2)
