"""Which application signs which message: PSID of IEEE 1609.12, the same numbers as ETSI's and ISO's ITS-AID.

Source: the registry of ISO 5345, ISO-TC204/iso5345 (its-aid.md), where ETSI TS 102 965 and IEEE 1609.12 meet. A format that is
not in it may be signed for any application that its certificate allows.
"""
from __future__ import annotations

from v2x.security.errors import SignatureRefused

CAM, DENM, SPATEM, MAPEM, VAM, CPM = 0x24, 0x25, 0x89, 0x8A, 0x27E, 0x27F  # ETSI: 36, 37, 137, 138, 638, 639
BSM, PSM, INTERSECTION, SENSOR_SHARING, MAP_DISTRIBUTION = 0x20, 0x27, 0x82, 0x90, 0x204097  # SAE
_OF_FORMAT = {  # the start of a wire format's name
    "etsi-cam": (CAM,), "etsi-denm": (DENM,), "etsi-spatem": (SPATEM,), "etsi-mapem": (MAPEM,), "etsi-vam": (VAM,),
    "etsi-cpm": (CPM,), "sae-bsm": (BSM,), "sae-psm": (PSM,), "sae-spat": (INTERSECTION,),
    "sae-map": (INTERSECTION, MAP_DISTRIBUTION), "sae-sdsm": (SENSOR_SHARING,),
}


def psids_of(wire_format: str) -> tuple[int, ...]:
    """The applications that sign messages of a format, the usual one first; none where no source tells."""
    return next((psids for start, psids in _OF_FORMAT.items() if wire_format.startswith(start)), ())


def require_psid(psid: int, wire_format: str) -> None:
    """Refuse a message signed for another application than its own: SignatureRefused("wrong-psid")."""
    psids = psids_of(wire_format)
    if psids and psid not in psids:
        raise SignatureRefused("wrong-psid", f"{wire_format} signed for psid {psid}", f"psid {' or '.join(map(str, psids))}")
