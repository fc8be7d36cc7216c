"""The peer of the codec benchmark: asn1tools on ASN.1 text printed from our tables. Runs in .venv-peers, knows nothing of us.

Standard input: {"text", "messages" (hex), "containers" (dotted path to the list of contained octets, or ""), "seconds"}.
Standard output: {"decode_per_s", "encode_per_s", "version"}, after every message was encoded back to the same octets.
"""
from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version


def main() -> None:
    import asn1tools

    job = json.load(sys.stdin)
    spec = asn1tools.compile_string(job["text"], "uper")
    messages = [bytes.fromhex(octets) for octets in job["messages"]]
    path = job["containers"].split(".") if job["containers"] else []

    def decode(octets):
        value = spec.decode("Root", octets)
        if path:
            contents = follow(value, path)
            for item in contents:
                item["containerData"] = spec.decode(f"Contained{item['containerId']}", item["containerData"])
        return value

    def encode(value):
        if path:
            contents = [{"containerId": item["containerId"],
                         "containerData": spec.encode(f"Contained{item['containerId']}", item["containerData"])}
                        for item in follow(value, path)]
            value = replaced(value, path, contents)
        return spec.encode("Root", value)

    values = [decode(octets) for octets in messages]
    for octets, value in zip(messages, values):
        if encode(value) != octets:
            sys.exit("the peer encodes other octets")
    print(json.dumps({
        "decode_per_s": rate(decode, messages, job["seconds"]), "encode_per_s": rate(encode, values, job["seconds"]),
        "version": version("asn1tools"),
    }))


def follow(value, path):
    for name in path:
        value = value[name]
    return value


def replaced(value, path, contents):
    """A copy of the value whose part at the path is `contents`."""
    return contents if not path else value | {path[0]: replaced(value[path[0]], path[1:], contents)}


def rate(work, items, seconds):
    """Items per second of processor time: the best of five windows."""
    best = 0.0
    for _ in range(5):
        done, started = 0, time.process_time()
        while time.process_time() - started < seconds:
            for item in items:
                work(item)
            done += len(items)
        best = max(best, done / (time.process_time() - started))
    return best


if __name__ == "__main__":
    main()
