"""What becomes of a datagram that the gateway has judged: onto the bus, into the dead letters, counted in any case.

Dead letters are for looking at, so a flood gets only a few of each reason through a second; the counts have them all. A bus
that takes nothing for a while does not end the gateway: what it refused is counted as undelivered, and the next is tried.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from data_specs.clock import NS_PER_S
from data_specs.errors import BusError
from replay.bus import Bus, BusRecord
from v2x.gateway import Accepted, Refused
from v2x.gateway_udp import Datagram
from v2x.records import dead_letter

DEAD_LETTERS_PER_S = 20.0  # of each reason; as many may come at once


@dataclass
class Tally:
    """What a gateway has done since its start; tallies of several processes add up."""

    received: int = 0
    accepted: int = 0
    signed: int = 0  # of the accepted: signatures that were checked and hold
    refused: Counter[str] = field(default_factory=Counter)  # by reason
    dead_letters: int = 0  # of the refused: published for looking at
    undelivered: int = 0  # of the accepted: the bus did not take them
    kernel_drops: int = 0  # datagrams lost before anybody read them; -1 where the system does not tell

    def __add__(self, other: Tally) -> Tally:
        drops = -1 if -1 in (self.kernel_drops, other.kernel_drops) else self.kernel_drops + other.kernel_drops
        return Tally(self.received + other.received, self.accepted + other.accepted, self.signed + other.signed,
                     self.refused + other.refused, self.dead_letters + other.dead_letters,
                     self.undelivered + other.undelivered, drops)

    def to_json(self) -> dict[str, object]:
        return {"received": self.received, "accepted": self.accepted, "signed": self.signed, "refused": dict(self.refused),
                "dead_letters": self.dead_letters, "undelivered": self.undelivered, "kernel_drops": self.kernel_drops}


class Outlet:
    """A bus, what has gone through to it, and what has not."""

    def __init__(self, bus: Bus, trouble: Callable[[str], None], dead_letters_per_s: float = DEAD_LETTERS_PER_S) -> None:
        """`trouble` is told, at most once a second, why the bus took nothing."""
        self.tally = Tally()
        self._bus, self._trouble = bus, trouble
        self._allowance = _Allowance(dead_letters_per_s)
        self._told_ns = -NS_PER_S

    def take(self, datagram: Datagram, verdict: Accepted | Refused) -> None:
        """Pass a judged datagram on and count it."""
        tally = self.tally
        tally.received += 1
        if isinstance(verdict, Accepted):
            tally.accepted += 1
            tally.signed += verdict.signed
            tally.undelivered += not self._published(verdict.record, datagram.received_ns)
            return
        tally.refused[verdict.reason] += 1
        if self._allowance.grants(verdict.reason, datagram.received_ns):
            letter = dead_letter(datagram.octets, verdict.reason, datagram.source, datagram.received_ns)
            tally.dead_letters += self._published(letter, datagram.received_ns)

    def _published(self, record: BusRecord, now_ns: int) -> bool:
        try:
            self._bus.publish(record.topic, record.value, key=record.key, time_ns=record.time_ns, headers=record.headers)
        except BusError as error:
            if not 0 <= now_ns - self._told_ns < NS_PER_S:
                self._told_ns = now_ns
                self._trouble(str(error))
            return False
        return True


class _Allowance:
    """A bucket of tokens for each reason: as many as flow in within a second fit in. Reasons are few words, so buckets too."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._buckets: dict[str, tuple[float, int]] = {}

    def grants(self, reason: str, now_ns: int) -> bool:
        left, since_ns = self._buckets.get(reason, (self._per_s, now_ns))
        left = min(self._per_s, left + max(now_ns - since_ns, 0) / NS_PER_S * self._per_s)
        granted = left >= 1.0
        self._buckets[reason] = (left - granted, now_ns)
        return granted
