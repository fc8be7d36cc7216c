"""The gateway's counts for Prometheus."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from replay.console import say
from v2x.gateway_outlet import Tally
from v2x.metrics_http import Metric, MetricsServer, Sample, counter


def metrics_of(tally: Tally) -> list[Metric]:
    """A gateway's counts as families; what the system does not tell is left out."""
    outcomes = {"accepted": tally.accepted, "refused": tally.refused.total()}
    families = [
        counter("roadweave_gateway_datagrams_total", "Datagrams judged.", outcomes, "verdict"),
        counter("roadweave_gateway_refused_total", "Datagrams refused, by reason.", tally.refused, "reason"),
        _count("roadweave_gateway_signed_total", "Accepted messages whose signature was checked and holds.", tally.signed),
        _count("roadweave_gateway_dead_letters_total", "Refused datagrams kept for looking at.", tally.dead_letters),
        _count("roadweave_gateway_undelivered_total", "Accepted messages that the bus did not take.", tally.undelivered),
    ]
    if tally.kernel_drops >= 0:
        families.append(_count("roadweave_gateway_kernel_drops_total", "Datagrams lost before being read.", tally.kernel_drops))
    return families


@contextmanager
def served(port: int | None) -> Iterator[Callable[[Tally], None]]:
    """Serve the newest counts at a port while the block runs; what it yields takes them. Nothing is served without a port."""
    newest = [Tally()]

    def show(tally: Tally) -> None:
        newest[0] = tally

    if port is None:
        yield show
        return
    with MetricsServer(lambda: metrics_of(newest[0]), port) as server:
        say(f"metrics at http://127.0.0.1:{server.port}/metrics")
        yield show


def _count(name: str, help: str, value: int) -> Metric:
    return Metric(name, "counter", help, (Sample(value),))
