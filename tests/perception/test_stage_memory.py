"""What a stage remembers for its detector: pictures of the samples before, where the ego's motion since has put them."""
from collections.abc import Sequence

import numpy as np
import pytest

from data_specs.objects import ObjectList
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, Sample
from perception.scene import Scene, scene_of
from perception.stage import PerceptionStage
from replay.drive import EGO_SAMPLES, Event
from replay.simulate import simulate
from tests.perception.scenes import IMAGE_HW, camera_model, sample_of

TICK_NS = 100_000_000
SPEED_MPS, TURN_RADPS = 10.0, 0.3
LANDMARK_M = np.array([[30.0, 2.0, 1.0]])  # in map; it stands still
GROUND = np.zeros((5, 4), np.float32)


class KeepsScenes:
    """A detector that finds nothing and keeps the scenes that it was to look at."""

    name = "keeps-scenes"

    def __init__(self, image_hw: tuple[int, int] = IMAGE_HW) -> None:
        self.image_hw = image_hw
        self.seen: list[Scene] = []

    def detect(self, sample: Sample, earlier: Sequence[Sample] = ()) -> ObjectList:
        self.seen.append(scene_of(sample, earlier, None, self.image_hw))
        return ObjectList.empty("ego", self.name)


def drives_by(ticks: int, pictures_every: int) -> list[Sample]:
    """Samples of an ego that drives and turns; each picture is as bright as its tick says."""
    samples = []
    for tick in range(ticks):
        turn_rad, radius_m = TURN_RADPS * tick / 10, SPEED_MPS / TURN_RADPS
        place_m = np.array([radius_m * np.sin(turn_rad), radius_m * (1 - np.cos(turn_rad)), 0.0])
        pictures = {"CAM_FRONT": np.full((*IMAGE_HW, 3), 10 + tick, np.uint8)} if tick % pictures_every == 0 else {}
        samples.append(sample_of(GROUND, (tick + 1) * TICK_NS, pictures=pictures,
                                 map_from_ego=SE3.from_yaw("map", "ego", turn_rad, place_m)))
    return samples


def scenes_of(samples: Sequence[Sample]) -> list[Scene]:
    detector = KeepsScenes()
    stage = PerceptionStage(detector)
    for sample in samples:
        stage.process(Event(sample.taken_ns, EGO_SAMPLES, sample))
    return detector.seen


def place_px(scene: Scene, xyz_m: np.ndarray) -> np.ndarray:
    u, v, depth_m = scene.pixels_from_ego[0].astype(np.float64) @ np.append(xyz_m, 1.0)
    return np.array([u, v]) / depth_m


def test_a_sample_without_pictures_uses_the_last_ones_up_to_their_greatest_age():
    scenes = scenes_of(drives_by(9, pictures_every=8))
    assert [int(scene.images[0, 0, 0, 0]) if len(scene.images) else None for scene in scenes] == [
        10, 10, 10, 10, None, None, None, None, 18]  # 0.35 s is between three and four ticks


def test_pictures_at_two_and_a_half_a_second_leave_no_sample_without_one():
    scenes = scenes_of(drives_by(12, pictures_every=4))
    assert [int(scene.images[0, 0, 0, 0]) - 10 for scene in scenes] == [tick - tick % 4 for tick in range(12)]


def test_what_stands_still_is_looked_up_where_the_remembered_picture_shows_it():
    samples = drives_by(4, pictures_every=4)
    scenes = scenes_of(samples)
    shown_at = place_px(scenes[0], samples[0].map_from_ego.inverse().apply(LANDMARK_M)[0])
    for sample, scene in zip(samples, scenes, strict=True):
        here_m = sample.map_from_ego.inverse().apply(LANDMARK_M)[0]
        np.testing.assert_allclose(place_px(scene, here_m), shown_at, atol=1e-2)
    uncorrected = place_px(scenes[0], samples[3].map_from_ego.inverse().apply(LANDMARK_M)[0])
    assert np.linalg.norm(uncorrected - shown_at) > 2.0  # pixels of 64; the ego drove 3 m and turned by 5 degrees


def test_a_new_picture_replaces_a_remembered_one_of_its_camera_alone():
    first, second = drives_by(2, pictures_every=1)
    left = CameraImage(first.taken_ns, np.full((*IMAGE_HW, 3), 77, np.uint8), camera_model("CAM_LEFT"))
    both = Sample(first.drive_id, first.taken_ns, first.clouds, (*first.images, left), first.map_from_ego,
                  {**first.ego_from_sensor, "CAM_LEFT": SE3.identity("ego", "CAM_LEFT")})
    assert scenes_of([both, second])[1].images[:, 0, 0, 0].tolist() == [11, 77]


@pytest.mark.slow
def test_every_sample_of_a_simulated_drive_has_six_pictures_to_see():
    detector = KeepsScenes((128, 352))
    stage = PerceptionStage(detector)
    own = []
    for event in simulate("crossing", 3, 1.0, roadside=False):
        if isinstance(event.payload, Sample):
            own.append(len(event.payload.images))
            stage.process(event)
    assert own == [6, 0, 0, 0, 6, 0, 0, 0, 6, 0]
    assert [len(scene.images) for scene in detector.seen] == [6] * 10
