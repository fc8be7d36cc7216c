"""A ROS 2 bag in MCAP as a drive: point clouds, pictures, transforms and odometry, chosen by type where nobody says which.

Source: MCAP with ROS 2 messages in CDR (mcap.dev/spec/registry), read by mcap-ros2-support. The first cloud's topic sets the
pace: each of its clouds makes a sample, with the pictures and other clouds nearest to it. Stamps are those of the headers; a
message without one counts at the time at which it was logged. Transforms and odometry are read before all else.
"""
from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.errors import InputError, MissingExtra, MissingInput, UnknownFormat
from data_specs.messages import GeoPoint
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import CameraModel, Sample
from data_specs.site import Site
from replay.drive import EGO_POSES, EGO_SAMPLES, DriveInfo, Event
from replay.importers.ros2_frames import FrameTree
from replay.importers.ros2_messages import camera_of, cloud_of, picture_of, pose_of, stamp_ns

CLOUD, TF, ODOMETRY = "sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage", "nav_msgs/msg/Odometry"
PICTURES, CAMERA_INFO = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"), "sensor_msgs/msg/CameraInfo"
NEAR_NS = 60_000_000  # of a sample's cloud: what goes with it
MAP_FRAMES = ("map", "odom")  # the first that stands above the ego is our map
_KEPT = 40  # messages of one topic that wait for their sample


