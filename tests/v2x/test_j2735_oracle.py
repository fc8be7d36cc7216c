"""SPATEM and MAPEM against pycrate's own modules of the standards, which run in .venv-peers and know nothing of us."""
import json
import subprocess
from pathlib import Path

import pytest

from v2x.codecs import mapem, spatem

ROOT = Path(__file__).resolve().parents[2]
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PEER = """
import sys
from pycrate_asn1dir import ITS_IS
for line in sys.stdin:
    name, octets = line.split()
    message = getattr(getattr(ITS_IS, name + "_PDU_Descriptions"), name)
    message.from_uper(bytes.fromhex(octets))
    print(message.to_uper().hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", [spatem, mapem])
def test_what_we_write_pycrate_reads_whole_and_writes_the_same(module):
    if not PEER_PYTHON.is_file():
        pytest.skip(f"no pycrate at {PEER_PYTHON}")
    name = module.__name__.rpartition(".")[2]
    lines = (Path(__file__).parent / "vectors" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    written = [module.encode_pdu(json.loads(line)["value"]).hex() for line in lines]
    asked = "".join(f"{name.upper()} {octets}\n" for octets in written)
    answer = subprocess.run([PEER_PYTHON, "-c", PEER], input=asked, capture_output=True, text=True, check=True, timeout=300)
    assert answer.stdout.split() == written
