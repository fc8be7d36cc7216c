"""Commands at the edge of the V2X floor: gateway lets messages in, rsu sends them."""
from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from replay.arguments import Json

if TYPE_CHECKING:
    from v2x.gateway_outlet import Tally

app = typer.Typer(no_args_is_help=True)



@app.command()
def gateway(site: Annotated[Path, typer.Option(help="The site file: crossings with their policies, and roadside units.")],
            bus: Annotated[str, typer.Option(help="kafka://host:port[,host:port], or memory: for a trial that only counts.")],
            listen: Annotated[list[str] | None, typer.Option(help="host:port, repeatable; else ETSI's and the ODE's.")] = None,
            pcap: Annotated[Path | None, typer.Option(help="Judge this capture instead of listening.")] = None,
            trust: Annotated[Path | None, typer.Option(help="Folder of certificates to believe.")] = None,
            workers: Annotated[int, typer.Option(min=1, help="Processes that share the ports.")] = 1,
            buffer_mib: Annotated[int, typer.Option(min=1, help="Receive buffer to ask the system for, of each socket.")] = 16,
            metrics_port: Annotated[int | None, typer.Option(help="Serve metrics for Prometheus there; 0: a free port.")] = None,
            seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; not given: until Ctrl-C.")] = None,
            as_json: Json = False) -> None:
    """Let V2X messages in: UDP or a capture, checked and signed for, onto the bus; what is refused is counted and kept."""
    from data_specs.errors import BusError
    from replay.console import say
    from v2x.buses import MEMORY
    from v2x.gateway_metrics import served
    from v2x.gateway_run import GatewaySettings, run_capture, run_gateway
    from v2x.gateway_udp import default_addresses, parse_address

    if bus == MEMORY and seconds is None and pcap is None:
        raise BusError(f"gateway: {MEMORY} keeps all it is given, expected --seconds with it, or kafka://host:port")
    addresses = tuple(parse_address(text) for text in listen or ()) or tuple(default_addresses())
    settings = GatewaySettings(site, bus, addresses, trust, workers, seconds, buffer_mib << 20)
    if pcap is not None:
        tally = run_capture(settings, pcap)
    else:
        with stopped_by_signals() as stop, served(metrics_port) as shown:
            tally = run_gateway(settings, stop, lambda now: (shown(now), say(_line(now))))
    _show(tally, as_json, str(pcap or "UDP"), bus)


@app.command()
def rsu(to: Annotated[str, typer.Option(help="udp://host:port, or kafka://host:port[,host:port].")],
        scenario: Annotated[str, typer.Option(help="Which crossing to simulate; units send what they see there.")] = "crossing",
        count: Annotated[int, typer.Option(min=1, max=1000, help="Units; two stand at each crossing.")] = 2,
        wire: Annotated[str, typer.Option("--format", help="cpm or sdsm")] = "cpm",
        clock_offset_ms: Annotated[float, typer.Option(help="How far the units' clocks are ahead.")] = 0.0,
        pose_bias_m: Annotated[float, typer.Option(help="How far aside, to its left, every unit is registered.")] = 0.0,
        loss: Annotated[float, typer.Option(help="Chance that a message is lost.")] = 0.0,
        duplicate: Annotated[float, typer.Option(help="Chance that a message comes twice.")] = 0.0,
        delay_ms: Annotated[float, typer.Option(help="What every message takes.")] = 0.0,
        jitter_ms: Annotated[float, typer.Option(help="Mean of what messages take beyond that; they overtake each other.")] = 0.0,
        false_objects: Annotated[float, typer.Option(min=0.0, help="Mean number of false objects in a message.")] = 0.0,
        sign: Annotated[Path | None, typer.Option(help="Folder of keys, as roadweave keys make makes it.")] = None,
        site: Annotated[Path | None, typer.Option(help="Write the site file that a gateway needs for these units.")] = None,
        policy: Annotated[str, typer.Option(help="What that site file asks of signatures: required, preferred or off.")] = "off",
        speed: Annotated[float, typer.Option(min=0.01, help="How fast the scenario runs; messages come as much oftener.")] = 1.0,
        seconds: Annotated[float, typer.Option(min=0.1, help="How long to send.")] = 10.0,
        seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 0,
        as_json: Json = False) -> None:
    """Simulate roadside units that send real CPM or SDSM octets over UDP or Kafka, with faults as asked, signed or not."""
    from replay.console import print_json, print_table
    from v2x.rsu_run import FleetSettings, run_fleet

    settings = FleetSettings(to, scenario, count, wire, clock_offset_ms, pose_bias_m, loss, duplicate, delay_ms, jitter_ms,
                             false_objects, sign, site, policy, speed, seconds, seed)
    with stopped_by_signals() as stop:
        sent = run_fleet(settings, stop)
    if as_json:
        print_json({"messages": sent.messages, "octets": sent.octets, "lost": sent.lost, "copies": sent.copies,
                    "worst_lag_ms": sent.worst_lag_ns / 1e6})
        return
    print_table(f"{count} units to {to}", ["messages", "count"],
                [("sent", sent.messages), ("lost on purpose", sent.lost), ("sent twice on purpose", sent.copies)],
                [f"{sent.octets} octets; the latest message {sent.worst_lag_ns / 1e6:.1f} ms behind its time"])


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a request to end sets; before and after the block they do what they did."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _line(tally: Tally) -> str:
    refused = ", ".join(f"{count} {reason}" for reason, count in tally.refused.most_common()) or "none"
    return (f"{tally.received} received, {tally.accepted} accepted, refused: {refused}; kernel drops {_drops(tally)}"
            + (f"; {tally.undelivered} undelivered" if tally.undelivered else ""))


def _show(tally: Tally, as_json: bool, source: str, bus: str) -> None:
    from replay.console import print_json, print_table

    if as_json:
        print_json(tally.to_json())
        return
    rows: list[tuple[str, Any]] = [("received", tally.received), ("accepted", tally.accepted),
                                   ("accepted with a checked signature", tally.signed)]
    rows += [(f"refused: {reason}", count) for reason, count in tally.refused.most_common()]
    rows += [("kept as dead letters", tally.dead_letters), ("undelivered", tally.undelivered),
             ("dropped by the kernel", _drops(tally))]
    print_table(f"{source} to {bus}", ["datagrams", "count"], rows)


def _drops(tally: Tally) -> str:
    return "not told here" if tally.kernel_drops < 0 else str(tally.kernel_drops)
