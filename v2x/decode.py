"""Messages to JSON lines: a message as hex on each line, or those in a capture; each gets its line, in order, good or bad.

A good one says {"wire_format", "pdu"}: its plain values, in which nothing is lost; a bad one {"error", "offset_bits"}. Input is
taken as it comes and never held as a whole, so that this works on an endless stream too.
"""
from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from data_specs.errors import DecodeError, InputError, MissingInput
from v2x.codecs.bits import MAX_OCTETS
from v2x.codecs.door import decode_pdu
from v2x.gateway_capture import carried
from v2x.gateway_envelope import ForeignPacket, envelope_of, inside
from v2x.pcap import MAGICS, read_packets

_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_LINE = 2 * MAX_OCTETS + 64  # characters of the largest message, and room for spaces
_HEX = frozenset(b"0123456789abcdefABCDEF")


def decode_source(source: str, out: TextIO) -> int:
    """Write the line of each message in a file ("-": standard input); how many of them were bad.

    MissingInput where there is no such file; UnknownFormat for a capture of another kind. A capture that breaks off ends with
    a line that says so.
    """
    with ExitStack() as stack:
        if source == "-":
            file: BinaryIO = sys.stdin.buffer
        elif Path(source).is_file():
            file = stack.enter_context(Path(source).open("rb"))
        else:
            raise MissingInput(source, "a file of messages as hex, a capture, or -")
        return _write_all(_answers(file, source), out)


def decode_line(line: bytes) -> dict[str, Any]:
    """The answer to a message as hex; spaces between its octets may stay. An empty line is an empty message."""
    text = b"".join(line.split())
    if len(text) > 2 * MAX_OCTETS or len(line) >= _LONGEST_LINE:
        return _refusal(f"more than {MAX_OCTETS} octets", 8 * MAX_OCTETS)
    junk = next((place for place, character in enumerate(text) if character not in _HEX), None)
    if junk is not None:
        return _refusal(f"{chr(text[junk])!r} at digit {junk + 1}, expected a hex digit", 4 * junk)
    if len(text) % 2:
        return _refusal(f"{len(text)} hex digits, expected two for each octet", 4 * (len(text) - 1))
    return decode_octets(bytes.fromhex(text.decode("ascii")))


def decode_octets(octets: bytes) -> dict[str, Any]:
    """The answer to a message."""
    try:
        pdu, wire_format = decode_pdu(octets)
    except DecodeError as error:
        return _refusal(str(error), error.offset_bits)
    return {"wire_format": wire_format, "pdu": pdu}


def decode_frame(frame: bytes) -> dict[str, Any]:
    """The answer to an Ethernet frame: to the message inside, whose signature, where it has one, is not checked."""
    try:
        octets, _ = carried(frame)
        return decode_octets(inside(envelope_of(octets)).payload)
    except ForeignPacket as error:
        return _refusal(f"no V2X message: {error.reason}", 0)


def _refusal(text: str, offset_bits: int) -> dict[str, Any]:
    return {"error": text, "offset_bits": offset_bits}


def _answers(file: BinaryIO, source: str) -> Iterator[dict[str, Any]]:
    start = file.peek(4)[:4]  # type: ignore[attr-defined]  # both a file and standard input are buffered readers
    if start[:2] == _GZIP_MAGIC:
        file = cast(BinaryIO, gzip.GzipFile(fileobj=file))
        start = file.peek(4)[:4]  # type: ignore[attr-defined]
    return _of_capture(file, source) if start in MAGICS else map(decode_line, _lines(file))


def _of_capture(file: BinaryIO, source: str) -> Iterator[dict[str, Any]]:
    packets = read_packets(file, source)
    packet = next(packets, None)  # here another kind of capture is refused as a whole
    while packet is not None:
        yield decode_frame(packet.data)
        try:
            packet = next(packets, None)
        except InputError as error:
            yield _refusal(str(error), 0)
            return


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that is too long for any message only its start."""
    while line := file.readline(_LONGEST_LINE):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(_LONGEST_LINE)):
            pass
        yield line


def _write_all(answers: Iterable[dict[str, Any]], out: TextIO) -> int:
    """Write the answers as they come; how many of them are refusals."""
    failed = 0
    for answer in answers:
        failed += "error" in answer
        out.write(json.dumps(answer, separators=(",", ":")) + "\n")
        out.flush()
    return failed
