import pytest

from data_specs.errors import SpecError
from data_specs.messages import GeoPoint
from tests.v2x.radio import ADDRESS, ethernet, geonetworking, signed
from v2x.codecs.geonet import ForeignPacket, Packet, single_hop, split, unwrap, with_basic_header

MESSAGE = b"\x01\x0e hello"


@pytest.mark.parametrize("header, name", [((5, 0), "SHB"), ((5, 1), "TSB"), ((4, 0), "GBC"), ((3, 0), "GAC")])
def test_a_message_is_found_behind_every_kind_of_header(header, name):
    packet = unwrap(ethernet(geonetworking(MESSAGE, header=header)))
    assert (packet.source, packet.transport, packet.port) == (ADDRESS.hex(), name, 2009)
    assert packet.payload == MESSAGE
    assert not packet.signed


def test_a_vlan_tag_and_ethernet_padding_do_not_matter():
    assert unwrap(ethernet(geonetworking(MESSAGE), vlan=True) + bytes(20)).payload == MESSAGE


@pytest.mark.parametrize("size", [10, 120, 900])
def test_a_signed_packet_is_opened_and_said_to_be_signed(size):
    packet = unwrap(ethernet(signed(geonetworking(bytes(size)))))
    assert packet.payload == bytes(size)
    assert packet.signed


@pytest.mark.parametrize("frame, reason", [
    (ethernet(b"", ethertype=0x0806), "ethertype 0x0806"),
    (b"\xff" * 8, "cut short"),
    (ethernet(geonetworking(MESSAGE))[:40], "cut short"),
    (ethernet(geonetworking(MESSAGE))[:-1], "cut short"),
    (ethernet(geonetworking(MESSAGE, header=(1, 0))), "beacon"),
    (ethernet(geonetworking(MESSAGE, transport=3)), "common next header 3"),
    (ethernet(geonetworking(MESSAGE, next_header=3)), "basic next header 3"),
    (ethernet(b"\x51" + geonetworking(MESSAGE)[1:]), "version 5"),
    (ethernet(geonetworking(MESSAGE)[:5] + b"\x90" + geonetworking(MESSAGE)[6:]), "header type 9.0"),
    (ethernet(b"\x12\x00\x1a\x01\x03\x82" + bytes(40)), "secured packet that is not signed data"),
    (ethernet(b"\x12\x00\x1a\x01\x03\x81\x00\x00" + bytes(40)), "signed packet without its payload"),
])
def test_anything_else_is_refused_with_a_reason_that_can_be_counted(frame, reason):
    with pytest.raises(ForeignPacket, match=reason) as caught:
        unwrap(frame)
    assert reason in caught.value.reason


def test_no_cut_of_a_packet_does_anything_but_be_refused():
    for whole in (ethernet(geonetworking(MESSAGE)), ethernet(signed(geonetworking(MESSAGE)))):
        payload_end = whole.index(MESSAGE) + len(MESSAGE)
        for length in range(payload_end):
            with pytest.raises(ForeignPacket):
                unwrap(whole[:length])


def test_a_packet_that_is_made_is_read_back_and_has_the_standards_octets():
    place = GeoPoint(48.1, 11.5, 520.0)
    content = single_hop(MESSAGE, 2009, ADDRESS.hex(), place, 1_072_915_200_000_000_000 + 1_000_000)  # 1 ms after the ITS epoch
    assert content[:8].hex() == "2050" "0080" + f"{len(MESSAGE) + 4:04x}" "0100"
    assert content[8:36].hex() == ADDRESS.hex() + "00000001" "1cab7a40" "06dac2c0" + "00" * 8
    assert content[36:40].hex() == "07d90000"
    packet = with_basic_header(content, secured=False)
    assert packet[:4].hex() == "11000501"
    assert unwrap(ethernet(packet)) == Packet(ADDRESS.hex(), "SHB", 2009, False, MESSAGE)
    assert split(packet) == (False, content)
    assert split(with_basic_header(b"\x03\x81", secured=True)) == (True, b"\x03\x81")


def test_a_source_that_is_no_geonetworking_address_is_refused():
    with pytest.raises(SpecError, match="source: '0200', expected a GeoNetworking address of 16 hex digits"):
        single_hop(MESSAGE, 2009, "0200", GeoPoint(0.0, 0.0, 0.0), 1_790_000_000_000_000_000)
