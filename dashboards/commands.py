"""Commands of the dashboards floor: dashboard."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def dashboard(drives: Annotated[Path, typer.Option(help="A folder of drives, or one drive.")],
              bus: Annotated[str | None, typer.Option(help="What the Live page shows: kafka://host:port.")] = None,
              port: Annotated[int, typer.Option(help="Port to serve on; 0 = any free one.")] = 8501,
              host: Annotated[str, typer.Option(help="Address to serve on: loopback unless you mean otherwise.")] = "127.0.0.1",
              live_drive: Annotated[Path | None, typer.Option(
                  help="Without --bus, the Live page replays this drive in a loop (default: the first that can be fused); "
                       "with it, this drive's site names and places the roadside units."
                  )] = None) -> None:
    """Serve the pages: Drive (recorded drives) and Live (a broker, or a drive replayed through the fusion worker)."""
    from dashboards.serve import serve

    serve(drives, bus, port, host, live_drive)
