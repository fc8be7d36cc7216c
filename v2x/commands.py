"""Commands of the V2X floor: import pcap, fuse, record, replay, broker."""
from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True)
import_app = typer.Typer(no_args_is_help=True)
broker_app = typer.Typer(no_args_is_help=True, help="A development Kafka on loopback.")
app.add_typer(broker_app, name="broker")
