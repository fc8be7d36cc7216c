from collections import Counter

from data_specs.clock import NS_PER_S
from data_specs.errors import BusError
from replay.bus import BusRecord, MemoryBus
from v2x.gateway import Accepted, Refused
from v2x.gateway_outlet import Outlet, Tally
from v2x.gateway_udp import Datagram

NOW_NS = 1_790_000_000_000_000_000
RECORD = BusRecord("rsu.messages", "crossing", b"octets", NOW_NS, {"publisher": b"a"})


class GoneBus(MemoryBus):
    """A bus whose broker does not answer."""

    def publish(self, topic, value, *, key, time_ns, headers=None):
        raise BusError("no broker has answered for 4 s")


def datagram(at_ns: int = NOW_NS) -> Datagram:
    return Datagram(b"octets", "192.0.2.7:4000", at_ns)


def test_what_is_accepted_goes_on_the_bus_and_what_is_refused_into_the_dead_letters():
    bus, troubles = MemoryBus(), []
    outlet = Outlet(bus, troubles.append)
    outlet.take(datagram(), Accepted(RECORD, signed=True))
    outlet.take(datagram(), Refused("malformed", "bit 7"))
    (record,) = bus.subscribe(["rsu.messages"]).poll()
    assert (record.key, record.value, record.headers["publisher"]) == ("crossing", b"octets", b"a")
    (letter,) = bus.subscribe(["rsu.dead-letters"]).poll()
    assert letter.value == b"octets"
    assert {name: letter.headers[name] for name in ("reason", "source", "received_ns")} == {
        "reason": b"malformed", "source": b"192.0.2.7:4000", "received_ns": b"%d" % NOW_NS}
    assert outlet.tally == Tally(received=2, accepted=1, signed=1, refused=Counter(malformed=1), dead_letters=1)


def test_a_flood_of_refusals_is_counted_whole_and_kept_in_part():
    bus = MemoryBus()
    outlet = Outlet(bus, print, dead_letters_per_s=5.0)
    for number in range(1000):
        outlet.take(datagram(NOW_NS + number * 1_000_000), Refused("unsigned", ""))
    outlet.take(datagram(NOW_NS), Refused("malformed", ""))
    assert outlet.tally.refused == {"unsigned": 1000, "malformed": 1}
    assert 9 <= outlet.tally.dead_letters <= 11 + 1
    assert len(bus.subscribe(["rsu.dead-letters"]).poll()) == outlet.tally.dead_letters


def test_a_bus_that_takes_nothing_is_told_once_a_second_and_counted():
    troubles: list[str] = []
    outlet = Outlet(GoneBus(), troubles.append)
    for number in range(20):
        outlet.take(datagram(NOW_NS + number * NS_PER_S // 10), Accepted(RECORD, signed=False))
    assert (outlet.tally.undelivered, outlet.tally.accepted) == (20, 20)
    assert troubles == ["no broker has answered for 4 s"] * 2


def test_counts_of_several_processes_add_up():
    one = Tally(5, 3, 1, Counter(stale=2), 2, 0, 7)
    assert (one + one).to_json() == {"received": 10, "accepted": 6, "signed": 2, "refused": {"stale": 4}, "dead_letters": 4,
                                     "undelivered": 0, "kernel_drops": 14}
    assert (one + Tally(kernel_drops=-1)).kernel_drops == -1
