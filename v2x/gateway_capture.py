"""A capture's packets as the gateway takes them: GeoNetworking packets off the radio, UDP datagrams off the net.

Source: RFC 791 and 8200 (IPv4, IPv6 headers), RFC 768 (UDP). Fragments, and IPv6 extension headers, are no datagrams here.
"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from v2x.codecs.geonet import ETHERTYPE_GEONETWORKING, ForeignPacket, network_layer
from v2x.gateway_directory import host_and_port
from v2x.gateway_udp import Datagram
from v2x.pcap import read_pcap

_IPV4, _IPV6, _UDP = 0x0800, 0x86DD, 17
_IPV6_HEADER_OCTETS, _UDP_HEADER_OCTETS = 40, 8


def datagrams_of(path: Path) -> Iterator[Datagram]:
    """What lies in a capture's frames, in file order; a frame with neither inside comes as it is, to be refused and counted.

    MissingInput, UnknownFormat and TruncatedInput as `read_pcap` raises them.
    """
    for packet in read_pcap(path):
        octets, source = carried(packet.data)
        yield Datagram(octets, source, packet.received_ns)


def carried(frame: bytes) -> tuple[bytes, str]:
    """The GeoNetworking packet or UDP payload of an Ethernet frame, and its sender: MAC address, or "host:port"."""
    mac = frame[6:12].hex(":")
    try:
        ethertype, at = network_layer(frame)
    except ForeignPacket:
        return b"", mac
    if ethertype == ETHERTYPE_GEONETWORKING:
        return frame[at:], mac
    if ethertype == _IPV4:
        return _ipv4(frame[at:]) or (b"", mac)
    if ethertype == _IPV6:
        return _ipv6(frame[at:]) or (b"", mac)
    return b"", mac


def _ipv4(packet: bytes) -> tuple[bytes, str] | None:
    if len(packet) < 20 or packet[9] != _UDP or int.from_bytes(packet[6:8]) & 0x3FFF:
        return None
    header = 4 * (packet[0] & 15)
    return _udp(packet[header:int.from_bytes(packet[2:4])], str(ipaddress.IPv4Address(packet[12:16])))


def _ipv6(packet: bytes) -> tuple[bytes, str] | None:
    if len(packet) < _IPV6_HEADER_OCTETS or packet[6] != _UDP:
        return None
    return _udp(packet[_IPV6_HEADER_OCTETS:], str(ipaddress.IPv6Address(packet[8:24])))


def _udp(segment: bytes, host: str) -> tuple[bytes, str] | None:
    length = int.from_bytes(segment[4:6])
    if not _UDP_HEADER_OCTETS <= length <= len(segment):
        return None
    return segment[_UDP_HEADER_OCTETS:length], host_and_port(host, int.from_bytes(segment[:2]))
