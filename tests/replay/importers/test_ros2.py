from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mcap_ros2", reason="the extra ros2 is not installed")

from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.pose import SE3
from replay.drive import EGO_POSES, EGO_SAMPLES
from replay.importers.ros2 import Ros2Importer
from replay.importers.ros2_frames import FrameTree
from replay.importers.ros2_messages import camera_of, cloud_of
from replay.recorded import open_drive
from replay.recorder import import_drive
from tests.replay.importers.bag import CAMERA_TURN, Bag, cloud_message

FIRST_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
VELODYNE = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4"), ("ring", "u2"), ("time", "f4")])
POINTS = np.array([(1.0, 2.0, 3.0, 51.0, 5, 0.0), (np.nan, 0.0, 0.0, 1.0, 0, 0.0), (4.0, 5.0, 6.0, 255.0, 300, 0.02)], VELODYNE)
RED = np.full((6, 8, 3), (250, 10, 20), np.uint8)


def made(path, ticks=4, *, mapped=True, pictures=True):
    """The vehicle drives along x at 10 m/s in odom; a LiDAR stands 2 m up, a camera looks ahead."""
    with Bag(path) as bag:
        bag.transform(FIRST_NS, "base_link", "lidar", (0.0, 0.0, 2.0), static=True)
        bag.transform(FIRST_NS, "base_link", "camera_optical", (1.0, 0.0, 1.5), CAMERA_TURN, static=True)
        if mapped:
            bag.transform(FIRST_NS, "map", "odom", (100.0, 0.0, 0.0), static=True)
        if pictures:
            bag.camera_info("/front/camera_info", FIRST_NS, "camera_optical")
        for tick in range(ticks + 1):
            time_ns = FIRST_NS + tick * STEP_NS
            bag.transform(time_ns, "odom", "base_link", (1.0 * tick, 0.0, 0.0))
            if tick < ticks:
                bag.cloud("/lidar/points", time_ns, "lidar", POINTS)
                if pictures:
                    bag.image("/front/image_raw", time_ns + 20_000_000, "camera_optical", RED)
        bag.put("/chatter", "std_msgs/msg/String", FIRST_NS, {"data": "hello"})
    return path


def samples(importer):
    return [event.payload for event in importer if event.topic == EGO_SAMPLES]


def test_a_bag_becomes_samples_and_poses(tmp_path):
    import_drive(Ros2Importer(made(tmp_path / "bag.mcap")), tmp_path / "drive")
    drive = open_drive(tmp_path / "drive")
    assert {name: topic.count for name, topic in drive.info.topics.items()} == {EGO_POSES: 5, EGO_SAMPLES: 4}
    assert drive.info.facts["map_frame"] == "map" and any("/chatter" in note for note in drive.info.notes)
    poses = [event.payload for event in drive.events(topics=[EGO_POSES])]
    assert np.allclose([pose.map_from_ego.translation_m[0] for pose in poses], 100.0 + np.arange(5))
    assert np.allclose([pose.velocity_mps for pose in poses], [[10.0, 0.0, 0.0]] * 5)


def test_clouds_lose_what_is_not_finite_and_keep_ring_intensity_and_time(tmp_path):
    cloud = samples(Ros2Importer(made(tmp_path / "bag.mcap")))[0].clouds[0]
    assert np.allclose(cloud.xyz_m, [[1, 2, 3], [4, 5, 6]]) and cloud.ring.tolist() == [5, 255]
    assert np.allclose(cloud.intensity, [0.2, 1.0]) and cloud.offset_ns.tolist() == [0, 20_000_000]


def test_a_picture_stands_where_the_camera_was_when_it_was_taken(tmp_path):
    first = samples(Ros2Importer(made(tmp_path / "bag.mcap")))[0]
    pose = first.ego_from_sensor["camera_optical"]
    assert np.array_equal(first.images[0].rgb, RED) and first.images[0].taken_ns == FIRST_NS + 20_000_000
    assert np.allclose(pose.translation_m, [1.2, 0.0, 1.5]) and np.allclose(pose.rotation[:, 2], [1.0, 0.0, 0.0])
    assert np.allclose(first.images[0].camera.distortion, [0.1, 0, 0, 0, 0])
    assert np.allclose(first.ego_from_sensor["lidar"].translation_m, [0.0, 0.0, 2.0])


def test_odometry_stands_in_where_no_transform_tells(tmp_path):
    with Bag(tmp_path / "bag.mcap") as bag:
        bag.transform(FIRST_NS, "base_link", "lidar", (0.0, 0.0, 2.0), static=True)
        for tick in range(3):
            bag.odometry(FIRST_NS + tick * STEP_NS, (2.0 * tick, 0.0, 0.0))
            bag.cloud("/points", FIRST_NS + tick * STEP_NS, "lidar", POINTS)
    importer = Ros2Importer(tmp_path)
    assert importer.describe().facts["map_frame"] == "odom"
    assert [sample.map_from_ego.translation_m[0] for sample in samples(importer)] == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "png"])
