"""Sweeps between key frames: where their points land, and what is left out."""
from itertools import pairwise

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput
from perception.scene import point_rows
from replay.drive import EGO_POSES, EGO_SAMPLES, TRUTH
from replay.importers.nuscenes import NuScenesImporter
from replay.recorded import open_drive
from replay.recorder import import_drive
from tests.replay.importers.nuscenes_folder import START_S, drive_past, file_at, info, write

WORLD_M = np.array([[420.0, 1108.0, 1.2], [390.0, 1095.0, 0.4], [404.0, 1130.0, 3.0]])  # things that stand still


def samples_of(folder):
    return [event.payload for event in NuScenesImporter(folder) if event.topic == EGO_SAMPLES]


def test_what_stands_still_lies_at_one_place_in_sweeps_and_key_frame_though_the_ego_drives_and_turns(tmp_path):
    """mmdetection3d's own formula misses by 0.7 m here, half a second before the key frame."""
    infos = drive_past(tmp_path, WORLD_M)
    *earlier, key_frame = samples_of(tmp_path)
    rows = point_rows(key_frame, earlier[::-1])
    assert np.unique(rows[:, 4].round(3)).tolist() == pytest.approx([0.0, 0.2, 0.5])
    for age_s in (0.2, 0.5):
        np.testing.assert_allclose(rows[np.isclose(rows[:, 4], age_s)][:, :3], rows[rows[:, 4] == 0.0][:, :3], atol=1e-3)
    sweep_from_key = np.array(infos[1]["lidar_sweeps"][-1]["lidar_points"]["lidar2sensor"])
    xyz_m = earlier[10].clouds[0].xyz_m
    theirs_m = xyz_m @ sweep_from_key[:3, :3] - sweep_from_key[:3, 3]
    assert 0.6 < np.linalg.norm(theirs_m - key_frame.clouds[0].xyz_m, axis=1).max() < 0.8


def test_each_sweep_comes_once_by_time_with_its_own_pose_and_the_lidar_alone(tmp_path):
    drive_past(tmp_path, WORLD_M, key_frames=3)
    importer = NuScenesImporter(tmp_path)
    events = list(importer)
    samples = [event.payload for event in events if event.topic == EGO_SAMPLES]
    ages_ms = [round((s.taken_ns / 1e9 - START_S) * 1000) for s in samples]
    assert ages_ms == list(range(-500, 1001, 50))  # the key frames at 0 and 500 ms are listed as sweeps too
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    assert sum(event.topic == TRUTH for event in events) == 3 and len(importer) == len(events)
    poses = [event.payload for event in events if event.topic == EGO_POSES]
    for sample, pose in zip(samples, poses, strict=True):
        assert pose.taken_ns == sample.taken_ns == sample.clouds[0].taken_ns and list(sample.ego_from_sensor) == ["LIDAR_TOP"]
        np.testing.assert_array_equal(pose.map_from_ego.matrix(), sample.map_from_ego.matrix())
    steps_m = [np.linalg.norm(b.map_from_ego.translation_m - a.map_from_ego.translation_m) for a, b in pairwise(samples)]
    np.testing.assert_allclose(steps_m, 0.5, atol=2e-3)  # 10 m/s; the pickle holds poses in 32 bits


def test_a_recorded_drive_holds_the_sweeps_and_begins_with_the_first(tmp_path):
    drive_past(tmp_path, WORLD_M)
    described = NuScenesImporter(tmp_path).describe()
    imported = import_drive(NuScenesImporter(tmp_path), tmp_path / "drive")
    assert described.start_ns == imported.start_ns == round((START_S - 0.5) * 1e6) * 1000
    assert {topic: facts.count for topic, facts in imported.topics.items()} == {EGO_POSES: 21, EGO_SAMPLES: 21, TRUTH: 2}
    assert len(list(open_drive(tmp_path / "drive").events(topics=[EGO_SAMPLES]))) == 21


@pytest.mark.parametrize("kept", ["ego2global", "lidar2sensor"])
def test_a_sweep_is_placed_by_its_ego_pose_or_by_the_key_frames_lidar(tmp_path, kept):
    infos = drive_past(tmp_path, WORLD_M)
    wanted = [sample.map_from_ego.matrix() for sample in samples_of(tmp_path)]
    for sample in infos:
        for sweep in sample["lidar_sweeps"]:
            if kept == "ego2global":
                del sweep["lidar_points"]["lidar2sensor"]
            else:
                del sweep["ego2global"], sweep["lidar_points"]["lidar2ego"]
    write(tmp_path, infos)
    for got, want in zip(samples_of(tmp_path), wanted, strict=True):
        np.testing.assert_allclose(got.map_from_ego.matrix(), want, atol=1e-3)


def test_sweeps_without_files_and_pictures_between_key_frames_are_left_out_and_said_so(tmp_path):
    infos = drive_past(tmp_path, WORLD_M)
    for seconds in (0.15, 0.2):
        (tmp_path / file_at(seconds)).unlink()
    write(tmp_path, [sample | {"cam_sweeps": [{}]} for sample in infos])
    notes = NuScenesImporter(tmp_path).describe().notes
    assert len(samples_of(tmp_path)) == 19
    assert "2 of 19 LiDAR sweeps between key frames are left out: their files are not there" in notes[2]
    assert notes[2].endswith("at_+0150ms.pcd.bin") and notes[3] == "pictures between key frames (image sweeps) are left out"


def test_sweeps_of_a_recording_without_times_are_left_out_and_said_so(tmp_path):
    infos = drive_past(tmp_path, WORLD_M)
    for sample in infos:
        del sample["timestamp"]
    write(tmp_path, infos)
    assert len(samples_of(tmp_path)) == 2
    assert NuScenesImporter(tmp_path).describe().notes[-1].startswith("LiDAR sweeps between key frames are left out: the record")


def without(sweep, *path):
    for key in path[:-1]:
        sweep = sweep[key]
    del sweep[path[-1]]


@pytest.mark.parametrize("spoil, error, complaint", [
    (lambda sweep: without(sweep, "timestamp"), MissingInput, "sample 1: lidar_sweeps 4: timestamp: missing"),
    (lambda sweep: without(sweep, "lidar_points", "lidar_path"), MissingInput, "lidar_sweeps 4: lidar_path: missing"),
    (lambda sweep: (without(sweep, "ego2global"), without(sweep, "lidar_points", "lidar2sensor")), MissingInput,
     "lidar_sweeps 4: ego2global: missing, expected ego2global or lidar2sensor of the sweep"),
    (lambda sweep: sweep.update(ego2global=np.eye(4).tolist()), InputError,
     r"lidar_sweeps 4: lidar2sensor is 11\d\d\.\d\d m and 0\.\d+ rad off ego2global and lidar2ego, expected the same place"),
    (lambda sweep: sweep["lidar_points"].update(lidar2sensor=[[1.0]]), InputError, r"lidar2sensor: shape \(1, 1\), expected"),
])
def test_what_is_wrong_in_a_sweep_is_named_with_its_place(tmp_path, spoil, error, complaint):
    infos = drive_past(tmp_path, WORLD_M)
    spoil(infos[1]["lidar_sweeps"][4])
    write(tmp_path, infos)
    with pytest.raises(error, match=complaint):
        NuScenesImporter(tmp_path).describe()


def test_a_key_frame_without_sweeps_stands_alone(tmp_path):
    write(tmp_path, [info(lidar_sweeps=[])])
    assert len(samples_of(tmp_path)) == 1 and len(NuScenesImporter(tmp_path).describe().notes) == 2
