"""Which messages were seen already: a window over time that takes the same memory however many senders there are.

Two generations of fingerprints: what is older than the span has left both. A flood fills a generation before its time and
turns it early, so the window gets shorter, never larger; how often that happened is counted.
"""
from __future__ import annotations

from hashlib import blake2b

from data_specs.clock import NS_PER_S

SPAN_NS = 40 * NS_PER_S  # longer than any message counts as fresh
MOST = 200_000  # fingerprints in a generation, for 5,000 messages a second: two full ones take 40 MB


class ReplayWindow:
    """Remembers what it was asked about for at least `span_ns`, unless more than `most` came meanwhile."""

    def __init__(self, span_ns: int = SPAN_NS, most: int = MOST) -> None:
        self.span_ns, self._most = span_ns, most
        self._current: set[bytes] = set()
        self._before: set[bytes] = set()
        self._turned_ns: int | None = None
        self.turned_early = 0

    def __len__(self) -> int:
        return len(self._current) + len(self._before)

    def first_time(self, publisher: str, generated_ns: int, segment: int, octets: bytes, now_ns: int) -> bool:
        """Whether a message, known by these four, is new; it no longer is when asked again."""
        self._turn(now_ns)
        known_by = b"%s %d %d " % (publisher.encode(), generated_ns, segment)
        fingerprint = blake2b(known_by + octets, digest_size=16).digest()
        if fingerprint in self._current or fingerprint in self._before:
            return False
        self._current.add(fingerprint)
        return True

    def _turn(self, now_ns: int) -> None:
        """Start a new generation when this one's time is over, or it is full; a clock set back starts its time anew."""
        if self._turned_ns is None or now_ns < self._turned_ns:
            self._turned_ns = now_ns
        full = len(self._current) >= self._most
        if not full and now_ns - self._turned_ns < self.span_ns:
            return
        self.turned_early += full
        self._before, self._current, self._turned_ns = self._current, set(), now_ns
