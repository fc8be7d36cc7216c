import json

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, TruncatedInput
from data_specs.objects import ObjectClass
from replay.drive import EGO_SAMPLES, TRUTH
from replay.export import Span
from replay.export_nuscenes import write_nuscenes
from replay.importers.nuscenes_tables import NuScenesTablesImporter
from replay.recorded import open_drive
from replay.recorder import Recorder, import_drive
from replay.simulate import simulate

TABLES = "v1.0-mini"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated drive, every other truth left out so that there are sweeps."""
    folder = tmp_path_factory.mktemp("nu") / "drive"
    importer = simulate("crossing", 4, 1.2)
    with Recorder(folder, importer.describe()) as recorder:
        for number, event in enumerate(event for event in importer if event.topic in (EGO_SAMPLES, TRUTH)):
            if event.topic == EGO_SAMPLES or number % 4 < 2:
                recorder.write(event)
    return folder


@pytest.fixture
def data_set(simulated, tmp_path):
    write_nuscenes(open_drive(simulated), tmp_path / "nu", Span())
    return tmp_path / "nu"


def changed(data_set, table, change):
    path = data_set / TABLES / f"{table}.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps(change(rows)))
    return data_set


def first(**fields):
    """A change of a table's first row."""
    return lambda rows: [rows[0] | fields, *rows[1:]]


def test_a_scene_comes_back_as_it_went_out(simulated, data_set, tmp_path):
    import_drive(NuScenesTablesImporter(data_set), tmp_path / "back")
    before, after = open_drive(simulated), open_drive(tmp_path / "back")
    start_m = np.array(after.info.facts["global_from_map_m"])
    sent, got = ([event.payload for event in drive.events(topics=[EGO_SAMPLES])] for drive in (before, after))
    assert len(got) == len(sent) == 12
    for a, b in zip(sent, got):
        assert a.taken_ns // 1000 == b.taken_ns // 1000
        assert np.array_equal(a.clouds[0].xyz_m, b.clouds[0].xyz_m)
        assert np.allclose(b.map_from_ego.translation_m + start_m, a.map_from_ego.translation_m, atol=1e-9)
    keyed = [sample for sample in got if sample.images]
    assert keyed and all(len(sample.images) == 6 for sample in keyed)
    for frame, pose in keyed[0].ego_from_sensor.items():
        assert np.allclose(pose.matrix(), sent[0].ego_from_sensor[frame].matrix(), atol=1e-9)
    truths, back = ([event.payload for event in drive.events(topics=[TRUTH])] for drive in (before, after))
    assert len(back) == len(truths) == 6
    for a, b in zip(truths, back):
        assert np.allclose(b.objects.boxes.center_m + start_m, a.objects.boxes.center_m, atol=1e-9)
        assert np.array_equal(a.objects.label, b.objects.label) and np.array_equal(a.points_in_box, b.points_in_box)
        assert a.attribute == b.attribute and not b.ignore.any()


def test_velocities_are_differences_of_the_neighbours(data_set):
    truths = [event.payload for event in NuScenesTablesImporter(data_set) if event.topic == TRUTH]
    middle, before, after = truths[2].objects, truths[1].objects, truths[3].objects
    track = middle.track_id[0]
    a, b = (objects.boxes.center_m[objects.track_id == track][0, :2] for objects in (before, after))
    assert np.allclose(middle.velocity_mps[0], (b - a) / 0.4, atol=1e-6)


def test_annotations_too_far_apart_tell_no_velocity(data_set):
    changed(data_set, "sample", lambda rows: [row | {"timestamp": row["timestamp"] + 5_000_000 * i}
                                              for i, row in enumerate(rows)])
    truths = [event.payload for event in NuScenesTablesImporter(data_set) if event.topic == TRUTH]
    assert np.isnan(truths[2].objects.velocity_mps).all()


def test_categories_outside_of_the_detection_task_are_ignored(data_set):
    changed(data_set, "category", lambda rows: [row | {"name": "static_object.bicycle_rack"} for row in rows])
    truth = next(event.payload for event in NuScenesTablesImporter(data_set) if event.topic == TRUTH)
    assert truth.ignore.all() and set(truth.objects.label.tolist()) == {ObjectClass.OTHER}


def test_a_version_without_annotations_has_no_truth(data_set):
    changed(data_set, "sample_annotation", lambda rows: [])
    assert all(event.topic != TRUTH for event in NuScenesTablesImporter(data_set))


def test_a_scene_is_chosen_by_name(data_set):
    changed(data_set, "scene", lambda rows: [*rows, rows[0] | {"token": "x", "name": "scene-0061"}])
    with pytest.raises(InputError, match=r"2 scenes .*--scene NAME chooses"):
        NuScenesTablesImporter(data_set)
    with pytest.raises(InputError, match=r"'scene-9', expected one of scene-0061, "):
        NuScenesTablesImporter(data_set, scene="scene-9")
    assert NuScenesTablesImporter(data_set, scene="scene-0061").describe().drive_id == "scene-0061"


@pytest.mark.parametrize(("table", "change", "message"), [
    ("sample_data", first(calibrated_sensor_token="gone"), r"sample_data.json: token 'gone', expected one of calibrated"),
    ("sample_data", first(ego_pose_token="gone"), r"token 'gone', expected one of ego_pose.json"),
    ("sample_annotation", first(instance_token="gone"), r"token 'gone', expected one of instance.json"),
    ("ego_pose", first(rotation=[2.0, 0.0, 0.0, 0.0]), r"ego_pose.json: .*a unit quaternion"),
    ("ego_pose", first(translation=[float("nan"), 0.0, 0.0]), r"ego_pose.json: .*a unit quaternion and a place"),
    ("sample_annotation", first(size=[float("nan"), 1.0, 1.0]), r"sample_annotation.json.*finite"),
    ("sensor", lambda rows: [row | {"channel": "X"} for row in rows], r"no data of LIDAR_TOP"),
    ("sample", lambda rows: [*rows[:-1], rows[-1] | {"next": rows[0]["token"]}], r"comes twice in its chain"),
])
def test_what_does_not_fit_together_is_named(data_set, table, change, message):
    changed(data_set, table, change)
    with pytest.raises(InputError, match=message):
        importer = NuScenesTablesImporter(data_set)
        importer.describe()
        list(importer)


def test_missing_and_broken_files_are_named(data_set):
    row = json.loads((data_set / TABLES / "sample_data.json").read_text())[0]
    points = data_set / row["filename"]
    points.write_bytes(points.read_bytes()[:-3])
    with pytest.raises(TruncatedInput, match=points.name):
        list(NuScenesTablesImporter(data_set))
    points.unlink()
    with pytest.raises(MissingInput, match=points.name):
        list(NuScenesTablesImporter(data_set))
    (data_set / TABLES / "log.json").write_text("[{]")
    with pytest.raises(InputError, match=r"log.json: JSONDecodeError"):
        NuScenesTablesImporter(data_set)
    (data_set / TABLES / "log.json").unlink()
    with pytest.raises(MissingInput, match=r"log.json.*a table of nuScenes"):
        NuScenesTablesImporter(data_set)
    with pytest.raises(InputError, match=r"versions v1.0-mini, expected one"):
        NuScenesTablesImporter(data_set, version="v1.0-test")
