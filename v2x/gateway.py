"""The gateway's core: what came over the air or the net becomes one record of the bus, or is refused with a reason.

Pure but for two memories of fixed size, the replay window and the verifier's: octets, the sender's address and the time of
arrival in, `Accepted` or `Refused` out. Sockets, buses and processes are in v2x/gateway_udp.py and v2x/gateway_run.py.
Why messages are decoded in full before they are let in, and what the policies mean: data_specs/decisions/gateway.md.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from data_specs.clock import NS_PER_S
from data_specs.errors import DecodeError, InputError, RoadweaveError, SpecError
from data_specs.messages import GeoPoint, HazardMessage, LaneMap, Message
from data_specs.site import Rsu, Site
from replay.bus import BusRecord
from replay.drive import ROADSIDE_MESSAGES
from v2x.codecs import decode
from v2x.codecs.geonet import ForeignPacket
from v2x.gateway_directory import Directory, host_of
from v2x.gateway_envelope import Envelope, Inside, envelope_of, inside
from v2x.gateway_replay import ReplayWindow
from v2x.records import message_headers

STALE_NS = 30 * NS_PER_S
AHEAD_NS = 5 * NS_PER_S
# Reasons, in the words of v2x/security/errors.py, and two that only a gateway has.
MALFORMED, UNSUPPORTED, UNSIGNED, WRONG_PSID = "malformed", "unsupported", "unsigned", "wrong-psid"
STALE, FUTURE, REPLAYED = "stale", "future", "replayed"
NO_MESSAGE, NO_CROSSING = "no-message", "no-crossing"
# What an ETSI message must be signed for, by its messageId: ITS-AID of TS 102 965 V1.5.1, annex A (read in riebl/vanetza at
# 94d68a4, vanetza/common/its_aid.hpp).
_PSID_OF_ETSI = {1: 37, 2: 36, 4: 137, 5: 138, 14: 639, 16: 638}


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
        """The payload and its signer; a RoadweaveError with a `reason` for what does not hold."""
        ...


class Gateway:
    """Lets in what belongs to a site's crossings, under their policies of signatures."""

    def __init__(self, site: Site, verifier: Verifier | None = None, window: ReplayWindow | None = None) -> None:
        """SpecError where a crossing asks for signatures and there is no verifier to check them."""
        self._directory = Directory(site)
        if verifier is None and self._directory.strictest != "off":
            asking = [crossing.id for crossing in site.crossings if crossing.policy != "off"]
            raise SpecError(f"crossing {', '.join(asking)}: policy is not off, expected a trust store to check signatures with")
        self._verifier = verifier
        self.window = window or ReplayWindow()

    def admit(self, octets: bytes, source: str, received_ns: int) -> Accepted | Refused:
        """One datagram, or one packet from its GeoNetworking header on, of the sender at `source` ("host:port")."""
        try:
            return self._admit(envelope_of(octets), source, received_ns)
        except ForeignPacket as error:
            return Refused(NO_MESSAGE, error.reason)

    def _admit(self, envelope: Envelope, source: str, received_ns: int) -> Accepted | Refused:
        opened, refusal = self._checked(envelope, received_ns)
        if refusal is not None and self._directory.laxest != "off":
            return refusal
        found = inside(envelope, None if opened is None else opened.payload)
        unit = self._unit(opened, found, source)
        message = _message(found, _publisher(opened, found, unit, source), received_ns)
        if isinstance(message, Refused):
            return message
        crossing, policy = self._directory.crossing_of(unit, _place(message))
        if crossing is None:
            return Refused(NO_CROSSING, f"neither the site file nor its place puts {message.header.publisher} at a crossing")
        if policy != "off":
            refusal = refusal or _unsigned(opened, unit, policy) or _wrong_psid(opened, found.payload)
            if refusal is not None:
                return refusal
        header = message.header
        late = _untimely(message, received_ns)
        if late is not None:
            return late
        if not self.window.first_time(header.publisher, header.generated_ns, header.segment, header.raw, received_ns):
            return Refused(REPLAYED, f"{header.publisher} sent this message of {header.generated_ns} before")
        said = message_headers(header, crossing.origin)
        return Accepted(BusRecord(ROADSIDE_MESSAGES, crossing.id, header.raw, header.generated_ns, said), opened is not None)

    def _checked(self, envelope: Envelope, received_ns: int) -> tuple[Opened | None, Refused | None]:
        """The opened envelope of a signed message, or why it is not to be trusted; neither where nobody asks."""
        if self._verifier is None or self._directory.strictest == "off" or not envelope.signed:
            return None, _early_unsigned(envelope, self._directory.laxest)
        try:
            return self._verifier.open(envelope.content, received_ns), None
        except RoadweaveError as error:
            return None, Refused(str(getattr(error, "reason", MALFORMED)), str(error))

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


def _message(found: Inside, publisher: str, received_ns: int) -> Message | Refused:
    try:
        return decode(found.payload, publisher=publisher, received_ns=received_ns)
    except DecodeError as error:
        return Refused(MALFORMED if error.offset_bits else UNSUPPORTED, str(error))
    except InputError as error:
        return Refused(UNSUPPORTED, str(error))
    except SpecError as error:
        return Refused(MALFORMED, str(error))


def _place(message: Message) -> GeoPoint | None:
    return getattr(message, "position", None)


def _early_unsigned(envelope: Envelope, laxest: str) -> Refused | None:
    """Where every crossing requires signatures, nobody needs to read an unsigned message to refuse it."""
    return Refused(UNSIGNED, "no signature, expected one: all crossings require it") if laxest == "required" else None


def _unsigned(opened: Opened | None, unit: Rsu | None, policy: str) -> Refused | None:
    if opened is not None or (policy == "preferred" and not (unit and unit.certificate)):
        return None
    why = "its crossing requires one" if policy == "required" else f"{unit.name if unit else ''} has a certificate"
    return Refused(UNSIGNED, f"no signature, expected one: {why}")


def _wrong_psid(opened: Opened | None, payload: bytes) -> Refused | None:
    """A certificate that may sign one kind of message vouches for no other; kinds without a number here pass."""
    expected = _PSID_OF_ETSI.get(payload[1]) if payload[0] else None
    if opened is None or expected in (None, opened.psid):
        return None
    return Refused(WRONG_PSID, f"messageId {payload[1]} signed for application {opened.psid}, expected {expected}")


def _untimely(message: Message, received_ns: int) -> Refused | None:
    """Refuse what is too old to be told from a replay, or ahead of time; what holds for long may be old."""
    age_ns = received_ns - message.header.generated_ns
    if age_ns < -AHEAD_NS:
        return Refused(FUTURE, f"generated {-age_ns / NS_PER_S:.1f} s after it came, expected at most {AHEAD_NS // NS_PER_S}")
    if isinstance(message, LaneMap):
        return None
    if isinstance(message, HazardMessage):
        return None if message.valid_until_ns >= received_ns else Refused(STALE, "a warning that is no longer valid")
    if age_ns > STALE_NS:
        return Refused(STALE, f"generated {age_ns / NS_PER_S:.1f} s before it came, expected at most {STALE_NS // NS_PER_S}")
    return None
