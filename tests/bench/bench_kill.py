"""A hundred recorders killed with SIGKILL at random moments: what each had been given, and what repair brought back.

    python tests/bench/bench_kill.py [--json]

Every drive must open, be repaired, and lack at most one chunk of sensor data (1 MiB) and one batch of records a journal; the run
fails where one does not. A share of the kills falls into the closing of the drive.
"""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from replay.recorded import open_drive
from replay.repair import repair_drive
from tests.bench.harness import Row, report
from tests.replay.test_repair import check_killed

KILLS, SEED = 100, 2026


def main() -> None:
    given = kept = octets = whole = 0
    worst, spent_s = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        program = Path(__file__).resolve().parents[1] / "replay" / "killed.py"
        child = subprocess.Popen([sys.executable, str(program), folder, str(SEED), str(KILLS)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for line in child.stdout:
            told = json.loads(line)
            started = time.perf_counter()
            check_killed(told)
            spent_s += time.perf_counter() - started
            again = repair_drive(told["path"])
            facts = open_drive(told["path"]).info.facts
            lost = sum(told["written"].values()) - sum(again.kept.values())
            given, kept, worst = given + sum(told["written"].values()), kept + sum(again.kept.values()), max(worst, lost)
            octets += sum(file["dropped_octets"] for file in facts["repair"]["files"]) if "repair" in facts else 0
            whole += "repair" not in facts
        if child.wait():
            sys.exit("the recorders could not be run")
    report("Recorders killed at random moments", [
        Row("drives", KILLS, "killed"), Row("closed_before", whole, "of them"), Row("events_given", given, "events"),
        Row("events_kept", kept, "events"), Row("most_lost", worst, "events of one drive"),
        Row("octets_dropped", octets, "bytes"), Row("repair", spent_s / KILLS * 1e3, "ms a drive, with reading back")])


if __name__ == "__main__":
    main()
