"""Run by `make wheel` inside the clean environment: the installed wheel alone decodes a CPM, and brings nothing heavy.

Arguments: the folder with the wheel, and a file of golden CPM vectors.
"""
from __future__ import annotations

import importlib.util
import json
import sys
import time
import zipfile
from pathlib import Path

ABSENT = ("torch", "kafka", "streamlit", "open3d")
PACKAGES = {"data_specs", "replay", "perception", "v2x", "dashboards", "roadweave.py"}


def main() -> None:
    folder, vectors = Path(sys.argv[1]), Path(sys.argv[2])
    (wheel,) = folder.glob("roadweave-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names if ".dist-info" not in name}
    require(roots == PACKAGES, f"the wheel holds {sorted(roots)}, expected {sorted(PACKAGES)}")
    for name in ABSENT:
        require(importlib.util.find_spec(name) is None, f"{name} is installed, expected the base dependencies alone")

    started = time.perf_counter()
    import roadweave
    from v2x.codecs import decode
    from v2x.codecs.cpm_v211 import decode_pdu, encode_pdu

    require("site-packages" in roadweave.__file__, f"roadweave comes from {roadweave.__file__}, expected the installed wheel")
    count, message = 0, None
    for line in vectors.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        octets = bytes.fromhex(vector["uper_hex"])
        value, form = decode_pdu(octets)
        require(value == vector["value"] and encode_pdu(value, form) == octets, f"{vector['name']} decodes to something else")
        count += 1
        if vector["name"] == "cpm_dev_016_plain":
            message = decode(octets)
    require(message is not None, f"{vectors} lacks cpm_dev_016_plain")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(names)} files, no tests; "
          f"{', '.join(ABSENT)} are not installed")
    print(f"{count} golden CPMs decode and encode back; one says {len(message.objects)} objects of station {message.station_id}, "
          f"{(time.perf_counter() - started):.1f} s with imports")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"wheel_probe: {otherwise}")


if __name__ == "__main__":
    main()
