import numpy as np
import pytest

from data_specs.errors import InputError
from data_specs.objects import Truth
from data_specs.pose import SE3, EgoPose
from replay.drive import EGO_POSES, FUSED_TRACKS, TRUTH, VEHICLE_OBJECTS, Event, MemoryDrive, TopicInfo
from replay.metrics.v2x_gain import v2x_gain
from tests.replay.drives import drive_info
from tests.replay.metrics.scored import objects, truth

MS = 1_000_000
TOPICS = (EGO_POSES, TRUTH, VEHICLE_OBJECTS, FUSED_TRACKS)


def in_map(said):
    return said.transformed(SE3.identity("map", "ego"))


def hidden_drive(name="d", hidden=2, topics=TOPICS):
    """Two cars that the ego sees and finds, some that only a roadside unit sees and fusion finds, one that nobody sees."""
    places = [(5, 0), (10, 0), *((15 + 5 * i, 8) for i in range(hidden)), (0, 30)]
    there = truth(places, points=[9, 9] + [0] * (hidden + 1), pixels=[900, 900] + [0] * (hidden + 1))
    there = Truth.build(in_map(there.objects), points_in_box=there.points_in_box, pixels_visible=there.pixels_visible,
                        roadside_points=np.array([9] * (hidden + 2) + [0]))
    made = []
    for step in range(3):
        payloads = {EGO_POSES: EgoPose(step * 100 * MS, SE3.identity("map", "ego"), np.zeros(3), np.zeros((6, 6))), TRUTH: there,
                    VEHICLE_OBJECTS: in_map(objects(places[:2], [0.9, 0.8])),
                    FUSED_TRACKS: in_map(objects(places[:-1], np.linspace(0.9, 0.5, len(places) - 1)))}
        made += [Event(step * 100 * MS, topic, payloads[topic]) for topic in topics]
    return MemoryDrive(drive_info(drive_id=name, topics={topic: TopicInfo("x", 3) for topic in topics}), made)


def test_what_only_the_road_sees_is_the_gain_and_what_nobody_sees_is_none():
    result = v2x_gain([hidden_drive()], rounds=20)
    assert result.value("mAP", "fused") == pytest.approx(1.0)
    alone = result.value("mAP", "vehicle")
    assert alone == pytest.approx(np.mean(np.arange(11, 101) <= 50), abs=0.01)  # half of the truths, none of them wrong
    assert result.value("mAP_gain") == pytest.approx(1.0 - alone)
    assert [score.count for score in result.scores] == [12] * len(result.scores)
    assert all(score.interval is None for score in result.scores)  # of one drive nobody knows


def test_gains_of_several_drives_have_paired_intervals():
    drives = [hidden_drive(f"d{i}", hidden=1 + i % 3) for i in range(6)]
    gains = {score.name: score for score in v2x_gain(drives, rounds=100).scores if score.slice == "all"}
    assert gains.keys() == {"mAP_gain", "NDS_gain", "car_AP_gain"}
    low, high = gains["mAP_gain"].interval
    assert 0.0 < low < gains["mAP_gain"].value < high < 1.0


def test_nothing_is_gained_where_nothing_is_hidden():
    result = v2x_gain([hidden_drive(f"d{i}", hidden=0) for i in range(3)], rounds=20)
    assert result.value("mAP_gain") == pytest.approx(0.0)


@pytest.mark.parametrize("missing", [TRUTH, VEHICLE_OBJECTS, FUSED_TRACKS])
def test_a_drive_that_lacks_a_side_is_named(missing):
    with pytest.raises(InputError, match=rf"drive d: no {missing}, expected .*roadweave fuse"):
        v2x_gain([hidden_drive(topics=[topic for topic in TOPICS if topic != missing])])


def test_a_drive_without_poses_one_twice_and_none_are_refused():
    with pytest.raises(InputError, match="no moment of truth within its ego poses"):
        v2x_gain([hidden_drive(topics=TOPICS[1:])])
    with pytest.raises(InputError, match="drive 'd' twice"):
        v2x_gain([hidden_drive(), hidden_drive()])
    with pytest.raises(InputError, match="gain: no drives"):
        v2x_gain([])
