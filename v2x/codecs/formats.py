"""What a wire format is to the door: its tables, the opening that tells it, and the way between plain values and a message."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_specs.messages import Message
from v2x.codecs.uper import Forms

MessageOf = Callable[[Any, str, bytes, str, int], Message]  # plain values, form, octets, publisher, received_ns
MessageOfOctets = Callable[[bytes, str | None, str, int], Message]  # octets, form, publisher, received_ns
PduOf = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """One edition of one message, in the forms that its senders use; the first form bears the format's own name.

    `openings` are the first two octets that tell it: protocolVersion and messageId of an ETSI header, the extension bit and
    DSRCmsgID of a J2735 MessageFrame. `message_of` may raise DecodeError for values that no message can hold, `pdu_of`
    SpecError for a message that the standard cannot say; where `pdu_of` is None the format is read only. `message_of_octets`
    says what `message_of` says of the plain values, without making them.
    """

    forms: Forms
    openings: tuple[tuple[int, int], ...]
    message_of: MessageOf
    message_type: type
    pdu_of: PduOf | None = None
    message_of_octets: MessageOfOctets | None = None

    @property
    def name(self) -> str:
        return next(iter(self.forms))

    def decode_pdu(self, data: bytes, wire_format: str) -> tuple[Any, str]:
        """Plain values and the form they had; the format's plain name lets every form be tried."""
        return self.forms.decode(data, None if wire_format == self.name else wire_format)
