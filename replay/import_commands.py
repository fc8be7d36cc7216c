"""`roadweave import`: drives of foreign recordings. Heavy libraries are imported where they are used."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import Json, Overwrite, Target

import_app = typer.Typer(no_args_is_help=True, help="Make a drive from a foreign recording.")

Source = Annotated[Path, typer.Argument(help="The recording: a folder or file.")]


@import_app.command("nuscenes")
def import_nuscenes(source: Source, drive: Target,
                    version: Annotated[str | None, typer.Option(help="Of the full layout: v1.0-mini, -trainval, -test.")] = None,
                    scene: Annotated[str | None, typer.Option(help="Of the full layout: the scene's name.")] = None,
                    overwrite: Overwrite = False, as_json: Json = False) -> None:
    """nuScenes: a data set's folder with its tables, or an mmdet3d info-v2 pickle (or the folder that holds it)."""
    from replay.importers.nuscenes import NuScenesImporter
    from replay.importers.nuscenes_tables import NuScenesTablesImporter, has_tables
    from replay.info import show_info
    from replay.recorder import import_drive

    whole = version is not None or scene is not None or has_tables(source)
    importer = NuScenesTablesImporter(source, version, scene) if whole else NuScenesImporter(source)
    show_info(import_drive(importer, drive, overwrite), drive, as_json)


@import_app.command("kitti")
def import_kitti(source: Source, drive: Target, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """KITTI object detection: a folder with velodyne, calib and, where there are any, label_2 and image_2."""
    from replay.importers.kitti import KittiImporter
    from replay.info import show_info
    from replay.recorder import import_drive

    show_info(import_drive(KittiImporter(source), drive, overwrite), drive, as_json)


@import_app.command("dair-v2x")
def import_dair_v2x(source: Source, drive: Target, apply_offset: Annotated[bool, typer.Option(
        "--apply-offset", help="Apply the data set's system_error_offset to the roadside pose.")] = False,
        overwrite: Overwrite = False, as_json: Json = False) -> None:
    """DAIR-V2X-C: vehicle-side, infrastructure-side and cooperative folders."""
    from replay.importers.dair_v2x import DairV2xImporter
    from replay.info import show_info
    from replay.recorder import import_drive

    show_info(import_drive(DairV2xImporter(source, apply_offset=apply_offset), drive, overwrite), drive, as_json)


@import_app.command("argoverse2")
def import_argoverse2(source: Source, drive: Target, overwrite: Overwrite = False, as_json: Json = False) -> None:
    """Argoverse 2: the folder of one sensor log."""
    from replay.importers.argoverse2 import Argoverse2Importer
    from replay.info import show_info
    from replay.recorder import import_drive

    show_info(import_drive(Argoverse2Importer(source), drive, overwrite), drive, as_json)


@import_app.command("ros2")
def import_ros2(source: Source, drive: Target,
                topics: Annotated[str, typer.Option(help="Clouds and pictures to take, comma-separated; else all.")] = "",
                ego_frame: Annotated[str, typer.Option(help="The vehicle's own frame.")] = "base_link",
                map_frame: Annotated[str | None, typer.Option(help="The frame that stands still; else map, or odom.")] = None,
                intensity_max: Annotated[float, typer.Option(min=1e-6, help="The greatest of float intensities.")] = 255.0,
                overwrite: Overwrite = False, as_json: Json = False) -> None:
    """A ROS 2 bag in MCAP: clouds, pictures, transforms and odometry."""
    from replay.importers.ros2 import Ros2Importer
    from replay.info import show_info
    from replay.recorder import import_drive

    names = [name.strip() for name in topics.split(",") if name.strip()]
    importer = Ros2Importer(source, names, ego_frame, map_frame, intensity_max)
    show_info(import_drive(importer, drive, overwrite), drive, as_json)
