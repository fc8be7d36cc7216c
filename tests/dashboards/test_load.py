import pytest

from dashboards.load import DriveView, Library
from dashboards.packet import unpack
from data_specs.errors import InputError, MissingInput
from replay.drive import FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, MemoryDrive, TopicInfo
from tests.dashboards.small_drive import START_NS, STEP_NS, SmallDrive, record_small_drive


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drives")
    record_small_drive(folder / "small", steps=6)
    record_small_drive(folder / "objects-only", steps=6, sensors=False)
    return folder


def test_a_library_lists_its_drives_and_only_those(folder):
    (folder / "notes").mkdir(exist_ok=True)
    assert Library(folder).names() == ["objects-only", "small"]
    assert Library(folder / "small").names() == ["small"]


def test_a_drive_that_is_not_there_is_named(folder):
    with pytest.raises(MissingInput, match="missing, expected one of the drives objects-only, small"):
        Library(folder).view("../small")
    with pytest.raises(MissingInput, match="expected a folder of drives"):
        Library(folder / "nowhere")


def test_an_index_tells_what_the_scrub_bar_needs(folder):
    index = Library(folder).view("small").index()
    assert index["moments_ns"] == [step * STEP_NS for step in range(6)]
    assert index["rsus"] == [{"name": "rsu-1", "xyz_m": [12.0, 14.0, 6.0]}]
    assert [sum(topic["activity"]) for topic in index["topics"]] == [6] * 7
    assert index["path_m"][0] == [-20.0, 0.0]


def test_a_moment_holds_points_pictures_and_every_source(folder):
    meta, arrays = unpack(Library(folder).view("small").packet(2))
    assert [(layer["name"], layer["kind"], layer["count"]) for layer in meta["layers"]] == [
        ("truth", "truth", 1), ("vehicle", "vehicle", 1), ("rsu-1", "roadside", 1), ("fused", "fused", 1)]
    assert arrays["points"].shape == (3000, 4)
    assert meta["ego"][:2] == [-19.0, 0.0]
    assert [image["name"] for image in meta["images"]] == ["CAM_FRONT", "CAM_BACK"]
    assert bytes(arrays["image/CAM_FRONT"][:3]) == b"\xff\xd8\xff"
    assert arrays["trails"].shape == (4, 4)  # three places and the end of the track


def test_a_drive_without_sensors_shows_its_objects(folder):
    view = Library(folder).view("objects-only")
    meta, arrays = unpack(view.packet(5))
    assert (meta["images"], len(arrays["points"]), len(arrays["boxes"])) == ([], 0, 4)
    assert meta["ego"][:2] == [-17.5, 0.0]


def test_a_moment_that_is_not_there_is_refused(folder):
    with pytest.raises(InputError, match="drive small: moment 6, expected 0 to 5"):
        Library(folder).view("small").packet(6)


def test_any_drive_serves_even_a_list_in_memory_without_roadside_objects():
    events = [event for event in SmallDrive(steps=4, sensors=False) if event.topic != "roadside.objects"]
    info = SmallDrive().describe()
    topics = {event.topic: TopicInfo(type(event.payload).__name__, 4) for event in events}
    info = type(info)(info.drive_id, info.origin, START_NS, START_NS + 3 * STEP_NS, topics, info.site, info.importer)
    scene = DriveView("listed", MemoryDrive(info, events)).scene(START_NS + 2 * STEP_NS + 1)
    assert [layer.name for layer in scene.layers] == ["truth", "vehicle", "rsu-1", "fused"]  # rsu-1 from its message


def test_a_source_that_fell_silent_disappears():
    events = [event for event in SmallDrive(steps=10, sensors=False)
              if event.topic == TRUTH or (event.topic in (VEHICLE_OBJECTS, FUSED_TRACKS) and event.time_ns == START_NS)]
    info = SmallDrive().describe()
    topics = {event.topic: TopicInfo(type(event.payload).__name__, 1) for event in events}
    info = type(info)(info.drive_id, info.origin, START_NS, START_NS + 9 * STEP_NS, topics, info.site, info.importer)
    view = DriveView("silent", MemoryDrive(info, events))
    assert [layer.kind for layer in view.scene(START_NS + 5 * STEP_NS).layers] == ["truth", "vehicle", "fused"]
    assert [layer.kind for layer in view.scene(START_NS + 6 * STEP_NS).layers] == ["truth"]


def test_a_drive_that_was_made_anew_is_opened_anew(tmp_path):
    import shutil

    library = Library(tmp_path)
    record_small_drive(tmp_path / "a", steps=3)
    assert len(library.view("a").moments_ns) == 3
    shutil.rmtree(tmp_path / "a")
    record_small_drive(tmp_path / "a", steps=5)
    assert len(library.view("a").moments_ns) == 5
