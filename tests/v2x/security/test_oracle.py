"""Our tables against pycrate's module of IEEE 1609.2 (the edition of 2020), where its environment is: make setup-bench-peers."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.v2x.security.any_value import values
from v2x.security.oer import OCTETS
from v2x.security.oer_read import reader
from v2x.security.oer_write import writer
from v2x.security.tables import CERTIFICATE, DATA

PEER_PYTHON = Path(__file__).resolve().parents[3] / ".venv-peers" / "bin" / "python"
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
KINDS = {"Ieee1609Dot2Data": DATA, "Certificate": CERTIFICATE}
# Of the edition of 2022, or named otherwise there: the oracle does not know them. An extension's octets say nothing to it.
UNKNOWN_TO_ORACLE = {"omitted", "sm3", "sm3HashedData", "sm3AndDigest", "ecencSm2", "sm4Ccm", "contributedExtensions"}
SPELT_OUT_DEFAULTS = {("minChainLength", 1), ("chainLengthRange", 0), ("eeType", b"\x80")}  # which it leaves out again


def names_in(value: Any) -> set[Any]:
    match value:
        case dict():
            spelt_out = {default for default in SPELT_OUT_DEFAULTS if value.get(default[0]) == default[1]}
            return set(value) | spelt_out | set().union(*(names_in(part) for part in value.values()))
        case (str() as choice, content):
            return {choice} | names_in(content)
        case list():
            return set().union(*(names_in(part) for part in value))
        case str():
            return {value}
        case _:
            return set()


def as_oracle(value: Any) -> Any:
    """A value as the oracle's JSON has it: a default where it is absent, 0 for NULL, octets in hex."""
    match value:
        case dict():
            filled = dict(value)
            if "subjectPermissions" in value:
                filled = {"minChainLength": 1, "chainLengthRange": 0, "eeType": b"\x80"} | value
            return {name: as_oracle(part) for name, part in filled.items() if name != OCTETS}
        case list() | tuple():
            return [as_oracle(part) for part in value]
        case bytes():
            return value.hex()
        case None:
            return 0
        case _:
            return value


def drawn(name: str, count: int) -> list[str]:
    """Octets of any values of a table that the oracle can know."""
    found: list[str] = []

    @given(values(KINDS[name]))
    @settings(max_examples=count, database=None)
    def draw(value):
        if not names_in(value) & (UNKNOWN_TO_ORACLE | SPELT_OUT_DEFAULTS):
            found.append(writer(KINDS[name], name)(value).hex())

    draw()
    return found


@pytest.mark.slow
def test_the_oracle_reads_what_we_write_and_writes_the_same_octets():
    if not PEER_PYTHON.is_file():
        pytest.skip("no oracle: .venv-peers is missing; make setup-bench-peers")
    items = {"Ieee1609Dot2Data": [*GOLDEN["messages"], *drawn("Ieee1609Dot2Data", 300)],
             "Certificate": [GOLDEN["root"], GOLDEN["authority"], GOLDEN["unit"], *drawn("Certificate", 300)]}
    peer = Path(__file__).parent / "peer_pycrate.py"
    said = subprocess.run([str(PEER_PYTHON), str(peer)], input=json.dumps(items), capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    for name, found in json.loads(said.stdout).items():
        assert len(found) > 50
        for octets, theirs in zip(items[name], found):
            ours = as_oracle(reader(KINDS[name], name)(bytes.fromhex(octets)))
            assert theirs == {"value": ours, "octets": octets}
