"""A packet as a capture file holds it, of whichever kind the file is."""
from __future__ import annotations

from dataclasses import dataclass

LINK_ETHERNET = 1  # https://www.tcpdump.org/linktypes.html
MAX_PACKET_OCTETS = 262_144  # libpcap's own limit: a larger length is a broken header, not a packet


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet as it was captured."""

    received_ns: int  # the recorder's clock
    offset: int  # of its record in the file
    data: bytes  # from the link-layer header on
