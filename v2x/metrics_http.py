"""Figures of a running service over HTTP, in the text format that Prometheus reads.

Source: Prometheus, Exposition formats, text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
"""
from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from data_specs.errors import InputError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: what is appended to the family's name ("" or "_bucket" ...), labels, and the value."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of figures; `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


class Histogram:
    """Counts of durations in seconds by upper bounds, for one writing thread and any readers."""

    def __init__(self, bounds_s: Sequence[float] = LATENCY_BOUNDS_S) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration in."""
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds

    def metric(self, name: str, help: str) -> Metric:
        """The family that shows it."""
        running, samples = 0, []
        for bound, count in zip((*map(str, self._bounds_s), "+Inf"), list(self._counts)):
            running += count
            samples.append(Sample(running, {"le": bound}, "_bucket"))
        return Metric(name, "histogram", help, (*samples, Sample(self._sum_s, {}, "_sum"), Sample(running, {}, "_count")))


def counter(name: str, help: str, values: Mapping[str, float], label: str) -> Metric:
    """A family of counters, one for each value of a label."""
    return Metric(name, "counter", help, tuple(Sample(value, {label: key}) for key, value in sorted(values.items())))


def gauge(name: str, help: str, value: float) -> Metric:
    """A single figure that may fall."""
    return Metric(name, "gauge", help, (Sample(value),))


def exposition(metrics: Iterable[Metric]) -> str:
    """The families as text."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {_escaped(metric.help, quotes=False)}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{s.suffix}{_labels(s.labels)} {_number(s.value)}" for s in metric.samples]
    return "\n".join(lines) + "\n"


class MetricsServer:
    """Answers GET /metrics in a thread of its own until closed; use it in a `with` block."""

    def __init__(self, collect: Callable[[], Iterable[Metric]], port: int, host: str = "127.0.0.1") -> None:
        """Listen at a port (0: any that is free, see `port`); InputError where that cannot be."""
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(collect))
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError("--metrics-port", f"{host}:{port} ({said})", "a port that is free") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(collect: Callable[[], Iterable[Metric]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/metrics":
                self.send_error(404, "only /metrics is here")
                return
            body = exposition(collect()).encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a line for every scrape would bury what the service says."""

    return Handler


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(text: str, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
