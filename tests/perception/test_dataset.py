import numpy as np

from data_specs.objects import ObjectClass, ObjectList, Truth
from perception.config import TrainConfig
from perception.dataset import DriveScenes, read_scene, write_scene
from tests.perception.scenes import sample_of, scene_with

SCENE = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)])


class CountedSimulator:
    """Two samples for each drive, told apart by the seed; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, scenario: str, seed: int, seconds: float, hz: float):
        self.asked.append(seed)
        objects = ObjectList.build(SCENE.boxes, "truth", 0, SCENE.label)
        for i in range(2):
            points = np.array([[seed / 100, i, 0.0, 0.5]])
            truth = Truth.build(ObjectList.build(type(SCENE.boxes)("map", SCENE.boxes.center_m, SCENE.boxes.size_lwh_m,
                                                                   SCENE.boxes.yaw_rad), "truth", 0, objects.label),
                                points_in_box=SCENE.points_in_box)
            yield sample_of(points), truth


def test_a_scene_survives_the_disk_within_a_centimetre(tmp_path):
    write_scene(tmp_path / "a.npz", SCENE)
    back = read_scene(tmp_path / "a.npz")
    np.testing.assert_allclose(back.points[:, :3], SCENE.points[:, :3], atol=0.0051)
    np.testing.assert_allclose(back.points[:, 3], SCENE.points[:, 3], atol=0.0021)
    np.testing.assert_array_equal(back.boxes.center_m, SCENE.boxes.center_m)
    assert back.label.tolist() == SCENE.label.tolist()


def test_each_drive_is_simulated_once_even_by_a_later_run(tmp_path):
    simulator, config = CountedSimulator(), TrainConfig(scenarios=("crossing",), drive_seconds=2.0, samples_hz=1.0)
    scenes = DriveScenes(config, tmp_path, simulator)
    xs = [scenes.load(seed, index).points[0, :2].tolist() for seed, index in ((1001, 0), (1001, 1), (1002, 0), (1001, 3))]
    assert DriveScenes(config, tmp_path, simulator).load(1002, 1).points[0, 1] == 1.0
    assert simulator.asked == [1001, 1002]
    np.testing.assert_allclose(xs, [[10.01, 0.0], [10.01, 1.0], [10.02, 0.0], [10.01, 1.0]], atol=1e-5)


def test_drives_of_other_lengths_and_rates_lie_apart(tmp_path):
    folders = {DriveScenes(TrainConfig(samples_hz=hz), tmp_path, CountedSimulator()).folder for hz in (1.0, 2.0)}
    assert len(folders) == 2
