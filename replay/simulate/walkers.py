"""How people on foot and on bicycles move: along the pavements, waiting at the kerb until their signal lets them cross.

Bicycles keep to a track beside the kerb, in the direction of the lane next to them.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from replay.simulate.crossing import CORNER_KERB_M

HOLD_M = CORNER_KERB_M + 0.5  # before the middle of the arm to be crossed
SPEED_UP_MPS2, SLOW_DOWN_MPS2 = 1.2, 2.0
KEEP_APART_M = 0.9  # between two of the same track, beyond their lengths
TRACK_WIDTH_M = 0.75


@dataclass
class Walkers:
    """n people, each on a straight track beside one street; `u_m` runs along it and is 0 at the middle of the arm it crosses.

    `side` is the pavement as seen from the crossing: the track lies `offset_m` towards arm `side` and runs across it.
    """

    side: Array  # [n] 0..3, the arm whose zebra crossing the track meets
    forward: Array  # [n] +1: counter-clockwise about the middle of the crossing; -1: clockwise
    offset_m: Array
    length_m: Array
    wish_mps: Array  # 0 = stands
    u_m: Array  # [n] along the direction of walking
    speed_mps: Array

    def poses(self) -> Array:
        """x, y, yaw [n, 3] in map."""
        return walker_poses(self.side, self.forward, self.offset_m, self.u_m)

    def on_zebra(self) -> Array:
        """Which arms have somebody on the road, [4] bool."""
        on_road = np.abs(self.u_m) < CORNER_KERB_M + 0.3
        return np.bincount(self.side[on_road], minlength=4) > 0

    def step(self, step_s: float, walk: Array, vehicles_due: Array) -> None:
        """Advance by step_s; `walk` [4]: may start to cross that arm; `vehicles_due` [4]: a vehicle is about to pass there."""
        may_cross = walk[self.side] & ~vehicles_due[self.side]
        to_kerb_m = -HOLD_M - self.u_m - self.length_m / 2
        holds = (to_kerb_m > -0.2) & ~may_cross
        room_m = np.where(holds, np.maximum(to_kerb_m, 0.0), np.inf)
        room_m = np.minimum(room_m, self._room_behind_others())
        allowed_mps = np.minimum(self.wish_mps, np.sqrt(2 * SLOW_DOWN_MPS2 * room_m))
        speed_mps = np.minimum(self.speed_mps + SPEED_UP_MPS2 * step_s, allowed_mps)
        self.u_m = self.u_m + speed_mps * step_s
        self.speed_mps = speed_mps

    def _room_behind_others(self) -> Array:
        ahead_m = self.u_m[None] - self.u_m[:, None]
        same_track = ((self.side[:, None] == self.side[None]) & (self.forward[:, None] == self.forward[None])
                      & (np.abs(self.offset_m[:, None] - self.offset_m[None]) < TRACK_WIDTH_M))
        room_m = ahead_m - (self.length_m[:, None] + self.length_m[None]) / 2 - KEEP_APART_M
        return np.where(same_track & (ahead_m > 0), np.maximum(room_m, 0.0), np.inf).min(axis=1, initial=np.inf)


def walker_poses(side: Array, forward: Array, offset_m: Array, u_m: Array) -> Array:
    """x, y, yaw [n, 3] in map of places `u_m` on tracks."""
    outward = side * np.pi / 2
    along = forward * u_m
    x = np.cos(outward) * offset_m - np.sin(outward) * along
    y = np.sin(outward) * offset_m + np.cos(outward) * along
    return np.stack([x, y, outward + forward * np.pi / 2], axis=1)
