"""Opens signed messages and says who sent them, or refuses them with a reason.

Source: IEEE Std 1609.2-2022, 5.2 (when signed data is valid) and 6.3 (its layout); ETSI TS 103 097 V2.1.1, 5.2 (generationTime
always, one certificate or its digest) and 7.1 (CAM, DENM). Checks go from cheap to dear: layout, age, signer, validity,
revocation, application, place, replay, and the signature last, since nothing else takes as long.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from data_specs.clock import NS_PER_S, unix_ns_from_its_ms
from data_specs.messages import GeoPoint
from v2x.security.chains import Chain, KnownChains
from v2x.security.ecdsa import compressed, signature_holds, signed_hash
from v2x.security.errors import SignatureRefused, refusing
from v2x.security.oer import OCTETS
from v2x.security.oer_read import reader
from v2x.security.oer_write import writer
from v2x.security.psids import DENM
from v2x.security.store import TrustStore
from v2x.security.tables import DATA, LATITUDE, LONGITUDE, TO_BE_SIGNED_DATA, UNITS_PER_DEGREE
from v2x.security.window import ReplayWindow

_read = reader(DATA, "signed message")
_write_signed_part = writer(TO_BE_SIGNED_DATA, "tbsData")


@dataclass(frozen=True, slots=True)
class Limits:
    """How old a message may be, and how much is remembered."""

    stale_after_ns: int = 2 * NS_PER_S
    stale_after_ns_of: Mapping[int, int] = field(default_factory=lambda: {DENM: 600 * NS_PER_S})  # by psid: warnings are repeated
    future_after_ns: int = NS_PER_S // 2  # how far a sender's clock may be ahead
    certificates: int = 4096  # learned from messages
    senders: int = 1024  # a signer and an application, whose messages are remembered
    messages: int = 4096  # remembered of each sender

    def stale_ns(self, psid: int) -> int:
        """Age from which a message of the application is stale."""
        return self.stale_after_ns_of.get(psid, self.stale_after_ns)


@dataclass(frozen=True, slots=True)
class Opened:
    """A message out of its envelope."""

    payload: bytes  # what was signed: a facility message, or a GeoNetworking packet from its common header on
    publisher: str  # HashedId8 of the signing certificate, 16 hex digits
    psid: int  # the application that it was signed for
    generated_ns: int  # Unix ns by the sender's clock


class Verifier:
    """Opens signed messages; keeps the certificates and the messages it has seen, both bounded.

    What a crossing does with unsigned messages is its gateway's business: here each is refused as such.
    """

    def __init__(self, trust: TrustStore, place: GeoPoint | None = None, countries: frozenset[int] = frozenset(),
                 limits: Limits | None = None) -> None:
        """Start from a trust store.

        `place`: where messages come from that say no place themselves, the crossing; without it they are outside of every
        region. `countries`: the UN M49 numbers of all that it lies in, for regions that are countries.
        """
        self._place, self._countries = place, countries
        self._limits = limits or Limits()
        self._revoked = trust.revoked
        self._chains = KnownChains(trust.authorities, trust.units, self._limits.certificates)
        self._window = ReplayWindow(self._limits.messages, self._limits.senders)
        self._fits_here: dict[bytes, bool] = {}

    def open(self, octets: bytes, received_ns: int) -> Opened:
        """Ieee1609Dot2Data opened, or SignatureRefused with its reason.

        `received_ns`: Unix ns of the receiver's clock, which may run backwards.
        """
        kind, content = _parsed(octets)
        if kind == "unsecuredData":
            raise SignatureRefused("unsigned", "unsecured data", "signed data")
        body = content["tbsData"]
        payload, psid, generated_ns = _claims(content)
        self._require_fresh(body["headerInfo"], generated_ns, received_ns)
        chain = self._signer(*content["signer"])
        self._require_entitled(chain, body["headerInfo"], generated_ns)
        signer, data_hash = chain.certificate, sha256(_signed_octets(body)).digest()
        sender = signer.hash, psid
        if self._window.knows(sender, generated_ns, data_hash):
            raise SignatureRefused("replayed", f"a message of {signer} that was seen before", "a new one")
        if not signature_holds(signer.key, content["signature"], signed_hash(data_hash, signer.hash)):
            raise SignatureRefused("bad-signature", f"a signature that is not {signer}'s over this message", "its own")
        self._window.remember(sender, generated_ns, data_hash, received_ns - self._limits.stale_ns(psid))
        self._learn(body["headerInfo"])
        return Opened(payload, signer.hashed_id8.hex(), psid, generated_ns)

    def _signer(self, kind: str, content: Any) -> Chain:
        match kind:
            case "digest":
                return self._chains.by_digest(content)
            case "certificate":
                return self._chains.by_certificates(content)
            case _:
                raise SignatureRefused("unknown-signer", "a message that vouches for itself", "a certificate or its digest")

    def _require_fresh(self, header: dict[str, Any], generated_ns: int, received_ns: int) -> None:
        age_ns, stale_ns = received_ns - generated_ns, self._limits.stale_ns(header["psid"])
        if age_ns > stale_ns:
            raise SignatureRefused("stale", f"{age_ns / NS_PER_S:.3f} s old", f"at most {stale_ns / NS_PER_S:g} s")
        if -age_ns > self._limits.future_after_ns:
            raise SignatureRefused("future", f"{-age_ns / NS_PER_S:.3f} s ahead of this clock",
                                   f"at most {self._limits.future_after_ns / NS_PER_S:g} s")
        if "expiryTime" in header and received_ns > _unix_ns(header["expiryTime"]):
            raise SignatureRefused("stale", "a message past its own expiryTime", "one before it")

    def _require_entitled(self, chain: Chain, header: dict[str, Any], generated_ns: int) -> None:
        """The chain is valid then, not revoked, and may sign for this application at this place."""
        if generated_ns >= chain.end_ns:
            raise SignatureRefused("expired", f"{chain.certificate} or an authority above, "
                                   f"{(generated_ns - chain.end_ns) / NS_PER_S:.0f} s past its validity", "a valid one")
        if generated_ns < chain.start_ns:
            raise SignatureRefused("not-yet-valid", f"{chain.certificate} or an authority above, "
                                   f"{(chain.start_ns - generated_ns) / NS_PER_S:.0f} s before its validity", "a valid one")
        if not chain.ids.isdisjoint(self._revoked):
            raise SignatureRefused("revoked", f"{chain.certificate}, revoked itself or by an authority above", "one that is not")
        if header["psid"] not in chain.psids:
            raise SignatureRefused("wrong-psid", f"psid {header['psid']}, signed by {chain.certificate}",
                                   f"one it may sign for: {', '.join(map(str, sorted(chain.psids))) or 'none'}")
        if not self._in_region(chain, header.get("generationLocation")):
            raise SignatureRefused("outside-region", f"a message of {chain.certificate} from outside its region, or from nowhere",
                                   "a place inside")

    def _in_region(self, chain: Chain, location: dict[str, int] | None) -> bool:
        """Whether where the message was made, or else the crossing, lies in the regions of the chain, where it has any."""
        if location is not None and location["latitude"] < LATITUDE.high and location["longitude"] < LONGITUDE.high:
            place = GeoPoint(location["latitude"] / UNITS_PER_DEGREE, location["longitude"] / UNITS_PER_DEGREE, 0.0)
            return chain.holds_at(place, self._countries)
        known = self._fits_here.get(chain.certificate.hash)
        if known is None:
            known = not chain.bound or (self._place is not None and chain.holds_at(self._place, self._countries))
            if len(self._fits_here) > self._limits.certificates:
                self._fits_here.clear()
            self._fits_here[chain.certificate.hash] = known
        return known

    def _learn(self, header: dict[str, Any]) -> None:
        """Note the authority's certificate that a peer asked for and this message brings (TS 103 097, 7.1.1)."""
        if "requestedCertificate" not in header:
            return
        try:
            self._chains.learn_authority(header["requestedCertificate"])
        except SignatureRefused:
            return  # one that no known authority issued helps nobody here; the message itself is as good as before


