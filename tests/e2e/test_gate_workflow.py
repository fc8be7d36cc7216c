"""The GitHub Actions example, run from a fresh folder: its steps as the runner would run them, in bash with -e."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.replay.metrics.test_outcomes import random_drives
from tests.replay.test_gate import worse
from tests.replay.test_score_many import record

yaml = pytest.importorskip("yaml", reason="no PyYAML: pip install pyyaml")

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = Path(__file__).parent / "gate-workflow.yml"
STEPS = yaml.safe_load(WORKFLOW.read_text())["jobs"]["gate"]["steps"]


def checked_out(folder, drives):
    """What the runner has after checkout and installation: drives, and `roadweave` on the path."""
    for drive in drives:
        record(folder / "drives" / drive.info.drive_id, drive)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "roadweave").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "roadweave.py"} "$@"\n')
    (folder / "bin" / "roadweave").chmod(0o755)
    return folder


def run_job(folder):
    """Exit codes of the steps that are commands, but for the installation; after one that failed only `always()` runs."""
    env = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    codes = []
    for step in STEPS:
        if "run" in step and not step["run"].startswith("pip ") and (step.get("if") == "always()" or not any(codes)):
            codes.append(subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=env, capture_output=True).returncode)
    return codes


def test_the_workflow_is_one_job_whose_steps_a_runner_knows():
    content = yaml.safe_load(WORKFLOW.read_text())
    assert content["name"] == "gate" and content[True] == "pull_request" and list(content["jobs"]) == ["gate"]  # `on` is True
    assert all(("run" in step) != ("uses" in step) and step.keys() <= {"name", "run", "uses", "with", "if"} for step in STEPS)
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)


def test_what_the_workflow_installs_is_here():
    (install,) = [step["run"] for step in STEPS if step.get("run", "").startswith("pip ")]
    assert install == "pip install -c constraints.txt ." and (ROOT / "constraints.txt").is_file()


def test_the_readme_has_the_workflow_as_it_is_tested():
    readme = (ROOT / "README.md").read_text()
    assert "name: gate\n" not in readme or WORKFLOW.read_text() in readme


@pytest.mark.slow
def test_the_workflow_passes_the_first_time_and_fails_on_a_run_that_is_worse(tmp_path):
    drives = random_drives(11)
    first = checked_out(tmp_path / "first", drives)
    assert run_job(first) == [0, 0, 0]
    assert (first / "summary.md").read_text().startswith("### Gate: pass") and (first / "gate.html").stat().st_size > 10_000
    second = checked_out(tmp_path / "second", [worse(drive, 0.35) for drive in drives])
    shutil.copy(first / "baseline.json", second)
    assert run_job(second) == [0, 1, 0]
    assert (second / "summary.md").read_text().startswith("### Gate: FAIL")
    assert int(ElementTree.parse(second / "gate.xml").getroot().get("failures", "0")) >= 1


@pytest.mark.slow
def test_a_checkout_without_drives_is_bad_input_and_shows_no_summary(tmp_path):
    empty = checked_out(tmp_path / "empty", [])
    assert run_job(empty) == [2, 0] and not (empty / "summary.md").exists()
