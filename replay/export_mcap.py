"""A drive as one self-contained MCAP file that Foxglove and Rerun open: sensors as recorded, objects as boxes, poses, messages.

The sensor channels are those of the drive's own sensors.mcap. Each list of objects in `map` becomes a foxglove.SceneUpdate on its
topic, the ego's poses FrameTransforms, and a V2X message JSON that says who sent what, with its octets as hex.
"""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from data_specs.messages import Message, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList, Truth
from data_specs.pose import EgoPose
from data_specs.sensors import Sample
from replay.drive import Event
from replay.export import Span
from replay.foxglove import MESSAGE
from replay.mcap_drive import SampleWriter
from replay.recorded import RecordedDrive
from replay.scene_update import FRAME_TRANSFORMS, SCENE_UPDATE, ego_transform, scene_update


def write_mcap(drive: RecordedDrive, out: Path, topics: Iterable[str] | None, span: Span,
               watch: Callable[[Iterable[Event]], Iterable[Event]] = iter) -> dict[str, int]:
    """Write the file; how many records of each topic it holds. `topics` None: all that can be shown."""
    counts: Counter[str] = Counter()
    writer = SampleWriter(out)
    try:
        for event in watch(drive.events(span.start_ns, span.end_ns, None if topics is None else list(topics))):
            counts[event.topic] += _put(writer, event, counts[event.topic])
    finally:
        writer.close()
    return {topic: count for topic, count in sorted(counts.items()) if count}


def _put(writer: SampleWriter, event: Event, sequence: int) -> bool:
    """Write one event in a viewer's terms; False for what has none: lists in a mast's own frame, health."""
    payload, time_ns = event.payload, event.time_ns
    match payload:
        case Sample():
            writer.write(event)
        case EgoPose():
            writer.copy(f"{event.topic}/transforms", FRAME_TRANSFORMS, time_ns, time_ns, sequence,
                        ego_transform(payload, time_ns))
        case ObjectList() if payload.boxes.frame == "map":
            writer.copy(event.topic, SCENE_UPDATE, time_ns, time_ns, sequence, scene_update(payload, event.topic, time_ns))
        case Truth():
            writer.copy(event.topic, SCENE_UPDATE, time_ns, time_ns, sequence,
                        scene_update(payload.objects, event.topic, time_ns))
        case _ if isinstance(payload, Message):
            writer.copy(event.topic, MESSAGE, time_ns, time_ns, sequence, message_json(payload))
        case _:
            return False
    return True


def message_json(message: Message) -> bytes:
    """A message's header, kind and octets as JSON."""
    header = message.header
    objects = len(message.objects) if isinstance(message, RoadsideMessage | StationMessage) else 0
    return json.dumps({
        "kind": type(message).__name__, "publisher": header.publisher, "wire_format": header.wire_format,
        "generated_ns": header.generated_ns, "received_ns": header.received_ns, "segment": header.segment,
        "segment_count": header.segment_count, "objects": objects, "octets": header.raw.hex(),
    }).encode()
