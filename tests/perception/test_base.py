"""The full-size network of nuScenes: it is built, looks and learns a step on a CPU, in memory that a workstation has."""
import json
import subprocess
import sys
from math import isfinite

import pytest

from perception.assemble import build_detector
from perception.config_file import read_recipe

MOST_BYTES = 8e9
STEP = """
import json, resource
from dataclasses import replace
import numpy as np, torch
from data_specs.objects import ObjectClass
from perception.config_file import read_recipe
from perception.batch import collate
from perception.train import step
from perception.training_run import new_run
from tests.perception.scenes import CAMERA_YAWS_RAD, picture_of, scene_with

torch.set_num_threads(1)
recipe, rng = read_recipe("base"), np.random.default_rng(0)
height, width = recipe.network.image_hw
scene = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, 4.0, -6.0, 2.0)], cameras=4)
order = [0, 1, 2, 3, 0, 1]  # six cameras
scaled = np.diag([width / 64, height / 32, 1.0])
scene = replace(scene, images=rng.integers(0, 255, (6, height, width, 3), dtype=np.uint8),
                pixels_from_ego=(scaled @ scene.pixels_from_ego[order]).astype(np.float32))
run = new_run(replace(recipe.train, batch=1), recipe.network)
before = run.detector.network.head.box.weight.detach().clone()
with torch.inference_mode():
    maps = run.average.network(collate([scene]))
found = run.average.peaks(scene)
told = {name: bool(torch.isfinite(getattr(maps, name)).all()) for name in ("heatmap", "box", "quality", "spread")}
losses = step(run, [scene])
moved = not torch.equal(before, run.detector.network.head.box.weight)
peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"finite": told, "shape": list(maps.heatmap.shape), "losses": losses, "moved": moved, "bytes": peak_bytes,
                  "peaks": len(found.score)}))
"""


def test_base_is_nuscenes_at_full_size():
    network = read_recipe("base").network
    assert (network.range_m, network.lidar and network.lidar.pillar_size_m) == (54.0, 0.15)
    assert network.camera is not None and network.camera.bottleneck
    assert (network.camera.image_hw, network.camera.blocks, network.camera.width) == ((256, 704), (3, 4, 6, 3), 64)
    assert sum(p.numel() for p in build_detector(network).parameters()) > 10_000_000


@pytest.mark.slow
def test_base_looks_at_six_cameras_and_learns_a_step_in_8_gigabytes():
    ran = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, timeout=560)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert all(told["finite"].values())
    assert told["shape"] == [1, 10, 180, 180]
    assert all(isfinite(number) for number in told["losses"].values())
    assert told["moved"]
    assert told["bytes"] < MOST_BYTES
