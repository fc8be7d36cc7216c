"""What `export --nuscenes` writes, opened by nuscenes-devkit (make test-devkit)."""
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed here; run make test-devkit")
pytestmark = [pytest.mark.devkit, pytest.mark.filterwarnings("ignore")]

from nuscenes.nuscenes import NuScenes  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"  # the devkit's own environment has a numpy that pyarrow does not take


def test_the_devkit_opens_an_exported_drive_and_finds_its_boxes_where_they_are(tmp_path):
    if not PYTHON.is_file():
        pytest.skip(f"no {PYTHON}: make setup makes it")
    script = Path(__file__).parent / "made_for_devkit.py"
    made = subprocess.run([str(PYTHON), str(script), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    truths = json.loads(made.stdout)
    opened = NuScenes("v1.0-mini", str(tmp_path / "nu"), verbose=False)
    assert len(opened.sample) == len(truths) == 12 and len(opened.scene) == 1
    for sample, truth in zip(opened.sample, truths):
        boxes = opened.get_boxes(sample["data"]["LIDAR_TOP"])
        assert len(boxes) == len(truth["yaw_rad"])
        for box, center_m, size_lwh_m, yaw_rad in zip(boxes, truth["center_m"], truth["size_lwh_m"], truth["yaw_rad"]):
            assert np.allclose(box.center, center_m, atol=1e-9) and np.allclose(box.wlh[[1, 0, 2]], size_lwh_m, atol=1e-9)
            assert np.isclose(np.cos(box.orientation.yaw_pitch_roll[0]), np.cos(yaw_rad), atol=1e-9)
        assert [opened.get("sample_annotation", token)["num_lidar_pts"] for token in sample["anns"]] == truth["points"]
        assert opened.get_sample_data(sample["data"]["LIDAR_TOP"])[0].endswith(".pcd.bin")
