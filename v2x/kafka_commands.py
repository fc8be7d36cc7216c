"""Commands of the bus: worker, topics apply, topics show, topics asyncapi."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import Json

app = typer.Typer(no_args_is_help=True)
topics_app = typer.Typer(no_args_is_help=True, help="The topics of a Kafka, as a site needs them.")

SharedBus = Annotated[str, typer.Option("--bus", help="kafka://host:port[,host:port]")]


@app.command()
def worker(bus: SharedBus,
           site: Annotated[Path | None, typer.Option(help="A site file, where nobody sends a drive's description.")] = None,
           group: Annotated[str, typer.Option(help="Workers of one group share the crossings among them.")] = "fusion",
           metrics_port: Annotated[int | None, typer.Option(help="Serve metrics for Prometheus there; 0: a free port.")] = None,
           seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; not given: until Ctrl-C.")] = None,
           as_json: Json = False) -> None:
    """Fuse what a Kafka bus carries: vehicle objects and roadside messages in, tracks, objects and health out."""
    from dataclasses import asdict

    from replay.console import print_json, print_table
    from v2x.buses import require_shared_bus
    from v2x.worker_run import run_worker

    require_shared_bus(bus, "worker")
    did = asdict(run_worker(bus, site, group, metrics_port, seconds))
    if as_json:
        print_json(did)
    else:
        rows = [(name.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else f"{value:,.0f}")
                for name, value in did.items()]
        print_table(f"worker on {bus}", ["figure", "value"], rows)


@topics_app.command("apply")
def topics_apply(site: Annotated[Path, typer.Argument(help="A site file: its crossings are set apart by partitions.")],
                 bus: SharedBus,
                 partitions: Annotated[int, typer.Option(min=1, help="At least so many, for a site that will grow.")] = 1,
                 as_json: Json = False) -> None:
    """Create the topics that are missing and set the others right; a second time changes nothing. Partitions only grow."""
    from data_specs.site import read_site
    from replay.console import print_json, print_table
    from v2x.kafka_topics import open_topics
    from v2x.topics import plan

    wanted = read_site(site)
    with open_topics(bus, "topics apply") as topics:
        changes = plan(wanted, topics.present(), partitions)
        topics.apply(changes)
    changed = sum(change.is_needed for change in changes)
    if as_json:
        print_json({"changed": changed, "topics": {
            c.name: {"partitions": c.partitions, "done": c.said, "note": c.note} for c in changes}})
        return
    print_table(f"topics of {bus}", ["topic", "partitions", "done", "note"],
                [(c.name, c.partitions, c.said, c.note) for c in changes], [f"{changed} of {len(changes)} changed"])


@topics_app.command("show")
def topics_show(bus: SharedBus,
                site: Annotated[Path | None, typer.Option(help="A site file: tells what is missing for it.")] = None,
                as_json: Json = False) -> None:
    """Tell how a Kafka's topics are; exit code 1 where a site is given and they are not as it needs them."""
    from data_specs.site import read_site
    from replay.console import print_json, print_table
    from v2x.kafka_topics import open_topics
    from v2x.topics import TOPICS, troubles

    wanted = None if site is None else read_site(site)
    with open_topics(bus, "topics show") as opened:
        present = opened.present()
    found = [] if wanted is None else troubles(wanted, present)
    if as_json:
        print_json({"topics": {name: {"partitions": state.partitions, "copies": state.copies, "settings": dict(state.settings)}
                               for name, state in present.items()}, "troubles": found})
    else:
        rows = [(spec.name, present[spec.name].partitions, present[spec.name].copies,
                 present[spec.name].settings["cleanup.policy"], _kept(present[spec.name].settings))
                if spec.name in present else (spec.name, "-", "-", "absent", "-") for spec in TOPICS]
        print_table(f"topics of {bus}", ["topic", "partitions", "copies", "clean-up", "kept"], rows, found)
    if found:
        raise typer.Exit(1)


@topics_app.command("asyncapi")
def topics_asyncapi() -> None:
    """Print the topics as an AsyncAPI 3 document: data_specs/asyncapi.yaml."""
    from v2x.asyncapi import text

    print(text(), end="")


def _kept(settings: Mapping[str, str]) -> str:
    days = int(settings["retention.ms"]) / 86_400_000
    if settings["cleanup.policy"] == "compact":
        return "the last of each key"
    return "for ever" if days < 0 else f"{days:g} day{'s' * (days != 1)}"