def test_pictures_of_the_usual_encodings_are_read(tmp_path, encoding):
    path = made(tmp_path / "bag.mcap", pictures=False)
    with Bag(tmp_path / "more.mcap") as bag:
        bag.transform(FIRST_NS, "map", "base_link", (0.0, 0.0, 0.0))
        bag.transform(FIRST_NS, "base_link", "cam", (0.0, 0.0, 0.0), static=True)
        bag.camera_info("/cam/camera_info", FIRST_NS, "cam")
        bag.cloud("/points", FIRST_NS, "cam2", POINTS)
        bag.transform(FIRST_NS, "base_link", "cam2", (0.0, 0.0, 0.0), static=True)
        if encoding == "png":
            bag.jpeg("/cam/image/compressed", FIRST_NS, "cam", RED)
        else:
            bag.image("/cam/image", FIRST_NS, "cam", RED, encoding)
    path.unlink()
    rgb = samples(Ros2Importer(tmp_path / "more.mcap"))[0].images[0].rgb
    assert np.array_equal(rgb, np.repeat(RED[..., :1], 3, axis=2) if encoding == "mono8" else RED)


def test_topics_may_be_named_and_strange_ones_are_told(tmp_path):
    path = made(tmp_path / "bag.mcap")
    assert not samples(Ros2Importer(path, ["/lidar/points"]))[0].images
    with pytest.raises(InputError, match=r"'/tf', expected one of /front/image_raw, /lidar/points"):
        Ros2Importer(path, ["/tf"])


def test_frames_that_nothing_joins_are_named(tmp_path):
    path = made(tmp_path / "bag.mcap")
    with pytest.raises(InputError, match=r"above 'base_footprint' stand no frames, expected map or odom.*--ego-frame"):
        Ros2Importer(path, ego_frame="base_footprint").describe()
    with pytest.raises(InputError, match=r"expected earth"):
        Ros2Importer(path, map_frame="earth").describe()
    with Bag(tmp_path / "lost.mcap") as bag:
        bag.transform(FIRST_NS, "map", "base_link", (0.0, 0.0, 0.0))
        bag.cloud("/points", FIRST_NS, "velodyne", POINTS)
    with pytest.raises(InputError, match=r"no transform between 'base_link' and 'velodyne'"):
        list(Ros2Importer(tmp_path / "lost.mcap"))


def test_a_cloud_at_a_time_without_transforms_is_named(tmp_path):
    with Bag(tmp_path / "bag.mcap") as bag:
        bag.transform(FIRST_NS, "map", "base_link", (0.0, 0.0, 0.0))
        bag.cloud("/points", FIRST_NS + 10 * STEP_NS, "base_link", POINTS)
    with pytest.raises(InputError, match=r"map_from_base_link is told"):
        list(Ros2Importer(tmp_path / "bag.mcap"))


def test_a_clock_that_goes_back_gives_no_second_sample_of_a_moment(tmp_path):
    with Bag(tmp_path / "bag.mcap") as bag:
        for tick, stamp in enumerate([0, 1, 2, 1, 2, 3]):
            logged_ns = FIRST_NS + tick * STEP_NS
            bag.transform(FIRST_NS + stamp * STEP_NS, "map", "base_link", (float(stamp), 0.0, 0.0))
            bag.put("/points", "sensor_msgs/msg/PointCloud2", FIRST_NS + stamp * STEP_NS,
                    cloud_message(FIRST_NS + stamp * STEP_NS, "base_link", POINTS), logged_ns)
    taken = [sample.taken_ns for sample in samples(Ros2Importer(tmp_path / "bag.mcap"))]
    assert taken == [FIRST_NS + stamp * STEP_NS for stamp in range(4)]


def test_broken_and_foreign_files_are_named(tmp_path):
    path = made(tmp_path / "bag.mcap")
    (tmp_path / "cut.mcap").write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cut.mcap.*expected a (whole|closed) MCAP"):
        Ros2Importer(tmp_path / "cut.mcap")
    with pytest.raises(InputError, match="2 MCAP files"):
        Ros2Importer(tmp_path)
    with pytest.raises(MissingInput, match="a ROS 2 bag in MCAP"):
        Ros2Importer(tmp_path / "none")
    with Bag(tmp_path / "talk.mcap") as bag:
        bag.put("/chatter", "std_msgs/msg/String", FIRST_NS, {"data": "hello"})
    with pytest.raises(InputError, match=r"topics of std_msgs/msg/String, expected one of sensor_msgs/msg/PointCloud2"):
        Ros2Importer(tmp_path / "talk.mcap")


