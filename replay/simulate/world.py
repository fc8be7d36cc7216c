"""The street in motion: everybody of the cast, moment by moment.

Motion is stepped at 10 Hz and interpolated in between; time only runs forwards, and no more than two steps are kept.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import SpecError
from data_specs.objects import ObjectClass
from data_specs.pose import SE3
from replay.simulate.cast import WARM_UP_S, Cast, draw_cast
from replay.simulate.crossing import Signals, poses_at
from replay.simulate.scenarios import Conditions, Scenario, draw_conditions, random_stream
from replay.simulate.street import PAVEMENT_HEIGHT_M, Street, build_street
from replay.simulate.walkers import walker_poses

STEP_S = 0.1
SEEN_WITHIN_M = 90.0  # of the middle of the crossing: who is farther out is not there yet, or any more
STRIDE_M = 1.5  # two steps
MOVES_ABOVE_MPS = 0.25


@dataclass(frozen=True)
class Moment:
    """Everybody at one time, in map. Row 0 is the ego."""

    time_s: float
    center_m: Array  # [n, 3] of the boxes
    yaw_rad: Array  # [n]
    velocity_mps: Array  # [n, 2]
    yaw_rate_radps: Array  # [n]
    swing: Array  # [n] -1 to 1: where in its stride each is
    present: Array  # [n] bool

    @property
    def map_from_ego(self) -> SE3:
        """The ego's frame lies on the ground below the middle of its box."""
        x, y, _ = self.center_m[0]
        return SE3.from_yaw("map", "ego", float(self.yaw_rad[0]), np.array([x, y, 0.0]))


class World:
    """One seed of one scenario. `moment` must be asked for in order of time."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.conditions: Conditions = draw_conditions(random_stream(scenario.name, seed, "conditions"))
        self.street: Street = build_street(scenario, self.conditions.clutter_scale, random_stream(scenario.name, seed, "street"))
        self.cast: Cast = draw_cast(scenario, random_stream(scenario.name, seed, "cast"))
        self._steps = 0
        self._was = self._state()
        self._is = self._was
        self._advance_to(0.0)

    @property
    def signals(self) -> Signals:
        return self.cast.traffic.signals

    @property
    def time_s(self) -> float:
        """Of the latest step."""
        return self._steps * STEP_S - WARM_UP_S

    def moment(self, time_s: float) -> Moment:
        """Everybody at `time_s` of the drive; SpecError if that is before what was asked for last by over a step."""
        if time_s < self.time_s - STEP_S - 1e-6:
            raise SpecError(f"time_s: {time_s}, expected at least {self.time_s - STEP_S:.3f}: time only runs forwards")
        self._advance_to(time_s)
        part = (time_s - (self.time_s - STEP_S)) / STEP_S
        return self._placed(time_s, self._was + (self._is - self._was) * part)

    def attributes(self, moment: Moment) -> list[str]:
        """The nuScenes attribute of everybody, [n]."""
        moves = np.hypot(*moment.velocity_mps.T) > MOVES_ABOVE_MPS
        first_parked = len(self.cast.traffic.route)
        parked = np.zeros(len(moves), bool)
        parked[first_parked:first_parked + len(self.cast.parked_pose)] = True
        return [_attribute(ObjectClass(label), bool(m), bool(p)) for label, m, p in zip(self.cast.label, moves, parked)]

    def _advance_to(self, time_s: float) -> None:
        while self.time_s < time_s - 1e-9:
            now_s, traffic, walkers = self.time_s, self.cast.traffic, self.cast.walkers
            traffic.step(now_s, STEP_S, walkers.on_zebra())
            walkers.step(STEP_S, traffic.signals.walk(now_s), traffic.arms_in_use())
            self._steps += 1
            self._was, self._is = self._is, self._state()

    def _state(self) -> Array:
        """Places along routes and tracks, and speeds, of vehicles then walkers: [2, v + w]."""
        traffic, walkers = self.cast.traffic, self.cast.walkers
        return np.stack([np.concatenate([traffic.s_m, walkers.u_m]), np.concatenate([traffic.speed_mps, walkers.speed_mps])])

    def _placed(self, time_s: float, state: Array) -> Moment:
        traffic, walkers, cast = self.cast.traffic, self.cast.walkers, self.cast
        place_m, speed_mps = state
        v, parked = len(traffic.route), len(cast.parked_pose)
        driving = poses_at(traffic.route, place_m[:v])
        ahead = poses_at(traffic.route, place_m[:v] + 1.0)
        walking = walker_poses(walkers.side, walkers.forward, walkers.offset_m, place_m[v:])
        pose = np.concatenate([driving, cast.parked_pose, walking])
        speed = np.concatenate([speed_mps[:v], np.zeros(parked), speed_mps[v:]])
        turning = np.concatenate([(ahead[:, 2] - driving[:, 2]) * speed_mps[:v], np.zeros(parked + len(walking))])
        yaw = (pose[:, 2] + np.pi) % (2 * np.pi) - np.pi
        lifted = np.concatenate([np.zeros(v + parked), np.where(np.abs(place_m[v:]) > 8.0, PAVEMENT_HEIGHT_M, 0.0)])
        center = np.column_stack([pose[:, :2], cast.size_lwh_m[:, 2] / 2 + lifted])
        strides = np.concatenate([np.zeros(v + parked), place_m[v:] / STRIDE_M])
        present = np.abs(pose[:, :2]).max(axis=1) < SEEN_WITHIN_M
        present[:v] &= ~traffic.gone()
        return Moment(time_s, center, yaw, speed[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=1), turning,
                      np.sin(2 * np.pi * strides), present)


def _attribute(label: ObjectClass, moves: bool, parked: bool) -> str:
    if label is ObjectClass.PEDESTRIAN:
        return "pedestrian.moving" if moves else "pedestrian.standing"
    if label in (ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE):
        return "cycle.with_rider"
    return "vehicle.parked" if parked else "vehicle.moving" if moves else "vehicle.stopped"
