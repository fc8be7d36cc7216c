"""The signal phase and timing message of ETSI TS 103 301 V2.1.1 (SPATEM) as a table: SPAT of ISO TS 19091 behind an ITS header.

Source: github.com/riebl/vanetza, asn1/TS103301v211-SPATEM.asn (commit 9811d58); ISO TS 19091's module in pycrate.
"""
from __future__ import annotations

from typing import Any

from v2x.codecs import cdd_v131, spat
from v2x.codecs.schema import Field, Sequence
from v2x.codecs.uper import Forms

WIRE_FORMAT = "etsi-spatem-2.1.1"
PROTOCOL_VERSION, MESSAGE_ID = 2, 4

FORMS = Forms("SPATEM", {WIRE_FORMAT: Sequence("SPATEM", (
    Field("header", cdd_v131.pdu_header(PROTOCOL_VERSION, MESSAGE_ID)),
    Field("spat", spat.spat(36_001, ())),
))})


def decode_pdu(data: bytes, form: str | None = None) -> tuple[dict[str, Any], str]:
    """Plain values of a message and the form it has; DecodeError at the first wrong bit."""
    return FORMS.decode(data, form)


def encode_pdu(value: dict[str, Any], form: str = WIRE_FORMAT) -> bytes:
    """The octets of plain values; SpecError names the field that the standard does not allow."""
    return FORMS[form].encode(value)