class Ros2Importer:
    """Reads one .mcap file, or the folder that holds it. `topics` names the clouds and pictures to take; none: all there are."""

    def __init__(self, source: Path, topics: Sequence[str] = (), ego_frame: str = "base_link",
                 map_frame: str | None = None, intensity_max: float = 255.0) -> None:
        self.path = _bag_in(Path(source))
        self._ego, self._asked_map, self._intensity_max = ego_frame, map_frame, intensity_max
        there = self._topics
        if unknown := [name for name in topics if there.get(name) not in (CLOUD, *PICTURES)]:
            raise InputError("--topics", repr(unknown[0]), f"one of {', '.join(self._of_type(CLOUD, *PICTURES))}")
        self._chosen = list(topics) or self._of_type(CLOUD, *PICTURES)
        self._clouds = [name for name in self._chosen if there[name] == CLOUD]
        if not self._clouds:
            raise InputError(self.path, f"topics of {', '.join(sorted(set(there.values()))) or 'nothing'}", f"one of {CLOUD}")

    def describe(self) -> DriveInfo:
        facts = {"topics": self._topics, "chosen": self._chosen, "map_frame": self._map, "ego_frame": self._ego,
                 "pace": self._clouds[0]}
        return DriveInfo(self.path.stem, GeoPoint(0.0, 0.0, float("nan")), *self._span_ns, {}, Site((), ()), "ros2",
                         tuple(self._notes()), facts)

    def __len__(self) -> int:
        return self._counts[self._clouds[0]] + len(self._pose_times_ns)

    def __iter__(self) -> Iterator[Event]:
        return merge(self._pose_events(), self._sample_events(), key=lambda event: event.time_ns)

    def _notes(self) -> Iterator[str]:
        others = sorted(set(self._topics) - set(self._chosen) - set(self._of_type(TF, ODOMETRY, CAMERA_INFO)))
        yield f"map is the bag's frame {self._map}; where on Earth is not told"
        yield f"samples keep the pace of {self._clouds[0]}; what else is within {NEAR_NS // 1_000_000} ms goes with them"
        yield f"intensities that are no whole numbers are taken to reach {self._intensity_max:g}, and cut there"
        if others:
            yield f"topics that are left out: {', '.join(others)}"
        if blind := [name for name in self._chosen if self._topics[name] in PICTURES and self._info_topic(name) is None]:
            yield f"pictures without a CameraInfo are left out: {', '.join(blind)}"

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        try:
            from mcap.exceptions import McapError
            from mcap.reader import make_reader
            from mcap_ros2.decoder import DecoderFactory
        except ModuleNotFoundError as error:
            raise MissingExtra("reading ROS 2 bags", "ros2") from error
        with self.path.open("rb") as stream:
            try:
                yield make_reader(stream, decoder_factories=[DecoderFactory()])
            except (McapError, ValueError, EOFError) as error:
                raise InputError(self.path, f"{type(error).__name__}: {error}", "a whole MCAP file of ROS 2 messages") from error

    @cached_property
    def _summary(self) -> Any:
        with self._reader() as reader:
            summary = reader.get_summary()
        if summary is None or summary.statistics is None:
            raise InputError(self.path, f"no index before byte {self.path.stat().st_size}", "a closed MCAP file",
                             "'mcap recover' makes one of what is whole")
        return summary

    @cached_property
    def _topics(self) -> dict[str, str]:
        """Type of each topic; UnknownFormat for a bag of something else than ROS 2."""
        schemas = self._summary.schemas
        strange = [channel.topic for channel in self._summary.channels.values() if channel.message_encoding != "cdr"]
        if strange and len(strange) == len(self._summary.channels):
            raise UnknownFormat(self.path, f"messages that are no CDR ({strange[0]})", "a ROS 2 bag")
        return {channel.topic: schemas[channel.schema_id].name for channel in self._summary.channels.values()
                if channel.topic not in strange and channel.schema_id in schemas}

    @cached_property
    def _counts(self) -> Counter[str]:
        counts = self._summary.statistics.channel_message_counts
        return Counter({channel.topic: counts.get(number, 0) for number, channel in self._summary.channels.items()})

    def _of_type(self, *types: str) -> list[str]:
        return sorted(name for name, kind in self._topics.items() if kind in types)

    def _decoded(self, topics: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """(topic, time_ns, message) by the time at which they were logged; time is the stamp where there is one."""
        with self._reader() as reader:
            for _, channel, message, decoded in reader.iter_decoded_messages(topics=list(topics)):
                yield channel.topic, (stamp_ns(decoded.header) if hasattr(decoded, "header") else 0) or message.log_time, decoded

    @cached_property
    def _tree(self) -> FrameTree:
        tree, topics = FrameTree(), self._of_type(TF, ODOMETRY)
        for topic, time_ns, message in self._decoded(topics) if topics else ():
            where = f"{self.path}, {topic} at {time_ns}"
            if self._topics[topic] == TF:
                for one in message.transforms:
                    place, turn = one.transform.translation, one.transform.rotation
                    pose = pose_of(one.header.frame_id, one.child_frame_id, place, turn, where)
                    tree.add(pose, stamp_ns(one.header) or time_ns, still=topic.endswith("tf_static"))
            elif not self._has_tf_of(message.child_frame_id or self._ego, tree):
                pose = pose_of(message.header.frame_id or "odom", message.child_frame_id or self._ego, message.pose.pose.position,
                               message.pose.pose.orientation, where)
                tree.add(pose, time_ns, still=False)
                self._from_odometry.add(pose.src)
        return tree

    @cached_property
    def _from_odometry(self) -> set[str]:
        return set()

    def _has_tf_of(self, frame: str, tree: FrameTree) -> bool:
        return bool(tree.above(frame)) and frame not in self._from_odometry

    @cached_property
    def _map(self) -> str:
        above = self._tree.above(self._ego)
        wanted = (self._asked_map,) if self._asked_map else MAP_FRAMES
        found = next((frame for frame in wanted if frame in above), None)
        if found is None:
            raise InputError(self.path, f"above {self._ego!r} stand {', '.join(above) or 'no frames'}",
                             f"{' or '.join(str(frame) for frame in wanted)}", "--ego-frame and --map-frame name others")
        return found

    @cached_property
    def _pose_times_ns(self) -> list[int]:
        return self._tree.times_ns(self._ego, self._map)

    @cached_property
    def _span_ns(self) -> tuple[int, int]:
        statistics = self._summary.statistics
        times = self._pose_times_ns or [statistics.message_start_time, statistics.message_end_time]
        return times[0], times[-1]

    def _map_from_ego(self, time_ns: int, where: str) -> SE3:
        pose = self._tree.pose(self._map, self._ego, time_ns, where)
        return SE3("map", "ego", pose.rotation, pose.translation_m)

    def _pose_events(self) -> Iterator[Event]:
        times = self._pose_times_ns
        for number, time_ns in enumerate(times):
            where = f"{self.path}, transforms"
            early, late = times[max(number - 1, 0)], times[min(number + 1, len(times) - 1)]
            moved_m = self._map_from_ego(late, where).translation_m - self._map_from_ego(early, where).translation_m
            velocity = moved_m / ((late - early) / 1e9) if late > early else np.full(3, np.nan)
            pose = EgoPose(time_ns, self._map_from_ego(time_ns, where), velocity, np.full((6, 6), np.nan))
            yield Event(time_ns, EGO_POSES, pose)

    def _sample_events(self) -> Iterator[Event]:
        pace, cameras = self._clouds[0], self._cameras
        topics = [name for name in self._chosen if self._topics[name] == CLOUD or name in cameras]
        recent: dict[str, deque[tuple[int, Any]]] = {name: deque(maxlen=_KEPT) for name in topics}
        waiting: deque[tuple[int, Any]] = deque()
        last_ns = 0
        for topic, time_ns, message in self._decoded(topics):
            if topic != pace:
                recent[topic].append((time_ns, message))
            elif time_ns > last_ns:
                waiting.append((time_ns, message))
                last_ns = time_ns  # a clock that goes back tells the same moment twice
            while waiting and time_ns > waiting[0][0] + NEAR_NS:
                yield self._sample(*waiting.popleft(), recent, cameras)
        while waiting:
            yield self._sample(*waiting.popleft(), recent, cameras)

    def _sample(self, time_ns: int, message: Any, recent: dict[str, deque[tuple[int, Any]]],
                cameras: dict[str, CameraModel]) -> Event:
        where = f"{self.path}, {self._clouds[0]} at {time_ns}"
        map_from_ego = self._map_from_ego(time_ns, where)
        clouds, images, poses = [cloud_of(message, time_ns, where, self._intensity_max)], [], {}
        for topic, held in recent.items():
            near = min(held, key=lambda one: abs(one[0] - time_ns), default=None)
            if near is None or abs(near[0] - time_ns) > NEAR_NS:
                continue
            place = f"{self.path}, {topic} at {near[0]}"
            if topic in cameras:
                images.append(picture_of(near[1], cameras[topic], near[0], place))
            elif near[1].header.frame_id not in {cloud.frame for cloud in clouds}:
                clouds.append(cloud_of(near[1], near[0], place, self._intensity_max))
        for frame, taken_ns in [(cloud.frame, cloud.taken_ns) for cloud in clouds] + [
                (image.camera.frame, image.taken_ns) for image in images]:
            then = map_from_ego.inverse() @ self._map_from_ego(taken_ns, where)
            mounted = self._tree.pose(self._ego, frame, taken_ns, where)
            poses[frame] = SE3.from_matrix("ego", frame, then.matrix() @ mounted.matrix())
        return Event(time_ns, EGO_SAMPLES, Sample(self.path.stem, time_ns, tuple(clouds), tuple(images), map_from_ego, poses))

    @cached_property
    def _cameras(self) -> dict[str, CameraModel]:
        """By topic of pictures; each from the first CameraInfo beside it."""
        wanted = {info: name for name in self._chosen if self._topics[name] in PICTURES and (info := self._info_topic(name))}
        found: dict[str, CameraModel] = {}
        for topic, _, message in self._decoded(list(wanted)) if wanted else ():
            if wanted[topic] not in found:
                found[wanted[topic]] = camera_of(message, message.header.frame_id, f"{self.path}, {topic}")
            if len(found) == len(wanted):
                break
        return found

    def _info_topic(self, name: str) -> str | None:
        """The CameraInfo in the same namespace as a topic of pictures: /front/image_raw, /front/image/compressed."""
        parts = name.split("/")
        places = ["/".join([*parts[:end], "camera_info"]) for end in range(len(parts) - 1, 0, -1)]
        return next((place for place in places if self._topics.get(place) == CAMERA_INFO), None)


def _bag_in(source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted(source.glob("*.mcap"))
    if not found:
        raise MissingInput(source, "a ROS 2 bag in MCAP, or a folder with one")
    if len(found) > 1:
        raise InputError(source, f"{len(found)} MCAP files ({json.dumps([path.name for path in found[:3]])})", "one",
                         "name the file itself")
    return found[0]
