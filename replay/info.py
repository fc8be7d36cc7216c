"""What a drive's manifest says, as JSON for programs and as rows for people."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from replay.console import print_json, print_table
from replay.drive import DriveInfo

_MESSAGE_KINDS = {"RoadsideMessage", "StationMessage", "SignalMessage", "LaneMap", "HazardMessage"}


def info_json(info: DriveInfo) -> dict[str, Any]:
    """{"drive_id", "duration_s", "messages", "samples", "objects", "topics", ...}: how many records of messages and of samples,
    and how many objects in all lists and messages together."""
    return {
        "drive_id": info.drive_id, "importer": info.importer, "duration_s": info.duration_s,
        "start_ns": info.start_ns, "end_ns": info.end_ns,
        "messages": _count(info, _MESSAGE_KINDS), "samples": _count(info, {"Sample"}),
        "objects": sum(topic.objects for topic in info.topics.values()),
        "topics": {name: {"kind": topic.kind, "count": topic.count, "objects": topic.objects}
                   for name, topic in sorted(info.topics.items())},
        "origin": {"latitude_deg": info.origin.latitude_deg, "longitude_deg": info.origin.longitude_deg,
                   "altitude_m": info.origin.altitude_m},
        "roadside_units": [rsu.name for rsu in info.site.rsus], "notes": list(info.notes), "facts": dict(info.facts),
    }


def info_rows(info: DriveInfo) -> list[tuple[str, str, int, int]]:
    """(topic, kind, records, objects in them), by topic name."""
    return [(name, topic.kind, topic.count, topic.objects) for name, topic in sorted(info.topics.items())]


def show_info(info: DriveInfo, drive: Path, as_json: bool) -> None:
    """Print what a drive's manifest says, as a table or as JSON."""
    if as_json:
        print_json(info_json(info))
        return
    print_table(f"{drive}", ["topic", "kind", "records", "objects"], info_rows(info),
                [f"{info.duration_s:.1f} s, made by {info.importer}", *info.notes])


def _count(info: DriveInfo, kinds: set[str]) -> int:
    return sum(topic.count for topic in info.topics.values() if kinds & set(topic.kind.split(", ")))
