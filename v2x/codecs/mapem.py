"""The lane geometry message of ETSI TS 103 301 V2.1.1 (MAPEM) as a table: MapData of ISO TS 19091 behind an ITS header.

Longitudes are those of TS 102 894-2.
Source: github.com/riebl/vanetza, asn1/TS103301v211-MAPEM.asn (commit 9811d58); ISO TS 19091's module in pycrate.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v131, map_data
from v2x.codecs import cdd_v211 as cdd
from v2x.codecs.schema import Field, Sequence
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-mapem-2.1.1"
PROTOCOL_VERSION, MESSAGE_ID = 2, 5

FORMS = Forms("MAPEM", {WIRE_FORMAT: Sequence("MAPEM", (
    Field("header", cdd_v131.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
    Field("map", map_data.map_data(cdd.LONGITUDE, ())),
))})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
