"""The gateway's core: what came over the air or the net becomes one record of the bus, or is refused with a reason.

Pure but for two memories of fixed size, the replay window and the verifier's: octets, the sender's address and the time of
arrival in, `Accepted` or `Refused` out. Sockets, buses and processes are in v2x/gateway_udp.py and v2x/gateway_run.py.
What is checked before a message is let in, what that costs, and what the policies mean: data_specs/decisions/gateway.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError, SpecError
from data_specs.site import Rsu, Site
from replay.bus import BusRecord
from replay.drive import ROADSIDE_MESSAGES
from v2x.codecs.door import edition_of
from v2x.codecs.geonet import ForeignPacket
from v2x.gateway_directory import Directory, host_of
from v2x.gateway_envelope import Envelope, Inside, envelope_of, inside
from v2x.gateway_heard import Heard, heard
from v2x.gateway_replay import ReplayWindow
from v2x.records import message_headers
from v2x.security.errors import SignatureRefused
from v2x.security.psids import psids_of

STALE_NS = 30 * NS_PER_S
AHEAD_NS = 5 * NS_PER_S
# Reasons, in the words of v2x/security/errors.py, and two that only a gateway has.
MALFORMED, UNSUPPORTED, UNSIGNED, WRONG_PSID = "malformed", "unsupported", "unsigned", "wrong-psid"
STALE, FUTURE, REPLAYED = "stale", "future", "replayed"
NO_MESSAGE, NO_CROSSING = "no-message", "no-crossing"
_NO_VERDICT = (UNSUPPORTED, "unknown-signer")  # where signatures are preferred, such a message counts as unsigned


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that may go on the bus."""

    record: BusRecord
    signed: bool  # by a signature that was checked


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a datagram goes no further: `reason` is one of a few words, `detail` says what was got and expected."""

    reason: str
    detail: str


class Opened(Protocol):
    """What a checked envelope held, and who signed it."""

    @property
    def payload(self) -> bytes: ...
    @property
    def publisher(self) -> str: ...
    @property
    def psid(self) -> int: ...


class Verifier(Protocol):
    """Opens Ieee1609Dot2Data: v2x/security/verify.py."""

    def open(self, octets: bytes, received_ns: int) -> Opened:
        """The payload and its signer; SignatureRefused for what does not hold."""
        ...


class Gateway:
    """Lets in what belongs to a site's crossings, under their policies of signatures."""

    def __init__(self, site: Site, verifiers: Mapping[str, Verifier] | None = None, window: ReplayWindow | None = None) -> None:
        """`verifiers` by crossing; what follows from a refusal is decided here, by its policy.

        SpecError where a crossing asks for signatures and there is no verifier to check them.
        """
        self._directory = Directory(site)
        self._verifiers = verifiers or {}
        asking = [crossing.id for crossing in site.crossings if crossing.policy != "off" and crossing.id not in self._verifiers]
        if asking:
            raise SpecError(f"crossing {', '.join(asking)}: policy is not off, expected a trust store to check signatures with")
        self._first = next(iter(self._verifiers.values()), None)
        self.window = ReplayWindow() if window is None else window

    def admit(self, octets: bytes, source: str, received_ns: int) -> Accepted | Refused:
        """One datagram, or one packet from its GeoNetworking header on, of the sender at `source` ("host:port")."""
        try:
            return self._admit(envelope_of(octets), source, received_ns)
        except ForeignPacket as error:
            return Refused(NO_MESSAGE, error.reason)

    def _admit(self, envelope: Envelope, source: str, received_ns: int) -> Accepted | Refused:
        opened, refusal = self._checked(envelope, source, received_ns)
        if refusal is not None and self._directory.laxest == "required":
            return refusal
        found = inside(envelope, None if opened is None else opened.payload)
        unit = self._unit(opened, found, source)
        message = _message(found, _publisher(opened, found, unit, source), received_ns)
        if isinstance(message, Refused):
            return message
        crossing, policy = self._directory.crossing_of(unit, message.place)
        if crossing is None:
            return Refused(NO_CROSSING, f"neither the site file nor its place puts {message.header.publisher} at a crossing")
        header = message.header
        objection = _objection(policy, refusal, opened, unit, header.wire_format) or _untimely(message, received_ns)
        if objection is not None:
            return objection
        if not self.window.first_time(header.publisher, header.generated_ns, header.segment, header.raw, received_ns):
            return Refused(REPLAYED, f"{header.publisher} sent this message of {header.generated_ns} before")
        said = message_headers(header, crossing.origin)
        return Accepted(BusRecord(ROADSIDE_MESSAGES, crossing.id, header.raw, header.generated_ns, said), opened is not None)

    def _checked(self, envelope: Envelope, source: str, received_ns: int) -> tuple[Opened | None, Refused | None]:
        """The opened envelope of a signed message, or why it is not to be trusted; neither where nobody asks."""
        if self._directory.strictest == "off":
            return None, None
        if not envelope.signed:
            return None, Refused(UNSIGNED, "no signature, expected one")
        try:
            return self._verifier(envelope, source).open(envelope.content, received_ns), None
        except SignatureRefused as error:
            return None, Refused(error.reason, str(error))

    def _verifier(self, envelope: Envelope, source: str) -> Verifier:
        """That of the crossing whose unit the sender says to be: certificates may hold for a region alone."""
        unit = self._unit(None, inside(envelope), source) if len(self._verifiers) > 1 else None
        verifier = self._first if unit is None else self._verifiers.get(unit.crossing, self._first)
        if verifier is None:
            raise SpecError("verifiers: none, expected one for each crossing that asks for signatures")
        return verifier

    def _unit(self, opened: Opened | None, found: Inside, source: str) -> Rsu | None:
        """The site's unit that sent a message: by certificate, else by GeoNetworking address, else by IP address."""
        named = None if opened is None else self._directory.unit(opened.publisher)
        if named is not None:
            return named
        unit = self._directory.unit(*([found.source] if found.source else [source, host_of(source)]))
        return None if opened is not None and unit is not None and unit.certificate else unit  # another's certificate


