"""Commands about certificates: make some to develop with, show one."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import Json

keys_app = typer.Typer(no_args_is_help=True, help="Certificates that sign V2X messages.")

_BEFORE_NS = 3600 * 10**9  # valid from an hour ago: a unit whose clock lags is heard at once


@keys_app.command("make")
def keys_make(folder: Annotated[Path, typer.Argument(help="The folder to make; one that exists is never touched.")],
              units: Annotated[str, typer.Option(help="Names of the units, comma-separated.")] = "rsu-north,rsu-south",
              days: Annotated[int, typer.Option(min=1, max=2730, help="How long the certificates are valid.")] = 365,
              as_json: Json = False) -> None:
    """Make a root, an authority and units to develop with: certificates, and private keys that their owner alone may read.

    The folder is also a trust store: a gateway that reads it believes these units. Give others all of it but private/.
    """
    import time

    from replay.console import print_json, print_table
    from v2x.security.certificate import describe, read_certificate
    from v2x.security.pki import make_keys

    names = [name.strip() for name in units.split(",") if name.strip()]
    made = make_keys(folder, names, time.time_ns() - _BEFORE_NS, days)
    found = [(path, describe(read_certificate(path.read_bytes(), str(path)))) for path in made]
    if as_json:
        print_json({"folder": str(folder), "certificates": {str(path): what for path, what in found}})
        return
    print_table(f"keys: {folder}", ["certificate", "publisher", "valid until"],
                [(path, what["publisher"], what["valid_until"]) for path, what in found],
                [f"private keys are in {folder / 'private'}, mode 0600"])


@keys_app.command("show")
def keys_show(source: Annotated[Path, typer.Argument(help="A certificate file (.oer).")], as_json: Json = False) -> None:
    """Tell what a certificate says: whose it is, who issued it, when, where and for what it is valid."""
    from data_specs.errors import MissingInput
    from replay.console import print_json, print_table
    from v2x.security.certificate import describe, read_certificate

    if not source.is_file():
        raise MissingInput(source, "a certificate file (.oer)")
    found = describe(read_certificate(source.read_bytes(), str(source)))
    if as_json:
        print_json(found)
        return
    print_table(f"certificate: {source}", ["what", "value"],
                [(key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value)
                 for key, value in found.items()])
