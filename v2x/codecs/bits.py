"""Bits of a message as numbers and as text, for what reads step by step."""
from __future__ import annotations

from typing import Any

from data_specs.errors import DecodeError

MAX_OCTETS = 65_535  # no radio packet is longer; bounds the work that hostile octets can cause
MOST_ADDITIONS = 64  # of one sequence, and alternatives of one choice: the short form of their number (X.691, 11.6.1)
LENGTH_LIMIT = 16_384  # lengths from here on come in fragments (X.691, 11.9.3.8), which nothing here needs


def bit_string(number: int, size: int) -> dict[str, Any]:
    """Bits as {"hex", "length"}: left-aligned, filled up with zero bits."""
    octets = (size + 7) // 8
    return {"hex": f"{number << (8 * octets - size):0{2 * octets}x}", "length": size}


class Bits:
    """Octets, and the place where reading stands in them."""

    def __init__(self, data: bytes, path: str) -> None:
        if len(data) > MAX_OCTETS:
            raise DecodeError(path, 8 * MAX_OCTETS, f"{len(data)} octets", f"at most {MAX_OCTETS}")
        self._data = data
        self.at = 0  # bit to read next
        self.limit = 8 * len(data)  # first bit beyond what may be read now: the message's end, or a container's

    def read(self, width: int, path: str) -> int:
        """The next `width` bits as a number; DecodeError at the first missing bit."""
        end = self.at + width
        if end > self.limit:
            raise DecodeError(path, self.limit, f"{self.limit - self.at} bits left", str(width))
        number = int.from_bytes(self._data[self.at >> 3:end + 7 >> 3]) >> (-end & 7)
        self.at = end
        return number & ((1 << width) - 1)

    def length(self, path: str) -> int:
        """A length determinant (X.691, 11.9) in its shortest form; fragments are refused."""
        start = self.at
        if not self.read(1, path):
            return self.read(7, path)
        if self.read(1, path):
            raise DecodeError(path, start, "a fragmented length", f"less than {LENGTH_LIMIT}")
        length = self.read(14, path)
        if length < 128:
            raise DecodeError(path, start, f"length {length} in two octets", "its one-octet form")
        return length

    def finish(self, began: int, path: str) -> None:
        """Require that a whole encoding, begun at bit `began`, ends here: fewer than eight bits left, all zero (X.691, 11.1).

        An encoding without any bits takes one octet of zeros.
        """
        start, left = self.at, self.limit - self.at
        fill = 8 if start == began else -(start - began) % 8
        if left < fill:
            raise DecodeError(path, start, f"{left} bits left", str(fill))
        if left > fill:
            raise DecodeError(path, start, f"{left} bits left over", "its end within the last octet")
        if self.read(left, path):
            raise DecodeError(path, start, "fill bits that are set", "zero")
