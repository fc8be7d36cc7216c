"""Which application signs which message: PSID of IEEE 1609.12, the same numbers as ETSI's ITS-AID.

Source: ETSI TS 102 965 V2.1.1, table of ITS-AIDs, as riebl/vanetza (vanetza/common/its_aid.hpp) and ISO-TC204/iso5345
(its-aid.md) have it; IEEE PSID registry as in wireshark (epan/dissectors/asn1/ieee1609dot2/IEEE1609dot12.asn). Several
applications may carry one J2735 message, and the number of SDSM (J3224) is in none of these: where no number is known, none
is asked for.
"""
from __future__ import annotations

from v2x.security.errors import SignatureRefused

CAM, DENM, SPATEM, MAPEM, VAM, CPM = 36, 37, 137, 138, 638, 639
BSM, PSM, INTERSECTION = 32, 39, 130
_OF_FORMAT = {  # the start of a wire format's name
    "etsi-cam": (CAM,), "etsi-denm": (DENM,), "etsi-spatem": (SPATEM,), "etsi-mapem": (MAPEM,), "etsi-vam": (VAM,),
    "etsi-cpm": (CPM,),
    "sae-bsm": (BSM,), "sae-psm": (PSM,), "sae-spat": (INTERSECTION,), "sae-map": (INTERSECTION,),
}


def psids_of(wire_format: str) -> tuple[int, ...]:
    """The applications that sign messages of a format; none where no source tells."""
    return next((psids for start, psids in _OF_FORMAT.items() if wire_format.startswith(start)), ())


def require_psid(psid: int, wire_format: str) -> None:
    """Refuse a message signed for another application than its own: SignatureRefused("wrong-psid")."""
    psids = psids_of(wire_format)
    if psids and psid not in psids:
        raise SignatureRefused("wrong-psid", f"{wire_format} signed for psid {psid}", f"psid {' or '.join(map(str, psids))}")
