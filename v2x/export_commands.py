"""`roadweave export`: drives in formats of others. It stands on this floor because a map needs places on Earth."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replay.arguments import DrivePath, Json, Overwrite

if TYPE_CHECKING:
    from replay.drive import Event
    from replay.export import Span
    from replay.recorded import RecordedDrive

app = typer.Typer(no_args_is_help=True)


@app.command()
def export(drive: DrivePath,
           mcap: Annotated[Path | None, typer.Option(help="One file for Foxglove and Rerun: sensors, boxes, poses.")] = None,
           nuscenes: Annotated[Path | None, typer.Option(help="A nuScenes data set of one scene, for nuscenes-devkit.")] = None,
           kitti: Annotated[Path | None, typer.Option(help="KITTI object detection: training/ with the front camera.")] = None,
           rerun: Annotated[Path | None, typer.Option(help="A Rerun recording (.rrd); needs the extra rerun.")] = None,
           geojson: Annotated[Path | None, typer.Option(help="Tracks, units and crossings on Earth.")] = None,
           topics: Annotated[str, typer.Option(help="Of --mcap, --rerun, --geojson; else all, all, fused.tracks.")] = "",
           from_s: Annotated[float | None, typer.Option("--from", min=0.0, help="Seconds into the drive.")] = None,
           to_s: Annotated[float | None, typer.Option("--to", min=0.0, help="Seconds into the drive; else its end.")] = None,
           overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Write a drive in another format; what is written comes whole or not at all."""
    from data_specs.errors import InputError
    from replay.console import print_json, print_table
    from replay.export import Span, write_whole
    from replay.recorded import open_drive

    known = ((mcap, _Work.as_mcap), (nuscenes, _Work.as_nuscenes), (kitti, _Work.as_kitti), (rerun, _Work.as_rerun),
             (geojson, _Work.as_geojson))
    asked = [(out, write) for out, write in known if out is not None]
    if not asked:
        raise typer.BadParameter("what to write", param_hint="--mcap, --nuscenes, --kitti, --rerun, --geojson")
    opened = open_drive(drive)
    names = [name.strip() for name in topics.split(",") if name.strip()]
    if unknown := [name for name in names if name not in opened.info.topics]:
        raise InputError("--topics", repr(unknown[0]), f"one of {', '.join(sorted(opened.info.topics))}")
    work = _Work(opened, names, Span.of(opened.info, from_s, to_s))
    written: dict[str, dict[str, int]] = {}
    for out, write in asked:
        write_whole(out, overwrite, lambda part, out=out, write=write: written.update({str(out): write(work, part)}))
    if as_json:
        print_json({"drive": str(drive), "written": written})
        return
    for name, counts in written.items():
        print_table(name, ["what", "count"], counts.items())


@dataclass(frozen=True, slots=True)
class _Work:
    """What of a drive is written; each way of writing tells what it wrote."""

    drive: RecordedDrive
    topics: list[str]
    span: Span

    def watch(self, events: Iterable[Event]) -> Iterable[Event]:
        from replay.console import progress

        return progress(events, "exporting", total=sum(topic.count for topic in self.drive.info.topics.values()))

    def as_mcap(self, part: Path) -> dict[str, int]:
        from replay.export_mcap import write_mcap

        return write_mcap(self.drive, part, self.topics or None, self.span, self.watch)

    def as_nuscenes(self, part: Path) -> dict[str, int]:
        from replay.export_nuscenes import write_nuscenes

        return write_nuscenes(self.drive, part, self.span, self.watch)

    def as_kitti(self, part: Path) -> dict[str, int]:
        from replay.export_kitti import write_kitti

        return write_kitti(self.drive, part, self.span, self.watch)

    def as_rerun(self, part: Path) -> dict[str, int]:
        from replay.export_rerun import write_rerun

        return write_rerun(self.drive, part, self.topics or None, self.span, self.watch)

    def as_geojson(self, part: Path) -> dict[str, int]:
        from replay.drive import FUSED_TRACKS
        from replay.export_geojson import write_geojson
        from v2x.geodesy import geo_from_map

        return write_geojson(self.drive, part, self.topics or [FUSED_TRACKS], self.span, geo_from_map)
