"""The oracle of the security tables: pycrate's IEEE 1609.2 module. Runs in .venv-peers, knows nothing of us.

Standard input: {"Ieee1609Dot2Data" | "Certificate": [hex, ...]}. Standard output: for each, in the same order, what pycrate
read, as JSON (octets in hex, a choice as a pair), and what it wrote again; or {"error"}.
"""
import json
import sys


def plain(value, name=""):
    if name == "eeType":
        return f"{value[0]:02x}"
    if isinstance(value, dict):
        return {key: plain(part, key) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value.hex() if isinstance(value, (bytes, bytearray)) else value


def main():
    from pycrate_asn1dir import ITS_IEEE1609_2

    found = {}
    for name, items in json.load(sys.stdin).items():
        table = getattr(ITS_IEEE1609_2.Ieee1609Dot2, name)
        found[name] = []
        for octets in items:
            try:
                table.from_coer(bytes.fromhex(octets))
                found[name].append({"value": plain(table.get_val()), "octets": table.to_coer().hex()})
            except Exception as error:
                found[name].append({"error": repr(error)[:300]})
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
