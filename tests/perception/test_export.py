import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data_specs.errors import InputError, RoadweaveError
from perception.assemble import build_detector
from perception.batch import SensorBatch
from perception.config import DetectorConfig
from perception.config_file import read_recipe
from perception.export import INPUTS, cameras_around, export, made_up_inputs
from tests.perception.detectors import CAMERA_ONLY, LIDAR_ONLY, seasoned
from tests.perception.scenes import TINY

ALONE = """
import sys, torch
program = torch.export.load(sys.argv[1])
maps = program.module()(*torch.load(sys.argv[2]))
foreign = [name for name in sys.modules if name.split(".")[0] in ("perception", "data_specs", "replay", "numba")]
operators = {node.target.namespace for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
torch.save((maps, foreign, operators), sys.argv[3])
"""


@pytest.mark.slow
def test_a_process_that_knows_torch_alone_gives_the_same_maps(tmp_path: Path):
    detector, example = seasoned(), made_up_inputs(TINY, 2000, 2)
    export(detector, tmp_path / "tiny.pt2", points=2000, cameras=2)
    torch.save(example, tmp_path / "example.pt")
    files = [str(tmp_path / name) for name in ("tiny.pt2", "example.pt", "maps.pt")]
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, cwd=tmp_path, timeout=120)
    maps, foreign, operators = torch.load(files[2])
    assert (foreign, operators) == ([], {"aten"})
    kept = torch.isfinite(example[0]).all(dim=1)
    batch = SensorBatch(example[0][kept], torch.zeros(int(kept.sum()), dtype=torch.int64), *example[1:], torch.tensor([True]))
    with torch.no_grad():
        own = detector.network(batch)
    for got, expected in zip(maps, (own.heatmap, own.box, own.quality, own.spread)):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [LIDAR_ONLY, CAMERA_ONLY], ids=["lidar", "camera"])
def test_networks_of_one_sensor_are_exported_too(config: DetectorConfig, tmp_path: Path):
    written = export(seasoned(config), tmp_path / "one.pt2", points=500, cameras=1)
    assert written.largest_difference < 1e-4
    assert written.inputs["images"][1] == (0 if config.camera is None else 1)


def test_the_file_says_what_it_is(tmp_path: Path):
    export(seasoned(LIDAR_ONLY), tmp_path / "tiny.pt2", points=200)
    told = {"roadweave.json": ""}
    torch.export.load(tmp_path / "tiny.pt2", extra_files=told)
    facts = json.loads(told["roadweave.json"])
    assert (facts["name"], facts["inputs"]) == ("tiny", list(INPUTS))


def test_another_ending_is_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(InputError, match=r"ending '.onnx', expected a file that ends in .pt2"):
        export(seasoned(), tmp_path / "tiny.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_machine_code_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(RoadweaveError, match="no C\\+\\+ compiler"):
        export(seasoned(), tmp_path / "tiny.pt2", compiled=True)


def test_a_failed_check_leaves_no_file(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("perception.export.TOLERANCE", -1.0)
    with pytest.raises(RoadweaveError, match="exported maps differ"):
        export(seasoned(LIDAR_ONLY), tmp_path / "tiny.pt2", points=200)
    assert list(tmp_path.iterdir()) == []


def test_cameras_look_all_around_and_right_of_ahead_is_right_in_the_picture():
    ahead, left = cameras_around(4, 100, 200)[0, :2]
    u, v, depth_m = ahead @ torch.tensor([10.0, -2.0, 1.6, 1.0])
    assert (float(u / depth_m), float(v / depth_m), float(depth_m)) == pytest.approx((120.0, 50.0, 10.0))
    assert float((left @ torch.tensor([0.0, 10.0, 0.0, 1.0]))[2]) == pytest.approx(10.0)


@pytest.mark.slow
def test_machine_code_gives_the_same_maps(tmp_path: Path):
    assert export(seasoned(), tmp_path / "tiny.pt2", points=500, cameras=1, compiled=True).largest_difference < 1e-3


@pytest.mark.slow
def test_base_exports(tmp_path: Path):
    torch.manual_seed(0)
    written = export(build_detector(read_recipe("base").network).eval(), tmp_path / "base.pt2", points=20_000)
    assert written.inputs["images"] == [1, 6, 3, 256, 704]
