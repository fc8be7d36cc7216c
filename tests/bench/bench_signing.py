"""Signed messages per second of processor time, on one core: verified and signed, beside what cannot be saved.

`verify` is all of Verifier.open (layout, chain, age, replay, signature); its peer is `cryptography`'s bare ECDSA verify of the
same signatures, so the ratio says how much of the time is the curve's own. `parse` is the reading of the same octets to plain
values, beside pycrate's in its own environment: make setup-bench-peers. A message carries a CPM of 672 octets; one in ten brings
its certificate, as ten a second from each sender do.
"""
from __future__ import annotations

import json
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402

from tests.bench.harness import Row, report  # noqa: E402
from tests.bench.peer_asn1tools import rate  # noqa: E402
from v2x.security.ecdsa import signed_hash  # noqa: E402
from v2x.security.oer import OCTETS  # noqa: E402
from v2x.security.oer_read import reader  # noqa: E402
from v2x.security.oer_write import writer  # noqa: E402
from v2x.security.pki import Identity, make_authorities, make_unit  # noqa: E402
from v2x.security.psids import CPM  # noqa: E402
from v2x.security.sign import Signer  # noqa: E402
from v2x.security.store import TrustStore, trust_store  # noqa: E402
from v2x.security.tables import DATA  # noqa: E402
from v2x.security.verify import Verifier  # noqa: E402

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
NOW_NS = 1_790_000_000_000_000_000
EVERY_NS = 100_000_000
MESSAGES, SECONDS, WINDOWS = 2000, 0.5, 5
PAYLOAD = bytes(672)
PREHASHED = ec.ECDSA(Prehashed(SHA256()))


def make() -> tuple[TrustStore, Identity, list[bytes]]:
    """Whom to trust, a unit, and what it sends in 200 s."""
    root, authority = make_authorities(NOW_NS - 10**12, 24)
    unit = make_unit("rsu", authority, NOW_NS - 10**12, 24)
    signer = Signer(unit.key, unit.certificate)
    return (trust_store([root.certificate], [authority.certificate], []), unit,
            [signer.sign(PAYLOAD, CPM, NOW_NS + i * EVERY_NS) for i in range(MESSAGES)])


def verified_per_s(trust: TrustStore, messages: list[bytes]) -> float:
    """Messages opened a second, each once by a verifier that has seen none: the best of some passes."""
    best = 0.0
    for _ in range(WINDOWS):
        verifier, started = Verifier(trust), time.process_time()
        for i, octets in enumerate(messages):
            verifier.open(octets, NOW_NS + i * EVERY_NS)
        best = max(best, len(messages) / (time.process_time() - started))
    return best


def bare_inputs(unit: Identity, messages: list[bytes]) -> list[tuple[bytes, bytes]]:
    """DER signatures and the hashes they are over, so that nothing but the curve is left."""
    found = []
    for octets in messages:
        content = reader(DATA, "data")(octets)["content"][1]
        numbers = content["signature"][1]
        signature = encode_dss_signature(int.from_bytes(numbers["rSig"][1]), int.from_bytes(numbers["sSig"]))
        found.append((signature, signed_hash(sha256(content["tbsData"][OCTETS]).digest(), unit.certificate.hash)))
    return found


def measure() -> list[Row]:
    trust, unit, messages = make()
    bare = bare_inputs(unit, messages)
    key, signer = unit.certificate.key, Signer(unit.key, unit.certificate)
    verified = verified_per_s(trust, messages)
    bare_verified = rate(lambda item: key.verify(item[0], item[1], PREHASHED), bare, SECONDS)
    signed = rate(lambda at_ns: signer.sign(PAYLOAD, CPM, at_ns), [NOW_NS + i * EVERY_NS for i in range(200)], SECONDS)
    bare_signed = rate(lambda item: unit.key.sign(item[1], PREHASHED), bare, SECONDS)
    read, write = reader(DATA, "data"), writer(DATA, "data")
    parsed, written = rate(read, messages, SECONDS), rate(write, [read(octets) for octets in messages], SECONDS)
    peer = pycrate(messages[:200])
    name = f"pycrate {peer['version']}" if peer else ""
    return [
        Row("verify", verified, "messages/s", "bare ECDSA verify", bare_verified, verified / bare_verified),
        Row("sign", signed, "messages/s", "bare ECDSA sign", bare_signed, signed / bare_signed),
        Row("parse", parsed, "messages/s", name, peer.get("decode_per_s"), parsed / peer["decode_per_s"] if peer else None),
        Row("write", written, "messages/s", name, peer.get("encode_per_s"), written / peer["encode_per_s"] if peer else None),
    ]


def pycrate(messages: list[bytes]) -> dict:
    """What the peer reaches on the same octets; empty where its environment is missing."""
    if not PEER_PYTHON.is_file():
        return {}
    job = json.dumps({"messages": [octets.hex() for octets in messages], "seconds": SECONDS})
    peer = subprocess.run([str(PEER_PYTHON), str(ROOT / "tests" / "bench" / "peer_pycrate.py")], input=job, capture_output=True,
                          text=True, timeout=300, check=True)
    return json.loads(peer.stdout)


if __name__ == "__main__":
    report("Signed messages, one core", measure(), (
        "processor time, best of five windows; a ratio of 1 for verify and sign would be no work but the curve's",))
