import socket
import sys
import time

import pytest

from data_specs.errors import InputError
from v2x.gateway_udp import DEFAULT_PORTS, UdpInlet, parse_address

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters and stamps are Linux's")


def send(inlet: UdpInlet, *octets: bytes, host: str = "127.0.0.1") -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as out:
        for one in octets:
            out.sendto(one, (host, int(inlet.addresses[0].rpartition(":")[2])))


def received(inlet: UdpInlet, count: int) -> list:
    found, end_s = [], time.monotonic() + 10.0
    while len(found) < count and time.monotonic() < end_s:
        found += inlet.receive(0.2)
    return found


def test_datagrams_come_whole_in_order_and_stamped():
    with UdpInlet([("127.0.0.1", 0)]) as inlet:
        before_ns = time.time_ns()
        send(inlet, b"", b"one", bytes(60_000))
        found = received(inlet, 3)
        assert [datagram.octets for datagram in found] == [b"", b"one", bytes(60_000)]
        assert all(before_ns - 50_000_000 <= datagram.received_ns <= time.time_ns() for datagram in found)
        assert found[0].source.startswith("127.0.0.1:")
        assert inlet.receive(0.0) == []


@pytest.mark.skipif(not (socket.has_ipv6 and socket.has_dualstack_ipv6()), reason="no IPv6 here")
def test_one_socket_hears_both_families_and_names_senders_in_their_own():
    with UdpInlet([("::", 0)]) as inlet:
        send(inlet, b"four")
        send(inlet, b"six", host="::1")
        found = received(inlet, 2)
        hosts = {datagram.octets: datagram.source.rpartition(":")[0] for datagram in found}
        assert hosts == {b"four": "127.0.0.1", b"six": "[::1]"}


@linux
def test_the_kernels_count_of_dropped_datagrams_is_told():
    with UdpInlet([("127.0.0.1", 0)], buffer_octets=1 << 14) as inlet:
        assert inlet.drops() == 0
        send(inlet, *[bytes(700)] * 500)
        dropped = inlet.drops()
        assert dropped > 0
        assert len(received(inlet, 500 - dropped)) + inlet.drops() == 500


@linux
def test_the_receive_buffer_is_raised_above_the_default():
    with UdpInlet([("127.0.0.1", 0)]) as inlet, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        assert inlet.buffer_octets > plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def test_two_inlets_share_a_port_only_if_both_say_so():
    with UdpInlet([("127.0.0.1", 0)], shared=True) as first:
        port = int(first.addresses[0].rpartition(":")[2])
        with UdpInlet([("127.0.0.1", port)], shared=True):
            pass
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}: .*expected an address of this machine that is free"):
            UdpInlet([("127.0.0.1", port)])


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(InputError, match=r"192\.0\.2\.1:0: .*expected an address of this machine"):
        UdpInlet([("192.0.2.1", 0)])


@pytest.mark.parametrize(("text", "expected"), [
    ("127.0.0.1:2009", ("127.0.0.1", 2009)), ("[::1]:46800", ("::1", 46800)), ("gateway.example:1", ("gateway.example", 1))])
def test_addresses_are_host_and_port(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "host", "::1:5", "h:70000", "h:-1", "h:x"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InputError, match="expected host:port"):
        parse_address(text)


def test_the_default_ports_are_those_of_etsi_and_of_the_data_environment():
    etsi, ode = (2001, 2002, 2003, 2004, 2009, 2018), (46800, 44910, 44920, 44930, 44900, 44940, 44950, 47900, 44990)
    assert {*etsi, *ode} == set(DEFAULT_PORTS)