def _publisher(opened: Opened | None, found: Inside, unit: Rsu | None, source: str) -> str:
    """Who a message is from: the signing certificate, else the site's word for the sender, else its address."""
    if opened is not None:
        return opened.publisher
    if unit is not None:
        return unit.source or unit.name
    return found.source or host_of(source)


def _message(found: Inside, publisher: str, received_ns: int) -> Heard | Refused:
    try:
        wire_format = edition_of(found.payload)
    except InputError as error:
        return Refused(UNSUPPORTED, str(error))
    try:
        return heard(found.payload, wire_format, publisher, received_ns)
    except (InputError, SpecError) as error:
        return Refused(MALFORMED, str(error))


def _objection(policy: str, refusal: Refused | None, opened: Opened | None, unit: Rsu | None, wire_format: str) -> Refused | None:
    """What a crossing's policy has against a message.

    "preferred" lets unsigned messages in, and those whose signer is not known here; but not from a unit that the site file
    gives a certificate, or leaving the signature out would be all it takes to speak in its name.
    """
    if policy == "off":
        return None
    if opened is not None:
        psids = psids_of(wire_format)
        fits = not psids or opened.psid in psids
        return None if fits else Refused(WRONG_PSID, f"{wire_format} signed for application {opened.psid}, expected {psids}")
    if refusal is None or policy == "required" or refusal.reason not in (UNSIGNED, *_NO_VERDICT):
        return refusal
    return refusal if unit is not None and unit.certificate else None


def _untimely(message: Heard, received_ns: int) -> Refused | None:
    """Refuse what is too old to be told from a replay, or ahead of time; what holds for a time of its own may be old."""
    age_ns = received_ns - message.header.generated_ns
    if age_ns < -AHEAD_NS:
        return Refused(FUTURE, f"generated {-age_ns / NS_PER_S:.1f} s after it came, expected at most {AHEAD_NS // NS_PER_S}")
    if message.valid_until_ns is not None:
        return None if message.valid_until_ns >= received_ns else Refused(STALE, "it says that it is no longer valid")
    if age_ns > STALE_NS:
        return Refused(STALE, f"generated {age_ns / NS_PER_S:.1f} s before it came, expected at most {STALE_NS // NS_PER_S}")
    return None
