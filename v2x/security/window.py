"""Which signed messages were seen before: a window per sender, bounded, that a clock running backwards does not open again.

What makes a message known is its sender (signer and application), its time of generation and the hash of what was signed,
which holds the segment. The signature is left out on purpose: (r, n - s) and other spellings of r are signatures of the same
message.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush


@dataclass(slots=True)
class _Seen:
    """The messages of one sender."""

    hashes: set[bytes] = field(default_factory=set)
    by_time: list[tuple[int, bytes]] = field(default_factory=list)  # a heap, the oldest first
    floor_ns: int = -(2**63)  # all generated until then counts as seen


class ReplayWindow:
    """Remembers what is still fresh; what it had to forget stays refused, by time of generation."""

    def __init__(self, most_messages: int = 4096, most_senders: int = 1024) -> None:
        self._most_messages = most_messages
        self._most_senders = most_senders
        self._senders: OrderedDict[Hashable, _Seen] = OrderedDict()
        self._forgotten_ns = -(2**63)  # newest message of any sender that was forgotten

    def __len__(self) -> int:
        """Messages remembered."""
        return sum(len(seen.hashes) for seen in self._senders.values())

    def knows(self, sender: Hashable, generated_ns: int, signed_hash: bytes) -> bool:
        """Whether the message was seen, or is so old that it may have been."""
        seen = self._senders.get(sender)
        if seen is None:
            return generated_ns <= self._forgotten_ns
        return generated_ns <= seen.floor_ns or signed_hash in seen.hashes

    def remember(self, sender: Hashable, generated_ns: int, signed_hash: bytes, stale_before_ns: int) -> None:
        """Note a message that was let in; what was generated before `stale_before_ns` is forgotten, and refused from now on."""
        seen = self._senders.get(sender)
        if seen is None:
            seen = self._senders[sender] = _Seen(floor_ns=self._forgotten_ns)
        self._senders.move_to_end(sender)
        seen.hashes.add(signed_hash)
        heappush(seen.by_time, (generated_ns, signed_hash))
        while seen.by_time and (seen.by_time[0][0] < stale_before_ns or len(seen.by_time) > self._most_messages):
            oldest_ns, oldest = heappop(seen.by_time)
            seen.hashes.discard(oldest)
            seen.floor_ns = max(seen.floor_ns, oldest_ns)
        if len(self._senders) > self._most_senders:
            _, forgotten = self._senders.popitem(last=False)
            newest_ns = max((generated for generated, _ in forgotten.by_time), default=forgotten.floor_ns)
            self._forgotten_ns = max(self._forgotten_ns, newest_ns, forgotten.floor_ns)
