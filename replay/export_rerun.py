"""A drive as a Rerun recording: clouds, pictures, poses, and boxes by source with the colours of export_mcap.

Source: Rerun's archetypes (ref.rerun.io/docs/python): Points3D, Pinhole, EncodedImage, Transform3D, Boxes3D, Arrows3D. Everything
stands below `map`; the timeline `time` holds the events' own times. Needs the extra `rerun`.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.errors import MissingExtra
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from data_specs.sensors import Sample
from replay.drive import Event
from replay.export import Span
from replay.recorded import RecordedDrive
from replay.scene_update import SLOW_MPS, colour_of, label_of

TIMELINE = "time"


def write_rerun(drive: RecordedDrive, out: Path, topics: Iterable[str] | None, span: Span,
                watch: Callable[[Iterable[Event]], Iterable[Event]] = iter) -> dict[str, int]:
    """Write the recording; how many records of each topic it shows. MissingExtra where Rerun is not installed."""
    try:
        import rerun
    except ModuleNotFoundError as error:
        raise MissingExtra("writing Rerun recordings", "rerun") from error
    stream = rerun.RecordingStream("roadweave", recording_id=drive.info.drive_id)
    stream.save(out)
    stream.log("map", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    counts: Counter[str] = Counter()
    for event in watch(drive.events(span.start_ns, span.end_ns, None if topics is None else list(topics))):
        stream.set_time(TIMELINE, timestamp=np.datetime64(event.time_ns, "ns"))
        counts[event.topic] += _put(rerun, stream, event, drive)
    stream.flush()
    stream.disconnect()
    return {topic: count for topic, count in sorted(counts.items()) if count}


def _put(rerun: Any, stream: Any, event: Event, drive: RecordedDrive) -> bool:
    match event.payload:
        case Sample():
            _put_sample(rerun, stream, event.payload, event.topic, drive.jpegs(event.time_ns, event.topic))
        case EgoPose():
            stream.log("map/ego", _transform(rerun, event.payload.map_from_ego))
        case ObjectList() if event.payload.boxes.frame == "map":
            _put_objects(rerun, stream, event.payload, event.topic)
        case Truth():
            _put_objects(rerun, stream, event.payload.objects, event.topic)
        case _:
            return False
    return True


def _put_sample(rerun: Any, stream: Any, sample: Sample, topic: str, jpegs: dict[str, bytes]) -> None:
    platform = f"map/{sample.platform}"
    stream.log(platform, _transform(rerun, sample.map_from_ego))
    for cloud in sample.clouds:
        path = f"{platform}/{cloud.frame}"
        stream.log(path, _transform(rerun, sample.ego_from_sensor[cloud.frame]))
        grey = np.repeat((80 + 175 * np.sqrt(np.clip(cloud.intensity, 0, 1)))[:, None], 3, axis=1).astype(np.uint8)
        stream.log(path, rerun.Points3D(cloud.xyz_m, colors=grey, radii=0.03))
    for image in sample.images:
        camera, path = image.camera, f"{platform}/{image.camera.frame}"
        stream.log(path, _transform(rerun, sample.ego_from_sensor[camera.frame]))
        stream.log(path, rerun.Pinhole(image_from_camera=camera.matrix_px, resolution=[camera.width_px, camera.height_px]))
        stream.log(path, rerun.EncodedImage(contents=jpegs[camera.frame], media_type="image/jpeg"))


def _put_objects(rerun: Any, stream: Any, objects: ObjectList, topic: str) -> None:
    boxes, colour = objects.boxes, [round(255 * part) for part in colour_of(topic)]
    half = np.column_stack([np.zeros((len(boxes), 2)), np.sin(boxes.yaw_rad / 2), np.cos(boxes.yaw_rad / 2)])  # x, y, z, w
    stream.log(f"map/{topic}", rerun.Boxes3D(centers=boxes.center_m, half_sizes=boxes.size_lwh_m / 2, quaternions=half,
                                             colors=[colour] * len(boxes),
                                             labels=[label_of(objects, row) for row in range(len(objects))]))
    moves = np.hypot(objects.velocity_mps[:, 0], objects.velocity_mps[:, 1]) > SLOW_MPS
    arrows = np.column_stack([objects.velocity_mps[moves], np.zeros(int(moves.sum()))])
    stream.log(f"map/{topic}/velocity", rerun.Arrows3D(origins=boxes.center_m[moves], vectors=arrows,
                                                       colors=[colour] * len(arrows)))


def _transform(rerun: Any, pose: SE3) -> Any:
    return rerun.Transform3D(translation=pose.translation_m, mat3x3=pose.rotation)
