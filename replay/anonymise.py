"""A copy of a drive that tells what happened, and not who it was: no pictures, points or octets, every sender by another name.

Names of senders become keyed hashes (BLAKE2b, RFC 7693), numbers go through a keyed permutation made of it (Luby & Rackoff 1988):
the same sender stays the same within all drives that are copied with one key, and without the key nobody finds the old one by
trying. What goes: sensor data, messages' octets with their signatures, certificates, notes, and facts about the recording. What
stays: objects, tracks, poses, truth, times and places, which may still tell who it was to somebody who knows the street.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.health import RsuHealth
from data_specs.messages import HazardMessage, Message, RoadsideMessage, StationMessage
from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.site import Site
from replay.drive import (
    EGO_POSES,
    FUSED_TRACKS,
    ROADSIDE_MESSAGES,
    ROADSIDE_OBJECTS,
    RSU_HEALTH,
    TRUTH,
    VEHICLE_OBJECTS,
    DriveInfo,
    Event,
)
from replay.export import write_whole
from replay.recorded import RecordedDrive, open_drive
from replay.recorder import Recorder

KINDS = ("objects", "messages")
KEPT_TOPICS = frozenset({EGO_POSES, TRUTH, VEHICLE_OBJECTS, ROADSIDE_OBJECTS, FUSED_TRACKS, RSU_HEALTH, ROADSIDE_MESSAGES})
KEPT_FACTS = ("scenario", "seed")  # that say nothing of who took part
FEWEST_KEY_OCTETS = 16
NOTE = "made anonymous: senders have other names, sensor data and messages' octets are gone"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """New names by a secret key."""

    key: bytes

    def name(self, old: str) -> str:
        """12 hex digits for a name; none stays none."""
        return blake2b(f"name {old}".encode(), key=self.key, digest_size=6).hexdigest() if old else ""

    def number(self, old: int) -> int:
        """A number of 32 bits for a station's, which no other station gets: four rounds of a Feistel network."""
        if not 0 <= old < 1 << 32:
            raise SpecError(f"station id {old}, expected 0 to 4294967295")
        left, right = old >> 16, old & 0xFFFF
        for turn in range(4):
            mixed = blake2b(f"number {turn} {right}".encode(), key=self.key, digest_size=2).digest()
            left, right = right, left ^ int.from_bytes(mixed)
        return left << 16 | right


def read_key(path: Path | None) -> bytes:
    """The secret in a file, or a fresh one that nobody keeps; InputError for one that is too short to be a secret."""
    if path is None:
        return os.urandom(32)
    if not path.is_file():
        raise MissingInput(path, f"a file with a secret of {FEWEST_KEY_OCTETS} octets or more")
    key = path.read_bytes().strip()
    if len(key) < FEWEST_KEY_OCTETS:
        raise InputError(path, f"{len(key)} octets", f"a secret of {FEWEST_KEY_OCTETS} octets or more")
    return key if len(key) <= 64 else blake2b(key).digest()


def anonymise(source: Path, out: Path, key: bytes, kinds: Iterable[str] = KINDS, retain_days: int | None = None,
              overwrite: bool = False, watch: Callable[[Iterable[Event]], Iterable[Event]] = iter) -> DriveInfo:
    """Write the copy of a closed drive and give what its manifest says; `kinds` of KINDS are kept.

    `retain_days` from now the copy is to be deleted, which its manifest and its notes say. Nothing is left at `out` on an error.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise InputError("--keep", repr(unknown[0]), f"of {', '.join(KINDS)}")
    drive, names = open_drive(source), Pseudonyms(key)
    info = _info(drive, names, retain_days)
    topics = _kept_topics(drive, set(kinds))

    def write(part: Path) -> None:
        with Recorder(part, info, sync_every_s=None) as recorder:
            for event in watch(drive.events(topics=topics)):
                recorder.write(replace(event, payload=_payload(event, names)))

    write_whole(out, overwrite, write)
    return open_drive(out).info


def _kept_topics(drive: RecordedDrive, kinds: set[str]) -> list[str]:
    kept = KEPT_TOPICS & set(drive.info.topics)  # what a unit found in its own frame goes: its name is the topic's
    kept -= set() if "messages" in kinds else {ROADSIDE_MESSAGES}
    return sorted(kept if "objects" in kinds else kept & {ROADSIDE_MESSAGES})


def _info(drive: RecordedDrive, names: Pseudonyms, retain_days: int | None) -> DriveInfo:
    info, notes, facts = drive.info, [NOTE], {name: drive.info.facts[name] for name in KEPT_FACTS if name in drive.info.facts}
    facts["anonymised"] = True
    if retain_days is not None:
        until = (datetime.now(UTC) + timedelta(days=retain_days)).date().isoformat()
        facts["retain_until"] = until
        notes.append(f"to be deleted after {until}")
    return DriveInfo(names.name(info.drive_id), info.origin, info.start_ns, info.end_ns, {}, _site(info.site, names),
                     "anonymise", tuple(notes), facts)


def _site(site: Site, names: Pseudonyms) -> Site:
    """The site with its units by the names that their messages have now; nothing is signed any more."""
    rsus = []
    for rsu in site.rsus:
        name, pose = names.name(rsu.name), rsu.map_from_rsu
        rsus.append(replace(rsu, name=name, station_id=names.number(rsu.station_id), source=names.name(site.publisher_of(rsu)),
                            certificate="", map_from_rsu=SE3(pose.dst, name, pose.rotation, pose.translation_m)))
    return Site(tuple(replace(crossing, policy="off") for crossing in site.crossings), tuple(rsus))


def _payload(event: Event, names: Pseudonyms) -> Any:
    """What of an event stays."""
    payload = event.payload
    match payload:
        case RsuHealth():
            return replace(payload, rsu=names.name(payload.rsu))
        case ObjectList() if event.topic == ROADSIDE_OBJECTS:
            return replace(payload, source=names.name(payload.source))
        case _ if isinstance(payload, Message):
            return _message(payload, names)
    return payload


def _message(message: Message, names: Pseudonyms) -> Message:
    """The message without its octets, by its sender's new name and number."""
    header = replace(message.header, publisher=names.name(message.header.publisher), raw=b"")
    match message:
        case RoadsideMessage():
            return replace(message, header=header, station_id=names.number(message.station_id),
                           objects=replace(message.objects, source=header.publisher))
        case StationMessage():  # its one object goes by the station's own number
            number = names.number(message.station_id)
            objects = replace(message.objects, source=header.publisher, track_id=np.array([number], np.int64))
            return replace(message, header=header, station_id=number, objects=objects)
        case HazardMessage():
            return replace(message, header=header, station_id=names.number(message.station_id))
    return replace(message, header=header)