def _parsed(octets: bytes) -> tuple[str, Any]:
    """The content of Ieee1609Dot2Data; SignatureRefused (malformed, unsupported)."""
    with refusing("message"):
        return _read(octets)["content"]


def _claims(content: dict[str, Any]) -> tuple[bytes, int, int]:
    """Payload, application and time of generation of signed data; SignatureRefused for forms that are not read here."""
    payload, header = content["tbsData"]["payload"], content["tbsData"]["headerInfo"]
    if content["hashId"] != "sha256":
        raise SignatureRefused("unsupported", f"hash {content['hashId']}", "sha256")
    if "data" not in payload or "omitted" in payload or "extDataHash" in payload:
        raise SignatureRefused("unsupported", "a signature over data that are elsewhere", "the signed data inside")
    if "pduFunctionalType" in header:
        raise SignatureRefused("unsupported", f"pduFunctionalType {header['pduFunctionalType']}", "a message for an application")
    if "generationTime" not in header:
        raise SignatureRefused("malformed", "no generationTime", "one (TS 103 097, 5.2)")
    if header["generationTime"] >= header.get("expiryTime", 2**64):
        raise SignatureRefused("malformed", "an expiryTime before the generationTime", "one after it")
    return payload["data"]["content"][1], header["psid"], _unix_ns(header["generationTime"])


def _unix_ns(time64: int) -> int:
    """Unix nanoseconds of a Time64: TAI microseconds since 2004."""
    milliseconds, microseconds = divmod(time64, 1000)
    return unix_ns_from_its_ms(milliseconds) + microseconds * 1000


def _signed_octets(body: dict[str, Any]) -> bytes:
    """ToBeSignedData in its canonical form: an uncompressed key in its header is compressed (HeaderInfo)."""
    kind, key = body["headerInfo"].get("encryptionKey", ("", None))
    if kind != "public" or key["publicKey"][1][0] != "uncompressedP256":
        return body[OCTETS]
    curve, point = key["publicKey"]
    header = body["headerInfo"] | {"encryptionKey": ("public", key | {"publicKey": (curve, compressed(point))})}
    return _write_signed_part(body | {"headerInfo": header})

