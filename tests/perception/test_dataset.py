import pickle

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput
from data_specs.messages import GeoPoint
from data_specs.objects import ObjectClass, ObjectList, Truth
from data_specs.pose import SE3
from data_specs.site import Site
from perception.config import TrainConfig
from perception.dataset import DriveScenes, RecordedScenes, moments_of, read_scene, write_scene
from replay.drive import EGO_SAMPLES, TRUTH, DriveInfo, Event
from replay.recorder import Recorder
from tests.perception.scenes import GREY, IMAGE_HW, sample_of, scene_with

SCENE = scene_with([(ObjectClass.CAR, 5.0, 2.0, 0.4), (ObjectClass.PEDESTRIAN, -3.0, -6.0, 2.0)], cameras=2)
STEP_NS = 100_000_000
PICTURE = np.full((*IMAGE_HW, 3), GREY, np.uint8)
SHORT = TrainConfig(scenarios=("crossing",), drive_seconds=2.0, samples_hz=1.0)


def truth_of(label: ObjectClass = ObjectClass.CAR, **counts) -> Truth:
    boxes = Boxes3D("map", np.array([[5.0, 2.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.zeros(1))
    return Truth.build(ObjectList.build(boxes, "truth", 0, np.array([label], np.uint8)), **counts)


class CountedSimulator:
    """Two moments in each drive, told apart by the seed: the second shows a bus; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, scenario: str, seed: int, seconds: float, hz: float):
        self.asked.append(seed)
        for i, label in enumerate((ObjectClass.CAR, ObjectClass.BUS)):
            sample = sample_of(np.array([[seed / 100, i, 0.0, 0.5]]), pictures={"CAM_FRONT": PICTURE})
            yield sample, (), truth_of(label, points_in_box=np.array([9]), pixels_visible=np.array([400]))


def recorded(folder, seconds: float, truth_every: int = 1, pictures_every: int = 2):
    """A drive of 10 Hz along x at 5 m/s with one post at 20 m in the map, a picture now and then, and truth."""
    info = DriveInfo("made-up", GeoPoint(0.0, 0.0, 0.0), 0, 0, {}, Site((), ()), "test")
    with Recorder(folder, info) as recorder:
        for tick in range(round(seconds * 10)):
            time_ns, x_m = (tick + 1) * STEP_NS, 0.5 * tick
            pictures = {"CAM_FRONT": PICTURE} if tick % pictures_every == 0 else None
            pose = SE3.from_yaw("map", "ego", 0.0, np.array([x_m, 0.0, 0.0]))
            sample = sample_of(np.array([[20.0 - x_m, 0.0, 1.0, 0.5]]), taken_ns=time_ns, pictures=pictures, map_from_ego=pose)
            recorder.write(Event(time_ns, EGO_SAMPLES, sample))
            if tick % truth_every == 0:
                recorder.write(Event(time_ns, TRUTH, truth_of()))
    return folder


def test_a_scene_survives_the_disk_within_its_rounding(tmp_path):
    write_scene(tmp_path / "a.npz", SCENE)
    back = read_scene(tmp_path / "a.npz")
    np.testing.assert_allclose(back.points[:, :3], SCENE.points[:, :3], atol=0.0051)
    np.testing.assert_allclose(back.points[:, 3], SCENE.points[:, 3], atol=0.0021)
    np.testing.assert_allclose(back.points[:, 4], SCENE.points[:, 4], atol=1e-6)
    assert np.abs(back.images.astype(int) - SCENE.images).mean() < 4
    for name in ("pixels_from_ego", "label", "velocity_mps", "points_in_box", "pixels_visible"):
        np.testing.assert_array_equal(getattr(back, name), getattr(SCENE, name))
    np.testing.assert_array_equal(back.boxes.center_m, SCENE.boxes.center_m)


def test_a_scene_can_be_read_without_its_pictures_and_far_points_are_not_kept(tmp_path):
    far = np.concatenate([SCENE.points, np.array([[90.0, 0.0, 0.0, 0.5, 0.0]], np.float32)])
    write_scene(tmp_path / "a.npz", type(SCENE)(far, SCENE.images, SCENE.pixels_from_ego, SCENE.boxes, SCENE.label,
                                                SCENE.velocity_mps, SCENE.points_in_box, SCENE.pixels_visible))
    back = read_scene(tmp_path / "a.npz", with_pictures=False)
    assert back.images.shape == (0, *IMAGE_HW, 3) and len(back.pixels_from_ego) == 0
    assert len(back.points) == len(SCENE.points)


def test_each_drive_is_simulated_once_even_by_a_later_run(tmp_path):
    simulator = CountedSimulator()
    scenes = DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=simulator)
    xs = [scenes.load(seed, index).points[0, :2].tolist() for seed, index in ((1001, 0), (1001, 1), (1002, 0), (1001, 3))]
    assert DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=simulator).load(1002, 1).points[0, 1] == 1.0
    assert simulator.asked == [1001, 1002]
    np.testing.assert_allclose(xs, [[10.01, 0.0], [10.01, 1.0], [10.02, 0.0], [10.01, 1.0]], atol=1e-5)


def test_a_drive_that_another_run_has_just_put_there_is_taken_as_it_is(tmp_path):
    def overtaken(scenario, seed, seconds, hz):
        yield from CountedSimulator()(scenario, seed, seconds, hz)
        DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=CountedSimulator()).load(seed, 0)

    scenes = DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=overtaken)
    assert scenes.load(1001, 0).label.tolist() == [ObjectClass.CAR]
    assert [folder.name for folder in scenes.folder.iterdir()] == ["crossing-1001"]


def test_a_drive_that_breaks_off_leaves_nothing_that_looks_whole(tmp_path):
    def broken(scenario, seed, seconds, hz):
        yield from CountedSimulator()(scenario, seed, seconds, hz)
        raise InputError("street", "nothing", "something")

    scenes = DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=broken)
    with pytest.raises(InputError):
        scenes.load(1001, 0)
    assert list(scenes.folder.iterdir()) == []


def test_drives_of_other_lengths_rates_and_pictures_lie_apart(tmp_path):
    folders = {DriveScenes(TrainConfig(samples_hz=hz), tmp_path, hw, pairs=CountedSimulator()).folder
               for hz in (1.0, 2.0) for hw in (IMAGE_HW, (64, 128))}
    assert len(folders) == 4


def test_a_rare_class_makes_a_scene_worth_more(tmp_path):
    scenes = DriveScenes(SHORT, tmp_path, IMAGE_HW, pairs=CountedSimulator())
    assert (scenes.rarity(1001, 0), scenes.rarity(1001, 1)) == (1.0, 4.0)


def test_who_trains_without_cameras_is_not_told_what_only_they_see(tmp_path):
    scenes = DriveScenes(SHORT, tmp_path, IMAGE_HW, pictures=False, pairs=CountedSimulator())
    scene = scenes.load(1001, 0)
    assert len(scene.images) == 0 and scene.pixels_visible.tolist() == [0] and scene.points_in_box.tolist() == [9]


def test_a_recorded_drive_gives_moments_with_truth_their_sweeps_and_late_pictures(tmp_path):
    scenes = RecordedScenes([recorded(tmp_path / "drive", 2.0)], tmp_path / "cache", IMAGE_HW)
    assert scenes.scenes_of_drive == 4
    last = scenes.load(0, 3)
    np.testing.assert_allclose(last.points[:, 4], [0.0, 0.2, 0.5], atol=1e-6)
    np.testing.assert_allclose(last.points[:, 0], last.points[0, 0], atol=0.011)
    assert len(last.images) == 1
    np.testing.assert_allclose(last.boxes.center_m, [[5.0 - 7.5, 2.0, 0.8]], atol=1e-9)
    assert last.points_in_box.tolist() == last.pixels_visible.tolist() == [-1]


def test_a_recorded_drive_is_read_once_and_again_when_it_changed(tmp_path):
    drive, cache = recorded(tmp_path / "drive", 1.0), tmp_path / "cache"
    RecordedScenes([drive], cache, IMAGE_HW)
    (folder,) = cache.iterdir()
    before = folder.stat().st_mtime_ns
    RecordedScenes([drive], cache, IMAGE_HW)
    assert [f.stat().st_mtime_ns for f in cache.iterdir()] == [before]
    RecordedScenes([recorded(tmp_path / "again" / "drive", 1.5)], cache, IMAGE_HW)
    assert len(list(cache.iterdir())) == 2


def test_several_recordings_are_one_pool(tmp_path):
    drives = [recorded(tmp_path / name, seconds) for name, seconds in (("a", 1.0), ("b", 2.0))]
    scenes = RecordedScenes(drives, tmp_path / "cache", IMAGE_HW)
    assert scenes.scenes_of_drive == 2 + 4
    assert scenes.rarity(5, 0) == 1.0


def test_truth_at_other_times_than_samples_is_left_out():
    sample = sample_of(np.zeros((1, 4)), taken_ns=STEP_NS)
    events = [Event(STEP_NS, EGO_SAMPLES, sample), Event(STEP_NS + 5, TRUTH, truth_of())]
    assert list(moments_of(events)) == []
    assert len(list(moments_of([events[0], Event(STEP_NS, TRUTH, truth_of())]))) == 1


def test_a_drive_without_truth_is_refused_and_leaves_nothing(tmp_path):
    info = DriveInfo("bare", GeoPoint(0.0, 0.0, 0.0), 0, 0, {}, Site((), ()), "test")
    with Recorder(tmp_path / "bare", info) as recorder:
        recorder.write(Event(STEP_NS, EGO_SAMPLES, sample_of(np.zeros((1, 4)), taken_ns=STEP_NS)))
    with pytest.raises(InputError, match=r"bare: no moment with both ego\.samples and truth, expected a drive with truth"):
        RecordedScenes([tmp_path / "bare"], tmp_path / "cache", IMAGE_HW)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_neither_a_drive_nor_a_pickle_is_refused(tmp_path):
    with pytest.raises(MissingInput, match=r"nowhere: missing, expected a drive \(a folder with drive\.json\) or an info-v2"):
        RecordedScenes([tmp_path / "nowhere"], tmp_path / "cache", IMAGE_HW)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="expected an info-v2 dict"):
        RecordedScenes([tmp_path / "a.pkl"], tmp_path / "cache", IMAGE_HW)


@pytest.mark.sample_data
def test_the_real_key_frame_is_a_scene_of_six_cameras(sample_data, tmp_path):
    (info,) = (sample_data / "nuscenes_keyframe").rglob("*.pkl")
    scenes = RecordedScenes([info], tmp_path, (128, 352))
    scene = scenes.load(0, 0)
    assert scenes.scenes_of_drive == 1
    assert scene.images.shape == (6, 128, 352, 3)
    assert len(scene.points) > 20_000 and (scene.points_in_box > 0).sum() > 10
    assert (scene.pixels_visible == -1).all()
