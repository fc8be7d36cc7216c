"""Encodes plain values with pycrate's own modules: a JSON value a line in, its octets as a JSON string of hex a line out.

Runs in .venv-peers and knows nothing of us. Arguments: a module of pycrate_asn1dir, and the path of a type in it.
"""
import importlib
import json
import sys

OCTET_FIELDS = {"ptActivationData"}


def peer_value(value, name=""):
    """Our plain form in pycrate's: choices as pairs, bit strings as (number, size), octets as bytes."""
    if isinstance(value, list):
        return [peer_value(item) for item in value]
    if not isinstance(value, dict):
        return bytes.fromhex(value) if name in OCTET_FIELDS else value
    if value.keys() == {"hex", "length"}:
        size = value["length"]
        return int(value["hex"] or "0", 16) >> (-size % 8), size
    if value.keys() == {"choice", "value"}:
        return value["choice"], peer_value(value["value"], value["choice"])
    return {key: peer_value(item, key) for key, item in value.items()}


def main():
    module, path = sys.argv[1:]
    kind = importlib.import_module(f"pycrate_asn1dir.{module}")
    for name in path.split("."):
        kind = getattr(kind, name)
    for line in sys.stdin:
        kind.set_val(peer_value(json.loads(line)))
        print(json.dumps(kind.to_uper().hex()))


main()
