"""`roadweave export`: drives in formats of others. It stands on this floor because a map needs places on Earth."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import DrivePath, Json, Overwrite

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
    from replay.console import print_json, print_table, progress
    from replay.drive import FUSED_TRACKS
    from replay.export import Span, write_whole
    from replay.recorded import open_drive

    opened = open_drive(drive)
    span = Span.of(opened.info, from_s, to_s)
    names = [name.strip() for name in topics.split(",") if name.strip()]
    written: dict[str, dict[str, int]] = {}

    def watch(events):
        return progress(events, "exporting", total=sum(topic.count for topic in opened.info.topics.values()))

    def as_mcap(part: Path) -> None:
        from replay.export_mcap import write_mcap

        written[str(mcap)] = write_mcap(opened, part, names or None, span, watch)

    def as_nuscenes(part: Path) -> None:
        from replay.export_nuscenes import write_nuscenes

        written[str(nuscenes)] = write_nuscenes(opened, part, span, watch)

    def as_kitti(part: Path) -> None:
        from replay.export_kitti import write_kitti

        written[str(kitti)] = write_kitti(opened, part, span, watch)

    def as_rerun(part: Path) -> None:
        from replay.export_rerun import write_rerun

        written[str(rerun)] = write_rerun(opened, part, names or None, span, watch)

    def as_geojson(part: Path) -> None:
        from replay.export_geojson import write_geojson
        from v2x.geodesy import geo_from_map

        written[str(geojson)] = write_geojson(opened, part, names or [FUSED_TRACKS], span, geo_from_map)

    known = ((mcap, as_mcap), (nuscenes, as_nuscenes), (kitti, as_kitti), (rerun, as_rerun), (geojson, as_geojson))
    asked = [(out, write) for out, write in known if out is not None]
    if not asked:
        raise typer.BadParameter("what to write", param_hint="--mcap, --nuscenes, --kitti, --rerun, --geojson")
    for out, write in asked:
        write_whole(out, overwrite, write)
    if as_json:
        print_json({"drive": str(drive), "written": written})
        return
    for out, counts in written.items():
        print_table(out, ["what", "count"], counts.items())
