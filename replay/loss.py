"""What a crash cost a drive: which octets of which file were given up, and what they had been between.

An event is a sample or a record. Octets are given up where a file breaks off, or where what stands there does not match its
checksum. A gap at the end also stands for what was in the recorder's memory, which left no octets.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from data_specs.clock import iso_utc


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a file that holds nothing whole."""

    offset: int  # first octet given up
    octets: int  # 0 where a file ends between two chunks
    reason: str
    after_ns: int | None  # time of the last event kept before it; None if there is none
    before_ns: int | None  # of the first kept behind it; None: lost up to the end

    def span(self) -> str:
        """The time that was lost, for a person."""
        start = "the start" if self.after_ns is None else iso_utc(self.after_ns)
        return f"{start} to " + ("the end" if self.before_ns is None else iso_utc(self.before_ns))


@dataclass(frozen=True, slots=True)
class FileLoss:
    """One file of a drive whose recorder was killed."""

    name: str
    octets: int  # of the file as it was found
    kept: int  # events
    gaps: tuple[Gap, ...]
    incomplete: int = 0  # samples of which a part lay in a gap, so that the rest went too

    @property
    def dropped_octets(self) -> int:
        return sum(gap.octets for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What `repair` did. Without files the drive was whole and nothing was touched."""

    drive_id: str
    files: tuple[FileLoss, ...]
    kept: Mapping[str, int]  # events by topic
    lost_at_least: int  # events: numbers that are missing between those kept

    @property
    def repaired(self) -> bool:
        return bool(self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; the drive keeps it as the fact `repair`."""
        files = [asdict(file) | {"dropped_octets": file.dropped_octets, "gaps": [asdict(gap) for gap in file.gaps]}
                 for file in self.files]
        return {"drive_id": self.drive_id, "repaired": self.repaired, "files": files, "kept": dict(self.kept),
                "lost_at_least": self.lost_at_least}

    def rows(self) -> list[list[str]]:
        """A row a gap: file, events kept, octets, octets dropped, the span lost, why."""
        rows = []
        for file in self.files:
            head = [file.name, f"{file.kept:,}", f"{file.octets:,}"]
            rows += [[*head, f"{gap.octets:,}", gap.span(), gap.reason] for gap in file.gaps] or [[*head, "0", "-", "whole"]]
        return rows


def report_from_json(content: Mapping[str, Any]) -> RepairReport:
    """The inverse of `to_json`; KeyError or TypeError where something is missing."""
    files = tuple(FileLoss(file["name"], file["octets"], file["kept"], tuple(Gap(**gap) for gap in file["gaps"]),
                           file["incomplete"]) for file in content["files"])
    return RepairReport(content["drive_id"], files, content["kept"], content["lost_at_least"])
