"""`drive.json`: what a drive says about itself, and which files hold it. It is written last, so it never promises too much.

    {"format": "roadweave-drive", "format_version": 1, "state": "closed", "generation": 0, "drive_id": ..., "start_ns": ...,
     "end_ns": ..., "origin": [latitude, longitude, altitude], "topics": {name: {"kind", "count"}},
     "files": [{"name", "topic", "kind", "bytes"}], "site": {...}, "importer": ..., "notes": [...], "facts": {...}}
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_specs.errors import InputError, MissingInput, SpecError, TruncatedInput, UnknownFormat
from data_specs.messages import GeoPoint
from data_specs.site import site_from_dict
from replay.drive import DriveInfo, TopicInfo

FORMAT = "roadweave-drive"
FORMAT_VERSION = 1
MANIFEST = "drive.json"
SENSORS = "sensors.mcap"
OBJECT_JOURNAL = "objects.arrows"
MESSAGE_JOURNAL = "messages.arrows"
RECORDING, CLOSED = "recording", "closed"


@dataclass(frozen=True, slots=True)
class DriveFile:
    """One file of a closed drive. `topic` and `kind` are empty for the sensors' file, which holds many."""

    name: str
    topic: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    state: str  # RECORDING: may end anywhere; CLOSED: whole
    info: DriveInfo
    files: tuple[DriveFile, ...]
    generation: int = 0  # how many times it was extended; keeps file names apart


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace a drive's manifest in one step: whoever reads it sees the old one or the new one."""
    content = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "state": manifest.state, "generation": manifest.generation,
        "files": [{"name": f.name, "topic": f.topic, "kind": f.kind, "bytes": f.bytes} for f in manifest.files],
        **info_to_dict(manifest.info),
    }
    try:
        text = json.dumps(content, indent=1)
    except TypeError as error:
        raise SpecError(f"facts: {error}, expected plain JSON") from error
    aside = folder / f".{MANIFEST}.new"
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """MissingInput, InputError or UnknownFormat where there is no drive, or not one this version reads."""
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingInput(path, "a drive: a folder with a drive.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(path, f"{error.msg} at byte {error.pos}", "JSON") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"not UTF-8 at byte {error.start}", "JSON") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnknownFormat(path, "a JSON file of another kind", f'"format": "{FORMAT}"')
    if content.get("format_version") != FORMAT_VERSION:
        raise UnknownFormat(path, f"drive format version {content.get('format_version')!r}", f"version {FORMAT_VERSION}",
                            "made by another version of Roadweave: read it with that one, or upgrade")
    try:
        return _manifest(content, path)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, f"{type(error).__name__} {error}", f"a manifest of drive format {FORMAT_VERSION}") from error


def info_to_dict(info: DriveInfo) -> dict[str, Any]:
    """A drive's description in plain JSON values, as a manifest and a bus hold it."""
    altitude_m = info.origin.altitude_m
    return {
        "drive_id": info.drive_id,
        "origin": [info.origin.latitude_deg, info.origin.longitude_deg, None if altitude_m != altitude_m else altitude_m],
        "start_ns": int(info.start_ns), "end_ns": int(info.end_ns),
        "topics": {name: {"kind": topic.kind, "count": topic.count, "objects": topic.objects}
                   for name, topic in sorted(info.topics.items())},
        "site": info.site.to_dict(), "importer": info.importer, "notes": list(info.notes), "facts": dict(info.facts),
    }


def info_from_dict(content: dict[str, Any], where: str) -> DriveInfo:
    """The inverse of `info_to_dict`; KeyError, TypeError or ValueError where something is missing or of another kind."""
    latitude_deg, longitude_deg, altitude_m = content["origin"]
    return DriveInfo(
        drive_id=content["drive_id"],
        origin=GeoPoint(latitude_deg, longitude_deg, float("nan") if altitude_m is None else altitude_m),
        start_ns=int(content["start_ns"]), end_ns=int(content["end_ns"]),
        topics={name: TopicInfo(topic["kind"], int(topic["count"]), int(topic["objects"]))
                for name, topic in content["topics"].items()},
        site=site_from_dict(content["site"], where), importer=content["importer"],
        notes=tuple(content["notes"]), facts=content["facts"],
    )


def require_whole(folder: Path, manifest: Manifest) -> None:
    """Check that every file of a closed drive is there in full length; MissingInput or TruncatedInput names it and the byte."""
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file():
            raise MissingInput(path, f"{file.bytes} bytes, as {MANIFEST} says")
        size = path.stat().st_size
        if size < file.bytes:
            raise TruncatedInput(path, f"ends at byte {size}", f"{file.bytes} bytes, as {MANIFEST} says")
        if size > file.bytes:
            raise InputError(path, f"goes on after byte {file.bytes}", f"{file.bytes} bytes, as {MANIFEST} says")


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest(content: dict[str, Any], path: Path) -> Manifest:
    if content["state"] not in (RECORDING, CLOSED):
        raise SpecError(f"state: {content['state']!r}, expected {RECORDING!r} or {CLOSED!r}")
    info = info_from_dict(content, str(path))
    files = tuple(DriveFile(f["name"], f["topic"], f["kind"], int(f["bytes"])) for f in content["files"])
    for file in files:
        if Path(file.name).name != file.name:
            raise SpecError(f"files: {file.name!r}, expected a name inside the drive's folder")
    return Manifest(content["state"], info, files, int(content["generation"]))
