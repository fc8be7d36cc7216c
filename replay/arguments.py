"""Arguments and options that many commands share, as typer's annotated types."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")]
DrivePath = Annotated[Path, typer.Argument(help="A drive: a folder with a drive.json.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the drive that is there.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")]
