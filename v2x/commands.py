"""Commands of the V2X floor: import pcap, fuse, record, replay, broker."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from replay.arguments import Json
from v2x import export_commands, gateway_commands, kafka_commands, keys_commands, replay_commands

app = typer.Typer(no_args_is_help=True)
app.registered_commands += export_commands.app.registered_commands
app.registered_commands += gateway_commands.app.registered_commands
app.registered_commands += kafka_commands.app.registered_commands
app.registered_commands += replay_commands.app.registered_commands
import_app = typer.Typer(no_args_is_help=True)
broker_app = typer.Typer(no_args_is_help=True, help="A development Kafka on loopback.")
app.add_typer(broker_app, name="broker")
app.add_typer(keys_commands.keys_app, name="keys")
app.add_typer(kafka_commands.topics_app, name="topics")

SharedBus = Annotated[str, typer.Option("--bus", help="kafka://host:port[,host:port]")]
BrokerFolder = Annotated[Path, typer.Option("--dir", help="Where the broker keeps its settings, logs and data.")]


@import_app.command("pcap")
def import_pcap(source: Annotated[Path, typer.Argument(help="An Ethernet capture of V2X radio packets (classic pcap).")],
                drive: Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")],
                as_json: Json = False) -> None:
    """A radio capture: its collective perception messages, unwrapped from GeoNetworking."""
    from replay.info import show_info
    from replay.recorder import import_drive
    from v2x.importers import PcapImporter

    show_info(import_drive(PcapImporter(source), drive), drive, as_json)


@import_app.command("ode")
def import_ode(source: Annotated[Path, typer.Argument(help="JSON records of a US DOT ODE, one a line or a file; or a folder.")],
               drive: Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")],
               as_json: Json = False) -> None:
    """Messages that an Operational Data Environment recorded: BSM, SDSM, PSM, SPaT, MAP."""
    from replay.info import show_info
    from replay.recorder import import_drive
    from v2x.import_log import ode_log

    show_info(import_drive(ode_log(source), drive), drive, as_json)


@import_app.command("j2735-xml")
def import_j2735_xml(
        source: Annotated[Path, typer.Argument(help="Lines of a time of arrival (ms) and a message frame in XML; or a folder.")],
        drive: Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")],
        as_json: Json = False) -> None:
    """J2735 messages that were recorded as XML, as the US pilots' logs hold them."""
    from replay.info import show_info
    from replay.recorder import import_drive
    from v2x.import_log import j2735_xml_log

    show_info(import_drive(j2735_xml_log(source), drive), drive, as_json)


@app.command()
def inspect(source: Annotated[str, typer.Argument(help="A message as hex, a file that holds one, or - for standard input.")],
            as_json: Json = False) -> None:
    """Tell a V2X message field by field: where each stands, its bits, its value and unit; exit code 2 where it is broken."""
    from replay.console import print_json, print_table
    from v2x.inspect import inspect_message, read_octets, tree_rows

    found = inspect_message(read_octets(source))
    if as_json:
        print_json(found.to_json())
    else:
        print_table(f"{found.wire_format}, {len(found.octets)} octets", ["field", "bit", "bits", "value", "meaning"],
                    tree_rows(found.pieces))
    if found.error is not None:
        raise found.error


@app.command()
def decode(source: Annotated[str, typer.Argument(help="A file of messages, one as hex on each line, a capture (pcap), or - for "
                                                      "standard input.")]) -> None:
    """Decode V2X messages: one JSON line for each, in order, with its wire format and values, or what is wrong and at which bit.

    Exit code 1 where any of them was bad.
    """
    import sys

    from v2x.decode import decode_source

    if decode_source(source, sys.stdout):
        raise typer.Exit(1)


