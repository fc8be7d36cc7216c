"""Object lists, ego poses and messages as Foxglove's own kinds, for viewers that know nothing of ours.

Source: Foxglove schemas (docs.foxglove.dev): SceneUpdate with one entity a topic, whose id replaces the one before; cubes with
velocity arrows and labels.
"""
from __future__ import annotations

from typing import Any

import foxglove_schemas_protobuf.FrameTransforms_pb2 as transforms_pb2
import foxglove_schemas_protobuf.SceneUpdate_pb2 as scene_pb2
import numpy as np

from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import EgoPose
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, TRUTH, VEHICLE_OBJECTS

SCENE_UPDATE, FRAME_TRANSFORMS = "foxglove.SceneUpdate", "foxglove.FrameTransforms"
LIFETIME_NS = 500_000_000  # a list that is followed by none is the latest word of its source for this long
ARROW_S = 1.0  # an arrow reaches where its object will be
SLOW_MPS = 0.5  # below, no arrow
COLOURS = {TRUTH: (0.85, 0.85, 0.85), VEHICLE_OBJECTS: (0.26, 0.62, 1.0), ROADSIDE_OBJECTS: (0.96, 0.73, 0.26),
           FUSED_TRACKS: (0.18, 0.85, 0.63)}
_OTHER_COLOUR = (0.8, 0.5, 0.9)
_NS = 1_000_000_000


def scene_update(objects: ObjectList, topic: str, time_ns: int) -> bytes:
    """A SceneUpdate of one list: a box an object, an arrow for one that moves, a label with class, track and score."""
    update = scene_pb2.SceneUpdate()
    entity = update.entities.add(id=topic, frame_id=objects.boxes.frame)
    _set_time(entity.timestamp, time_ns)
    entity.lifetime.seconds, entity.lifetime.nanos = divmod(LIFETIME_NS, _NS)
    colour = colour_of(topic)
    for row in range(len(objects)):
        center, size, yaw = (values[row] for values in (objects.boxes.center_m, objects.boxes.size_lwh_m, objects.boxes.yaw_rad))
        cube = entity.cubes.add()
        _set_pose(cube.pose, center, float(yaw))
        cube.size.x, cube.size.y, cube.size.z = size.tolist()
        _set_colour(cube.color, colour, 0.35)
        speed = float(np.hypot(*objects.velocity_mps[row]))
        if speed > SLOW_MPS:
            arrow = entity.arrows.add(shaft_length=max(speed * ARROW_S - 0.5, 0.1), shaft_diameter=0.12, head_length=0.5,
                                      head_diameter=0.35)
            _set_pose(arrow.pose, center, float(np.arctan2(objects.velocity_mps[row, 1], objects.velocity_mps[row, 0])))
            _set_colour(arrow.color, colour, 1.0)
        label = entity.texts.add(billboard=True, font_size=12.0, scale_invariant=True, text=label_of(objects, row))
        _set_pose(label.pose, (center[0], center[1], center[2] + size[2] / 2 + 0.4), 0.0)
        _set_colour(label.color, colour, 1.0)
    return update.SerializeToString()


def colour_of(topic: str) -> tuple[float, float, float]:
    """Red, green and blue of a source's boxes, 0 to 1."""
    return COLOURS.get(topic, _OTHER_COLOUR)


def ego_transform(pose: EgoPose, time_ns: int) -> bytes:
    """FrameTransforms with map_from_ego."""
    message = transforms_pb2.FrameTransforms()
    transform = message.transforms.add(parent_frame_id=pose.map_from_ego.dst, child_frame_id=pose.map_from_ego.src)
    w, x, y, z = pose.map_from_ego.quaternion_wxyz().tolist()
    transform.rotation.w, transform.rotation.x, transform.rotation.y, transform.rotation.z = w, x, y, z
    transform.translation.x, transform.translation.y, transform.translation.z = pose.map_from_ego.translation_m.tolist()
    _set_time(transform.timestamp, time_ns)
    return message.SerializeToString()


def label_of(objects: ObjectList, row: int) -> str:
    """Class, track and score of one object, for people."""
    track = int(objects.track_id[row])
    return f"{ObjectClass(objects.label[row]).title}{f' {track}' if track >= 0 else ''} {objects.score[row]:.2f}"


def _set_pose(pose: Any, center_m: Any, yaw_rad: float) -> None:
    pose.position.x, pose.position.y, pose.position.z = (float(value) for value in center_m)
    pose.orientation.z, pose.orientation.w = float(np.sin(yaw_rad / 2)), float(np.cos(yaw_rad / 2))


def _set_colour(colour: Any, rgb: tuple[float, float, float], alpha: float) -> None:
    (colour.r, colour.g, colour.b), colour.a = rgb, alpha


def _set_time(timestamp: Any, time_ns: int) -> None:
    timestamp.seconds, timestamp.nanos = divmod(int(time_ns), _NS)
