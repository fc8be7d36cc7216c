"""Which frame stands where in which: the tree of a bag's transforms, asked at any time between them.

Source: ros2/geometry2, tf2 (a frame has one parent; between two stamps positions go straight and rotations by slerp); REP 105 for
the names map, odom and base_link.
"""
from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from data_specs.errors import InputError
from data_specs.pose import SE3, interpolate

SLACK_NS = 100_000_000  # a transform holds this long before its first and after its last stamp


@dataclass
class _Branch:
    """Where a frame stood in its parent, by time; without times it stands still."""

    parent: str
    still: SE3 | None = None
    times_ns: list[int] = field(default_factory=list)
    poses: list[SE3] = field(default_factory=list)


class FrameTree:
    """Filled once, in order of time, then asked."""

    def __init__(self) -> None:
        self._branches: dict[str, _Branch] = {}

    def add(self, pose: SE3, time_ns: int, *, still: bool) -> None:
        """parent_from_child at a time; of two of one time the first counts, one that comes late is put in its place."""
        branch = self._branches.setdefault(pose.src, _Branch(pose.dst))
        branch.parent = pose.dst
        if still:
            branch.still = pose
            return
        place = bisect_left(branch.times_ns, time_ns)
        if place == len(branch.times_ns) or branch.times_ns[place] != time_ns:
            branch.times_ns.insert(place, time_ns)
            branch.poses.insert(place, pose)

    def above(self, frame: str) -> list[str]:
        """The frames above one, from its parent to the root."""
        found: list[str] = []
        while (branch := self._branches.get(frame)) is not None and branch.parent not in found:
            frame = branch.parent
            found.append(frame)
        return found

    def times_ns(self, src: str, dst: str) -> list[int]:
        """When anything on the way from `src` up to `dst` was told, sorted."""
        way = [src, *self.above(src)]
        moving = way[:way.index(dst)] if dst in way else []
        return sorted({time for frame in moving for time in self._branches[frame].times_ns})

    def pose(self, dst: str, src: str, time_ns: int, where: str) -> SE3:
        """dst_from_src at a time; InputError names the frames and the time where nothing tells."""
        down, up = [src, *self.above(src)], [dst, *self.above(dst)]
        common = next((frame for frame in down if frame in up), None)
        if common is None:
            raise InputError(where, f"no transform between {dst!r} and {src!r}", "frames of one tree")
        return self._up(dst, common, time_ns, where).inverse() @ self._up(src, common, time_ns, where)

    def _up(self, frame: str, to: str, time_ns: int, where: str) -> SE3:
        found = SE3.identity(frame, frame)
        while found.dst != to:
            found = self._at(self._branches[found.dst], found.dst, time_ns, where) @ found
        return found

    @staticmethod
    def _at(branch: _Branch, frame: str, time_ns: int, where: str) -> SE3:
        if not branch.times_ns:
            assert branch.still is not None
            return branch.still
        times = branch.times_ns
        if not times[0] - SLACK_NS <= time_ns <= times[-1] + SLACK_NS:
            told = f"{branch.parent}_from_{frame} is told: {times[0]} to {times[-1]}"
            raise InputError(where, f"time {time_ns}", f"one at which {told}")
        after = min(bisect_left(times, time_ns), len(times) - 1)
        before = max(after - 1, 0)
        if before == after or time_ns >= times[after]:
            return branch.poses[after]
        if time_ns <= times[before]:
            return branch.poses[before]
        return interpolate(branch.poses[before], branch.poses[after], (time_ns - times[before]) / (times[after] - times[before]))
