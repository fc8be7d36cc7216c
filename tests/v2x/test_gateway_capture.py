import json
import struct

import pytest
from typer.testing import CliRunner

from tests.v2x.on_air import NOW_NS, packet, street
from tests.v2x.radio import ethernet, write_pcap
from v2x.gateway_capture import carried, datagrams_of
from v2x.rsu_run import write_site

PAYLOAD = b"\x02\x0e hello"


def udp(payload: bytes = PAYLOAD, length: int | None = None) -> bytes:
    return struct.pack(">HHHH", 4000, 2009, len(payload) + 8 if length is None else length, 0) + payload


def ipv4(body: bytes, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    head, source, target = 20 + len(options), bytes([192, 0, 2, 7]), bytes([192, 0, 2, 1])
    start = struct.pack(">BBHHHBBH", 0x40 | head // 4, 0, head + len(body), 1, fragment, 64, protocol, 0)
    return start + source + target + options + body


def ipv6(body: bytes, next_header: int = 17) -> bytes:
    source = bytes.fromhex("20010db8" + "0" * 23 + "7")
    return struct.pack(">IHBB", 6 << 28, len(body), next_header, 64) + source + bytes(16) + body


@pytest.mark.parametrize(("frame", "expected"), [
    (ethernet(packet(street()[1][0])), (packet(street()[1][0]), "7c:50:79:f8:a8:2c")),
    (ethernet(ipv4(udp()), 0x0800), (PAYLOAD, "192.0.2.7:4000")),
    (ethernet(ipv4(udp(), options=bytes(4)), 0x0800, vlan=True), (PAYLOAD, "192.0.2.7:4000")),
    (ethernet(ipv4(udp()) + bytes(10), 0x0800), (PAYLOAD, "192.0.2.7:4000")),
    (ethernet(ipv6(udp()), 0x86DD), (PAYLOAD, "[2001:db8::7]:4000")),
])
def test_packets_and_datagrams_are_found_in_their_frames(frame, expected):
    assert carried(frame) == expected


@pytest.mark.parametrize("frame", [
    ethernet(b"arp", 0x0806), ethernet(ipv4(udp(), protocol=6), 0x0800), ethernet(ipv4(udp(), fragment=0x2000), 0x0800),
    ethernet(ipv4(udp(), fragment=5), 0x0800), ethernet(ipv4(udp(length=999)), 0x0800), ethernet(ipv4(udp(length=3)), 0x0800),
    ethernet(ipv6(udp(), next_header=0), 0x86DD), ethernet(b"\x45", 0x0800), ethernet(b"\x60", 0x86DD), b"\xff" * 9, b"",
])
def test_a_frame_with_neither_inside_carries_nothing(frame):
    assert carried(frame)[0] == b""


def test_a_capture_is_judged_by_the_clock_that_captured_it(tmp_path):
    from roadweave import app

    site, units = street()
    write_site(tmp_path / "site.toml", site)
    good = [ethernet(packet(units[0], NOW_NS + i * 100_000_000)) for i in range(3)]
    path = write_pcap(tmp_path / "a.pcap", [*good, good[0], ethernet(b"arp", 0x0806)], start_s=NOW_NS // 10**9)
    assert [datagram.received_ns for datagram in datagrams_of(path)][:2] == [NOW_NS, NOW_NS + 100_000_000]
    words = ["gateway", "--site", str(tmp_path / "site.toml"), "--bus", "memory:", "--pcap", str(path), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    counts = json.loads(result.stdout)
    assert (counts["received"], counts["accepted"], counts["dead_letters"]) == (5, 3, 2)
    assert counts["refused"] == {"replayed": 1, "no-message": 1}


@pytest.mark.sample_data
def test_all_recorded_cpms_of_kashiwa_pass(sample_data, tmp_path):
    from v2x.gateway_run import GatewaySettings, run_capture

    (tmp_path / "site.toml").write_text(
        '[[crossing]]\nid = "kashiwa"\norigin = [35.9032597, 139.9343755, 20.0]\npolygon_m = [[-99, -99], [99, -99], [0, 99]]\n'
        '[[rsu]]\nname = "rsu-0"\ncrossing = "kashiwa"\nstation_id = 1\nsource = "80007c5079f8a82c"\nposition_m = [0, 0, 6]\n')
    capture = sample_data / "v2x" / "etsi_cpm_kashiwa" / "RSU_0.pcap"
    tally = run_capture(GatewaySettings(tmp_path / "site.toml", "memory:", ()), capture)
    assert (tally.received, tally.accepted) == (6311, 6305)
    assert tally.refused == {"no-message": 4, "unsupported": 2}  # ARP, and two datagrams of a time server
