import urllib.error
import urllib.request

import pytest

from data_specs.errors import InputError
from v2x.metrics_http import Histogram, Metric, MetricsServer, Sample, counter, exposition, gauge


def test_the_text_is_what_prometheus_documents():
    metrics = [counter("read_total", "Records read.", {"b": 2, 'a"\\\n': 1.5}, "topic"), gauge("lag_records", "Behind.", 7)]
    assert exposition(metrics) == (
        "# HELP read_total Records read.\n# TYPE read_total counter\n"
        'read_total{topic="a\\"\\\\\\n"} 1.5\nread_total{topic="b"} 2\n'
        "# HELP lag_records Behind.\n# TYPE lag_records gauge\nlag_records 7\n")


def test_a_histogram_counts_up_to_and_including_each_bound():
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(seconds)
    text = exposition([histogram.metric("wait_seconds", "Waits.")])
    assert text.splitlines()[2:] == [
        'wait_seconds_bucket{le="0.1"} 2', 'wait_seconds_bucket{le="1.0"} 3', 'wait_seconds_bucket{le="+Inf"} 4',
        "wait_seconds_sum 3.65", "wait_seconds_count 4"]


def test_metrics_are_collected_anew_for_every_request():
    asked = []

    def collect():
        asked.append(1)
        return [Metric("asked_total", "counter", "Requests.", (Sample(len(asked)),))]

    with MetricsServer(collect, 0) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        answers = [urllib.request.urlopen(url, timeout=5) for _ in range(2)]
        assert answers[0].headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert [answer.read().decode().splitlines()[-1] for answer in answers] == ["asked_total 1", "asked_total 2"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url.replace("metrics", "secrets"), timeout=5)


def test_a_port_that_is_taken_is_named():
    with MetricsServer(list, 0) as server:
        with pytest.raises(InputError, match=rf"--metrics-port: 127.0.0.1:{server.port} \(Address already in use\)"):
            MetricsServer(list, server.port)
