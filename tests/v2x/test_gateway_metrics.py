from collections import Counter
from urllib.request import urlopen

from v2x.gateway_metrics import metrics_of, served
from v2x.gateway_outlet import Tally
from v2x.metrics_http import exposition

TALLY = Tally(10, 7, 5, Counter(unsigned=2, stale=1), 3, 1, 4)


def test_every_count_of_the_gateway_is_a_metric():
    text = exposition(metrics_of(TALLY))
    for line in ('roadweave_gateway_datagrams_total{verdict="accepted"} 7',
                 'roadweave_gateway_datagrams_total{verdict="refused"} 3',
                 'roadweave_gateway_refused_total{reason="unsigned"} 2', "roadweave_gateway_signed_total 5",
                 "roadweave_gateway_dead_letters_total 3", "roadweave_gateway_undelivered_total 1",
                 "roadweave_gateway_kernel_drops_total 4"):
        assert f"\n{line}\n" in text


def test_drops_that_the_system_does_not_tell_are_left_out():
    assert "kernel_drops" not in exposition(metrics_of(Tally(kernel_drops=-1)))


def test_the_newest_counts_are_served(capsys):
    with served(0) as show:
        address = capsys.readouterr().err.split()[-1]
        show(TALLY)
        with urlopen(address, timeout=10.0) as answer:
            assert b"roadweave_gateway_signed_total 5\n" in answer.read()


def test_nothing_is_served_without_a_port(capsys):
    with served(None) as show:
        show(TALLY)
    assert capsys.readouterr().err == ""