@app.command()
def fuse(drive: Annotated[Path, typer.Argument(help="A drive: a folder with a drive.json.")], as_json: Json = False) -> None:
    """Fuse a drive's vehicle objects with its roadside messages: adds fused.tracks, roadside.objects and rsu.health.

    What a roadside unit found is turned into CPM messages first, where the drive has none.
    """
    from replay.console import print_json, print_table
    from v2x.fuse import fuse_drive

    fused = fuse_drive(drive)
    if as_json:
        print_json({"topics": {topic: {"events": count, "objects": fused.objects[topic]}
                               for topic, count in fused.events.items()},
                    "encoded_octets": fused.encoded_octets, "dropped": fused.dropped})
        return
    notes = [f"{fused.encoded_octets} octets of CPM encoded and decoded"] if fused.encoded_octets else []
    notes += [f"{fused.dropped} events came too late or twice and were dropped"] if fused.dropped else []
    print_table(f"fused: {drive}", ["topic", "events", "objects"],
                [(topic, fused.events[topic], fused.objects[topic]) for topic in sorted(fused.events)], notes)


@app.command()
def record(drive: Annotated[Path, typer.Argument(help="The drive to make: a folder that does not exist yet.")], bus: SharedBus,
           seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; not given: until Ctrl-C.")] = None,
           site: Annotated[Path | None, typer.Option(help="A site file, where nobody sends a drive's description.")] = None,
           from_start: Annotated[bool, typer.Option("--from-start", help="Also what the bus held before.")] = False,
           as_json: Json = False) -> None:
    """Record what comes over a bus into a drive."""
    from replay.console import say
    from replay.info import show_info
    from v2x.bus_drive import record_bus
    from v2x.buses import require_shared_bus

    require_shared_bus(bus, "record")
    info, refused, last_trouble = record_bus(drive, bus, seconds, site, from_start)
    if refused:
        say(f"roadweave: {refused} records could not be read; the last: {last_trouble}")
    show_info(info, drive, as_json)


@broker_app.command("start")
def broker_start(nodes: Annotated[int, typer.Option(help="1, or 3 to try failures.")] = 1,
                 port: Annotated[int, typer.Option(help="Of the first node; the others follow.")] = 29092,
                 folder: BrokerFolder = Path(".kafka"), as_json: Json = False) -> None:
    """Start Apache Kafka in the background and wait until it serves; the first time fetches it (54 MB, through Maven)."""
    from replay.console import print_json, say
    from v2x.broker import start_cluster
    from v2x.broker_jars import KAFKA_VERSION, jars_folder

    if not jars_folder().is_dir():
        say(f"fetching Apache Kafka {KAFKA_VERSION} from Maven Central ...")
    cluster = start_cluster(folder, nodes, port)
    if as_json:
        print_json({"bootstrap": cluster.bootstrap, "url": f"kafka://{cluster.bootstrap}", "nodes": nodes})
    else:
        print(f"Apache Kafka {KAFKA_VERSION} serves at kafka://{cluster.bootstrap}; stop it with: roadweave broker stop")


@broker_app.command("stop")
def broker_stop(folder: BrokerFolder = Path(".kafka"), as_json: Json = False) -> None:
    """Stop the broker and wait until it has ended; what it holds stays on disk."""
    from replay.console import print_json
    from v2x.broker import stop_cluster

    stopped = stop_cluster(folder)
    if as_json:
        print_json({"stopped": stopped})
    else:
        print(f"stopped {stopped} node{'s' * (stopped > 1)}" if stopped else f"no broker ran in {folder}")


@broker_app.command("status")
def broker_status(folder: BrokerFolder = Path(".kafka"), as_json: Json = False) -> None:
    """Tell whether the broker runs; exit code 1 where it does not."""
    from replay.console import print_json, print_table
    from v2x.broker import read_cluster

    cluster = read_cluster(folder)
    pids = {} if cluster is None else {node: node.pid() for node in cluster.nodes}
    if as_json:
        print_json({"running": any(pids.values()), "bootstrap": cluster.bootstrap if cluster else "", "nodes": [
            {"id": node.id, "port": node.port, "pid": pid, "log": str(node.log)} for node, pid in pids.items()]})
    elif cluster is None:
        print(f"no broker was started in {folder}; start one: roadweave broker start")
    else:
        print_table(f"kafka://{cluster.bootstrap}", ["node", "port", "process", "log"],
                    [(node.id, node.port, pid or "stopped", node.log) for node, pid in pids.items()])
    if not any(pids.values()):
        raise typer.Exit(1)
