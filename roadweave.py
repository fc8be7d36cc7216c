"""The front door: mounts each floor's commands and composes the one job that spans floors, `demo`."""
from __future__ import annotations

import sys
from typing import Annotated

import typer

import dashboards.commands
import perception.commands
import replay.commands
import v2x.commands
from data_specs.errors import MissingExtra, RoadweaveError

EXTRA_OF = {"torch": "perception", "torchvision": "perception", "safetensors": "perception", "open3d": "simulate",
            "kafka": "kafka", "streamlit": "dashboards"}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Roadweave sees a street from the car and from the road at once.")
for floor in (replay.commands, perception.commands, v2x.commands, dashboards.commands):
    app.registered_commands += floor.app.registered_commands
    app.registered_groups += floor.app.registered_groups
replay.commands.import_app.registered_commands += v2x.commands.import_app.registered_commands
app.add_typer(replay.commands.import_app, name="import")


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command; `main` looks for --debug itself, since an error may come before this is called."""


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False) -> None:
    """Print what is installed and found here, and what to do about what is missing."""
    from replay.doctor import examine, show

    show(examine(), as_json)


def main() -> None:
    """Run the command line: an error is one line on standard error and exit code 2; --debug shows where it came from."""
    debug = "--debug" in sys.argv[1:]
    if debug:
        sys.argv.remove("--debug")  # it may stand anywhere
    try:
        app()
    except (RoadweaveError, OSError, ModuleNotFoundError) as error:
        if debug:
            raise
        if isinstance(error, ModuleNotFoundError):
            if error.name not in EXTRA_OF:
                raise
            error = MissingExtra(f"the module {error.name}", EXTRA_OF[error.name])
        print(f"roadweave: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
