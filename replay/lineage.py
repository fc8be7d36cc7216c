"""How a drive's topics were made: said under the topic's own name in the manifest's facts, by whoever makes them.

    {"vehicle.objects": {"by": "perceive", "roadweave": "0.1.0", "weights_sha256": ..., "device": "cpu", "threads": 2, ...},
     "fused.tracks": {"by": "fuse", "roadweave": "0.1.0", "messages": "recorded"}}

A topic that goes takes what is said of it along (replay.recorder.extend_drive); a recording from a bus says nothing of how its
topics were made, since that happened elsewhere.
"""
from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from data_specs.errors import InputError
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, RSU_HEALTH, VEHICLE_OBJECTS, DriveInfo

T = TypeVar("T")

DERIVED = (VEHICLE_OBJECTS, ROADSIDE_OBJECTS, FUSED_TRACKS, RSU_HEALTH)  # never measured, always made; what comes first, first
BY, VERSION = "by", "roadweave"


def lineage(by: str, topics: Iterable[str], settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Facts that say of each topic which command made it, with which settings (plain JSON) and which Roadweave."""
    return {topic: {BY: by, VERSION: installed_version(), **settings} for topic in topics}


def lineage_of(info: DriveInfo, topic: str) -> dict[str, Any] | None:
    """How a topic was made; None where nobody said."""
    told = info.facts.get(topic)
    return told if isinstance(told, dict) and isinstance(told.get(BY), str) else None


def setting(told: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """One setting of a lineage; InputError where it is missing or of another type."""
    value = told.get(name)
    if not isinstance(value, kind):
        raise InputError(f"lineage by {told.get(BY)!r}", f"{name} is {value!r}", f"a value of type {kind.__name__}")
    return value


def installed_version() -> str:
    """The version of Roadweave that runs; "source" where it runs without being installed."""
    try:
        return importlib.metadata.version("roadweave")
    except importlib.metadata.PackageNotFoundError:
        return "source"
