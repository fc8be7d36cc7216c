"""The front door: mounts each floor's commands and composes the one job that spans floors, `demo`."""
from __future__ import annotations

import sys

import click
import typer

import dashboards.commands
import perception.commands
import replay.commands
import v2x.commands
from data_specs.errors import RoadweaveError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Roadweave sees a street from the car and from the road at once.")
for floor in (replay.commands, perception.commands, v2x.commands, dashboards.commands):
    app.registered_commands += floor.app.registered_commands
    app.registered_groups += floor.app.registered_groups
replay.commands.import_app.registered_commands += v2x.commands.import_app.registered_commands
app.add_typer(replay.commands.import_app, name="import")


@app.callback()
def options(debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error.")) -> None:
    """Options of every command."""


@app.command()
def doctor(as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output.")) -> None:
    """Print what is installed and found here, and what to do about what is missing."""
    from replay.doctor import examine, show

    show(examine(), as_json)


def main() -> None:
    """Run the command line: an error is one line on standard error and exit code 2; --debug shows where it came from."""
    try:
        code = app(standalone_mode=False)
    except (RoadweaveError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        print(f"roadweave: {error}", file=sys.stderr)
        sys.exit(2)
    except click.exceptions.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("roadweave: stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
