"""The peer of the signing benchmark: pycrate on the same Ieee1609Dot2Data. Runs in .venv-peers, knows nothing of us.

Standard input: {"messages" (hex), "seconds"}. Standard output: {"decode_per_s", "encode_per_s", "version"}, after every message
was written again to the same octets.
"""
from __future__ import annotations

import json
import sys
from importlib.metadata import version

from peer_asn1tools import rate


def main() -> None:
    from pycrate_asn1dir import ITS_IEEE1609_2

    data = ITS_IEEE1609_2.Ieee1609Dot2.Ieee1609Dot2Data
    job = json.load(sys.stdin)
    messages = [bytes.fromhex(octets) for octets in job["messages"]]

    def decode(octets):
        data.from_coer(octets)
        return data.get_val()

    def encode(value):
        data.set_val(value)
        return data.to_coer()

    values = [decode(octets) for octets in messages]
    for octets, value in zip(messages, values):
        if encode(value) != octets:
            raise SystemExit("pycrate wrote other octets than it read")
    json.dump({"decode_per_s": rate(decode, messages, job["seconds"]), "encode_per_s": rate(encode, values, job["seconds"]),
               "version": version("pycrate")}, sys.stdout)


if __name__ == "__main__":
    main()