def namespace(value):
    if isinstance(value, dict):
        return SimpleNamespace(**{name: namespace(inner) for name, inner in value.items()})
    return [namespace(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("big", "padding"), [(False, 0), (True, 0), (False, 7), (True, 3)])
def test_octets_of_either_order_and_padded_rows_are_the_same_cloud(big, padding):
    message = namespace(cloud_message(FIRST_NS, "lidar", POINTS, big=big, padding=padding))
    assert np.allclose(cloud_of(message, FIRST_NS, "x").xyz_m, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(("name", "kind", "value", "offset_ns"), [
    ("t", "u4", 30_000_000, 30_000_000), ("offset_time", "u4", 5, 5), ("time", "f4", 0.03, 30_000_000),
    ("timestamp", "f8", FIRST_NS / 1e9 + 0.03, 30_000_000), ("timestamp", "f8", 0.03, 30_000_000), ("time", "f4", 7.0, 0),
])
def test_times_of_points_are_read_as_their_drivers_name_them(name, kind, value, offset_ns):
    points = np.array([(1.0, 2.0, 3.0, value)], np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), (name, kind)]))
    cloud = cloud_of(namespace(cloud_message(FIRST_NS, "l", points)), FIRST_NS, "x")
    assert cloud.offset_ns[0] == pytest.approx(offset_ns, abs=300)


def test_the_scale_of_float_intensities_is_said_and_never_guessed():
    floats = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4")])
    dim = np.array([(1.0, 2.0, 3.0, 0.5), (1.0, 2.0, 3.0, 400.0)], floats)
    message = namespace(cloud_message(FIRST_NS, "l", dim))
    assert cloud_of(message, FIRST_NS, "x").intensity.tolist() == pytest.approx([0.5 / 255, 1.0])
    assert cloud_of(message, FIRST_NS, "x", 1.0).intensity.tolist() == [0.5, 1.0]
    whole = dim.astype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "u2")])
    assert cloud_of(namespace(cloud_message(FIRST_NS, "l", whole)), FIRST_NS, "x").intensity[1] == pytest.approx(400 / 65_535)


@pytest.mark.parametrize(("model", "d", "kept"), [
    ("plumb_bob", [0.1, 0.2, 0.0, 0.0, 0.3], [0.1, 0.2, 0.0, 0.0, 0.3]), ("rational_polynomial", [0.1, 0, 0, 0, 0, 0, 0, 0],
                                                                        [0.1, 0, 0, 0, 0]),
    ("equidistant", [0.0] * 4, []), ("", [], []), ("rational_polynomial", [0.1, 0, 0, 0, 0, 0.2, 0, 0], None),
    ("equidistant", [0.1, 0.0, 0.0, 0.0], None),
])
def test_a_lens_that_is_not_described_here_is_refused(model, d, kept):
    info = namespace({"width": 8, "height": 6, "distortion_model": model})
    info.d, info.k = d, [10.0, 0.0, 4.0, 0.0, 10.0, 3.0, 0.0, 0.0, 1.0]
    if kept is None:
        with pytest.raises(UnknownFormat, match=rf"distortion {model} of {len(d)} .*--topics leaves"):
            camera_of(info, "cam", "x")
    else:
        assert camera_of(info, "cam", "x").distortion.tolist() == kept


def test_points_that_do_not_fit_their_message_are_refused():
    good = cloud_message(FIRST_NS, "l", POINTS)
    with pytest.raises(InputError, match=r"10 octets, expected 1 rows"):
        cloud_of(namespace(good | {"data": bytes(10)}), FIRST_NS, "x")
    with pytest.raises(UnknownFormat, match="field x of datatype 9"):
        cloud_of(namespace(good | {"fields": [{"name": "x", "offset": 0, "datatype": 9, "count": 1}]}), FIRST_NS, "x")
    with pytest.raises(InputError, match="also z"):
        cloud_of(namespace(good | {"fields": good["fields"][:2]}), FIRST_NS, "x")


def test_transforms_are_interpolated_and_inverted():
    tree = FrameTree()
    for tick in (2, 0, 1):  # out of order
        tree.add(SE3("map", "base", np.eye(3), np.array([float(tick), 0.0, 0.0])), tick * STEP_NS, still=False)
    tree.add(SE3("base", "lidar", np.eye(3), np.array([0.0, 0.0, 1.0])), 0, still=True)
    assert np.allclose(tree.pose("map", "lidar", STEP_NS // 2, "x").translation_m, [0.5, 0.0, 1.0])
    assert np.allclose(tree.pose("lidar", "map", STEP_NS // 2, "x").translation_m, [-0.5, 0.0, -1.0])
    assert tree.times_ns("lidar", "map") == [0, STEP_NS, 2 * STEP_NS]
