from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch

from data_specs.errors import InputError
from perception.training_run import new_run, resume_run, save_run, write_rows
from tests.perception.scenes import TINY
from tests.perception.training import CONFIG, weights_of


@pytest.mark.parametrize("changes, error", [
    ({"seed": 1}, r"run\.pt: seed 0, expected 1 as asked for; another --checkpoint starts afresh"),
    ({"batch": 3}, r"run\.pt: batch 2, expected 3 as asked for"),
    ({"recorded": ("a",)}, r"run\.pt: recorded \(\), expected \('a',\) as asked for"),
])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, changes, error):
    save_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    with pytest.raises(InputError, match=error):
        resume_run(new_run(replace(CONFIG, **changes), TINY), tmp_path / "run.pt")


def test_the_schedule_may_change_on_the_way(tmp_path):
    save_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    longer = replace(CONFIG, steps=60, settle_from=0.5, drives=9)
    assert resume_run(new_run(longer, TINY), tmp_path / "run.pt").config == longer


def test_a_checkpoint_of_another_network_is_refused_by_name(tmp_path):
    save_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    with pytest.raises(InputError, match=r"run\.pt.*expected"):
        resume_run(new_run(CONFIG, replace(TINY, feature_channels=12)), tmp_path / "run.pt")


def test_a_checkpoint_of_before_a_key_was_known_goes_on_with_its_default(tmp_path):
    run = new_run(CONFIG, TINY)
    run.step, run.rows = 4, [{"step": 4, "seconds": 1.0}]
    save_run(run, tmp_path / "run.pt")
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    for key in ("recorded", "candidates"):
        del saved["config"][key]
    del saved["scaler"]
    torch.save(saved, tmp_path / "run.pt")
    back = resume_run(new_run(CONFIG, TINY), tmp_path / "run.pt")
    assert back.step == 4 and back.rows == [{"samples": 8, "step": 4, "seconds": 1.0}]


def test_a_calibration_that_was_fitted_since_does_not_stop_a_run(tmp_path):
    run = new_run(CONFIG, TINY)
    save_run(run, tmp_path / "run.pt")
    saved = torch.load(tmp_path / "run.pt", weights_only=True)
    saved["average"]["calibration.of_another_version"] = torch.zeros(3)
    torch.save(saved, tmp_path / "run.pt")
    assert torch.equal(weights_of(resume_run(new_run(CONFIG, TINY), tmp_path / "run.pt")), weights_of(run))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="expected a training checkpoint"):
        resume_run(new_run(CONFIG, TINY), tmp_path / "run.pt")


def test_losses_that_begin_later_have_a_column_of_their_own(tmp_path):
    write_rows([{"step": 50, "box": 1.0}, {"step": 100, "likelihood": 2.0}], tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == [
        {"step": 50, "box": 1.0, "likelihood": None}, {"step": 100, "box": None, "likelihood": 2.0}]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]
