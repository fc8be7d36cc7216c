"""V2X messages: octets to our types and back, through tables that describe each standard once."""
from v2x.codecs.door import WIRE_FORMATS, decode, encode

__all__ = ["WIRE_FORMATS", "decode", "encode"]
