"""Recorders that are killed: real processes, ended with SIGKILL at moments drawn from a seed.

    python tests/replay/killed.py FOLDER SEED COUNT

Makes FOLDER/0, FOLDER/1 ... and prints a JSON line for each: the events that had been handed to the recorder, by topic, and
whether the kill came before it had closed. One process imports everything, the recorders are forks of it.
"""
from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from replay.drive import Event
from replay.manifest import MANIFEST
from replay.recorder import Recorder
from tests.replay.drives import drive_info, events

STEPS = 110


def record(path: Path, made: list[Event], written: mmap.mmap) -> None:
    """What the recorder's process does; `written` tells how many events were handed over and whether it closed."""
    recorder = Recorder(path, drive_info(), sync_every_s=0.1)
    for i, event in enumerate(made):
        recorder.write(event)
        struct.pack_into("<q", written, 0, i + 1)
    recorder.close()
    struct.pack_into("<q", written, 8, 1)
    time.sleep(60)


def kill_one(path: Path, made: list[Event], moment: float) -> dict[str, object]:
    """Kill a recorder after a share of its events, `moment`; above 1 while it closes."""
    written = mmap.mmap(-1, 16)
    child = os.fork()
    if child == 0:
        record(path, made, written)
        os._exit(0)
    while not (path / MANIFEST).is_file() or struct.unpack_from("<q", written, 0)[0] < min(moment, 1.0) * len(made):
        time.sleep(0.0005)
    time.sleep(max(0.0, moment - 1.0))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    count, closed = struct.unpack_from("<qq", written, 0)
    return {"path": str(path), "written": dict(Counter(event.topic for event in made[:count])), "closed": bool(closed)}


def main() -> None:
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    made = events(STEPS)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        print(json.dumps(kill_one(folder / str(i), made, draw.uniform(0.0, 1.2))), flush=True)


if __name__ == "__main__":
    main()
