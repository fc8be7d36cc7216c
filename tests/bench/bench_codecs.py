"""Messages per second of processor time through the CPM codec, beside asn1tools on the same octets in the same run.

The peer reads ASN.1 text printed from the tables that drive our own codec, and must encode every message back to the same
octets. It runs in its own environment: make setup-bench-peers. `cpm16` is a message of 16 objects with everything a
simulated unit measures; `_message` goes on to a RoadsideMessage with its arrays, which the peer's `decode` does not.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from data_specs.boxes import Boxes3D  # noqa: E402
from data_specs.messages import GeoPoint  # noqa: E402
from data_specs.objects import ObjectClass, ObjectList  # noqa: E402
from data_specs.pose import SE3  # noqa: E402
from data_specs.site import Rsu  # noqa: E402
from tests.bench.harness import Row, report  # noqa: E402
from tests.bench.peer_asn1tools import rate  # noqa: E402
from v2x.codecs import cpm_tr103562, cpm_v211, decode  # noqa: E402
from v2x.codecs.asn1_text import asn1_module  # noqa: E402
from v2x.codecs.geonet import unwrap  # noqa: E402
from v2x.codecs.schema import Kind  # noqa: E402
from v2x.pcap import read_pcap  # noqa: E402
from v2x.rsu import RoadsideUnit  # noqa: E402

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
CAPTURE = Path(os.environ.get("SAMPLE_DATA_DIR", ROOT.parent / "shared" / "data")) / "v2x" / "etsi_cpm_kashiwa" / "RSU_0.pcap"
SECONDS = 0.5  # of each of five windows
NOW_NS = 1_790_000_000_000_000_000


def sixteen_objects(seed: int = 16) -> bytes:
    """A CPM of 16 objects with covariances, velocities and sizes, as a simulated unit sends it."""
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(16, 6, 6)) * np.array([0.2, 0.2, 0.1, 0.02, 0.15, 0.15])
    boxes = Boxes3D("rsu", rng.uniform(-50, 50, (16, 3)) * [1, 1, 0.02], rng.uniform(0.5, 12, (16, 3)), rng.uniform(-3, 3, 16))
    objects = ObjectList.build(
        boxes, "rsu", NOW_NS, np.full(16, ObjectClass.CAR, np.uint8), score=rng.uniform(0.3, 1, 16),
        velocity_mps=rng.uniform(-15, 15, (16, 2)), covariance=spread.transpose(0, 2, 1) @ spread / 6,
        size_sigma_m=rng.uniform(0.1, 0.5, (16, 3)), track_id=np.arange(16))
    unit = RoadsideUnit(Rsu("rsu", "c", 1, "", "", SE3.identity("map", "rsu")), GeoPoint(48.0, 11.0, 500.0))
    (octets,) = unit.octets(objects, NOW_NS)
    return octets


def recorded() -> list[bytes]:
    """The CPMs of the recorded capture; none where it is not here."""
    if not CAPTURE.is_file():
        return []
    return [unwrap(packet.data).payload for packet in read_pcap(CAPTURE) if packet.data[12:14] == b"\x89\x47"]


def peer(table: Kind, messages: list[bytes], containers: str) -> dict[str, Any]:
    """The peer's figures on these messages; empty where it is not installed."""
    if not PEER_PYTHON.is_file():
        return {}
    job = {"text": asn1_module("Bench", table), "messages": [octets.hex() for octets in messages], "containers": containers,
           "seconds": SECONDS}
    done = subprocess.run([str(PEER_PYTHON), str(Path(__file__).with_name("peer_asn1tools.py"))], input=json.dumps(job),
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench_codecs: the peer failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def row(name: str, per_s: float, theirs: dict[str, Any], key: str) -> Row:
    other = theirs.get(key)
    return Row(name, per_s, "messages/CPU s", f"asn1tools {theirs['version']}" if theirs else "not installed", other,
               None if other is None else per_s / other)


def main() -> None:
    octets = sixteen_objects()
    value, form = cpm_v211.decode_pdu(octets)
    theirs = peer(cpm_v211.FORMS[form].kind, [octets], "payload.cpmContainers")
    rows = [
        row("cpm16_decode", rate(lambda o: cpm_v211.decode_pdu(o, form), [octets], SECONDS), theirs, "decode_per_s"),
        row("cpm16_encode", rate(lambda v: cpm_v211.encode_pdu(v, form), [value], SECONDS), theirs, "encode_per_s"),
        row("cpm16_message", rate(decode, [octets], SECONDS), theirs, "decode_per_s"),
    ]
    notes = [f"cpm16 is {len(octets)} octets"]
    if capture := recorded()[::50]:
        theirs = peer(cpm_tr103562.FORMS[cpm_tr103562.WIRE_FORMAT].kind, capture, "")
        rows += [
            row("kashiwa_decode", rate(cpm_tr103562.decode_pdu, capture, SECONDS), theirs, "decode_per_s"),
            row("kashiwa_message", rate(decode, capture, SECONDS), theirs, "decode_per_s"),
        ]
    if not PEER_PYTHON.is_file():
        notes.append("no peer: make setup-bench-peers")
    report("CPM codec", rows, tuple(notes))


if __name__ == "__main__":
    main()
