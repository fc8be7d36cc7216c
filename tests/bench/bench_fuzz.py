"""Mutated messages of every format that the door knows: each decodes or is refused with an offset, never anything else.

Seeded: message n of a run is the same in every run. What decodes must encode back to the same octets. --count N (default a
million) messages; --json. Prints messages per second of processor time, and the slowest message and the most memory seen.
"""
from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from data_specs.errors import DecodeError  # noqa: E402
from replay.console import print_table  # noqa: E402
from tests.v2x.any_value import any_value  # noqa: E402
from v2x.codecs import cpm_tr103562  # noqa: E402
from v2x.codecs.door import decode, decode_pdu, encode_pdu  # noqa: E402

VECTORS = ROOT / "tests" / "v2x" / "vectors"
RECEIVED_NS = 1_790_000_000_000_000_000
SEED = 20_261_123


@dataclass(slots=True)
class Outcome:
    """How many messages decoded and how many were refused, and the slowest of them, seconds of processor time."""

    decoded: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    by_format: dict[str, int] = field(default_factory=dict)  # decoded messages


def originals() -> list[bytes]:
    """Octets of the golden vectors of every format; of TR 103 562, which has none, of random values."""
    rng, report = random.Random(SEED), cpm_tr103562.FORMS[cpm_tr103562.WIRE_FORMAT]
    texts = [path.read_text(encoding="utf-8") for path in sorted(VECTORS.glob("*.jsonl"))]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    return [*(bytes.fromhex(line["uper_hex"]) for line in lines if "uper_hex" in line),
            *(report.encode(any_value(report.kind, rng)) for _ in range(20))]


def mutated(octets: bytes, rng: random.Random) -> bytes:
    """Bit flips, cuts, insertions, runs of ones: none to three of them."""
    data = bytearray(octets)
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 | 1 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 2:
                del data[place:place + rng.randint(1, 8)]
            case 3:
                data[place:place] = rng.randbytes(rng.randint(1, 4))
            case _:
                data[place:place + 4] = b"\xff" * 4
    return bytes(data)


def try_message(octets: bytes, outcome: Outcome) -> None:
    """Decode one message both ways and count it; whatever is neither a value nor a typed error with an offset comes through."""
    try:
        pdu, wire_format = decode_pdu(octets)
    except DecodeError as error:
        assert 0 <= error.offset_bits <= 8 * len(octets), f"{octets.hex()}: offset {error.offset_bits}"
        outcome.refused += 1
        return
    assert encode_pdu(pdu, wire_format) == octets, f"{octets.hex()}: encodes to other octets"
    outcome.decoded += 1
    outcome.by_format[wire_format] = outcome.by_format.get(wire_format, 0) + 1
    try:
        decode(octets, received_ns=RECEIVED_NS)
    except DecodeError as error:  # a value that the standard allows and that no message of ours can hold
        assert error.offset_bits >= 0, f"{octets.hex()}: offset {error.offset_bits}"


def fuzz(count: int) -> Outcome:
    """Run `count` messages."""
    rng, starts, outcome = random.Random(SEED), originals(), Outcome()
    for number in range(count):
        octets = mutated(starts[number % len(starts)], rng)
        started = time.process_time()
        try_message(octets, outcome)
        if number > 1000:  # the kernels are loaded by then
            outcome.slowest_s = max(outcome.slowest_s, time.process_time() - started)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.process_time()
    outcome = fuzz(given.count)
    figures = {"messages": given.count, "decoded": outcome.decoded, "refused": outcome.refused,
               "messages_per_cpu_s": round(given.count / (time.process_time() - started)),
               "slowest_ms": round(1e3 * outcome.slowest_s, 2),
               "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
               "decoded_by_format": outcome.by_format}
    if given.json:
        print(json.dumps(figures))
    else:
        print_table("Fuzz", ["figure", "value"], [(name, str(value)) for name, value in figures.items()])


if __name__ == "__main__":
    main()
