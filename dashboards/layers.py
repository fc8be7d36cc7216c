"""From a drive's events to what is drawn: layers of objects by source, points and pictures, all in map. Pure functions."""
from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dashboards.scene import POINT_COLUMNS, Layer, Picture
from data_specs.arrays import Array
from data_specs.messages import GeoPoint, Message, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList, Truth, concatenate
from data_specs.sensors import CameraImage, Sample
from data_specs.site import Site
from replay.drive import FUSED_TRACKS, VEHICLE_OBJECTS, Event

MAX_POINTS = 200_000
JPEG_QUALITY = 88
SURE = 0.5  # existence from which on a track is counted and leaves a trail
_KINDS = {VEHICLE_OBJECTS: ("vehicle", "vehicle"), FUSED_TRACKS: ("fused", "fused")}


def truth_layer(truth: Truth) -> Layer:
    """Ground truth without what is to be ignored (its boxes are often unset)."""
    kept = truth[~truth.ignore]
    return Layer("truth", "truth", kept.objects, kept.points_in_box, kept.pixels_visible)


def object_layer(topic: str, objects: ObjectList, site: Site) -> Layer:
    """An object list under the name and kind of its topic, brought into map; "rsu.<name>.objects" start in the unit's frame."""
    if objects.boxes.frame != "map":
        pose = next((rsu.map_from_rsu for rsu in site.rsus if rsu.name == objects.boxes.frame), None)
        objects = objects.transformed(pose) if pose is not None else objects[:0]
    if topic in _KINDS:
        name, kind = _KINDS[topic]
        return Layer(name, kind, objects)
    if topic.startswith("rsu."):
        return Layer(f"{topic.split('.')[1]} sensor", "sensor", objects)
    return Layer(unit_name(objects.source, site), "roadside", objects)


def unit_name(publisher: str, site: Site) -> str:
    """The site's name for a publisher; the publisher itself where the site does not know it."""
    return next((rsu.name for rsu in site.rsus if publisher in (rsu.name, rsu.source)), publisher)


def sure_ids(tracks: ObjectList) -> Array:
    """Track ids [n], -1 for what probably does not exist: such a track leaves no trail."""
    return np.where(tracks.existence >= SURE, tracks.track_id, -1)


def latest_by_source(events: Iterable[Event]) -> list[ObjectList]:
    """Of object lists in time order, the last one of every source, by name of the source."""
    last = {event.payload.source: event.payload for event in events if isinstance(event.payload, ObjectList)}
    return [last[source] for source in sorted(last)]


def message_layers(messages: Sequence[Message], origin: GeoPoint, site: Site) -> list[Layer]:
    """The objects of every publisher's newest message (all segments of it), brought into map."""
    newest: dict[str, int] = {}
    for message in messages:
        newest[message.header.publisher] = max(message.header.generated_ns, newest.get(message.header.publisher, 0))
    parts: dict[str, list[ObjectList]] = {}
    for message in messages:
        header = message.header
        if isinstance(message, RoadsideMessage | StationMessage) and header.generated_ns == newest[header.publisher]:
            name = unit_name(header.publisher, site)
            parts.setdefault(name, []).append(message_objects(message, origin))
    return [Layer(name, "roadside", concatenate(parts[name], name)) for name in sorted(parts)]


def message_objects(message: RoadsideMessage | StationMessage, origin: GeoPoint) -> ObjectList:
    """A message's objects in map."""
    from v2x.geodesy import map_from_reference

    return message.objects.transformed(map_from_reference(origin, message.position))


def points_of(samples: Sequence[Sample], limit: int = MAX_POINTS) -> Array:
    """f4 [p, 4] in map: x, y, z, intensity of all clouds; every k-th point where there are more than `limit`."""
    parts = [np.zeros((0, POINT_COLUMNS), np.float32)]
    for sample in samples:
        for cloud in sample.clouds:
            map_from_sensor = sample.map_from_ego @ sample.ego_from_sensor[cloud.frame]
            parts.append(np.column_stack([map_from_sensor.apply(cloud.xyz_m), cloud.intensity]).astype(np.float32))
    points = np.concatenate(parts)
    points = points[np.isfinite(points).all(axis=1)]
    return points[::-(-len(points) // limit)] if len(points) > limit else points


def pictures_of(sample: Sample, jpegs: Mapping[str, bytes]) -> tuple[Picture, ...]:
    """All images of a sample with their place in map, as the JPEGs given by camera frame; any other is encoded here."""
    return tuple(
        Picture(picture_name(sample.platform, image.camera.frame), image.taken_ns, image.camera,
                sample.map_from_ego @ sample.ego_from_sensor[image.camera.frame],
                jpegs.get(image.camera.frame) or jpeg_of(image))
        for image in sample.images
    )


def picture_name(platform: str, frame: str) -> str:
    """A camera's name that is unique among all platforms."""
    return frame if platform == "ego" or frame.startswith(platform) else f"{platform} {frame}"


def jpeg_of(image: CameraImage, quality: int = JPEG_QUALITY) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image.rgb).save(out, "JPEG", quality=quality)
    return out.getvalue()
