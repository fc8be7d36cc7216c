import io
from dataclasses import replace

import numpy as np
from PIL import Image

from dashboards import layers
from data_specs.objects import Truth
from data_specs.pose import SE3
from replay.drive import FUSED_TRACKS, ROADSIDE_OBJECTS, Event, rsu_objects
from tests.dashboards.small_drive import ORIGIN, START_NS, STEP_NS, SmallDrive, crossing_car, roadside_message, sample

SITE = SmallDrive().describe().site


def test_a_units_objects_come_into_the_map_by_its_pose():
    in_map = crossing_car(START_NS, 0, "rsu-1", 0.0)
    in_unit = in_map.transformed(SITE.rsus[0].map_from_rsu.inverse())
    layer = layers.object_layer(rsu_objects("rsu-1"), in_unit, SITE)
    assert (layer.name, layer.kind, layer.objects.boxes.frame) == ("rsu-1 sensor", "sensor", "map")
    np.testing.assert_allclose(layer.objects.boxes.center_m, in_map.boxes.center_m, atol=1e-9)


def test_objects_of_a_frame_nobody_placed_are_not_drawn_somewhere():
    lost = crossing_car(START_NS, 0, "x", 0.0).transformed(SE3("elsewhere", "map", np.eye(3), np.zeros(3)))
    assert len(layers.object_layer(rsu_objects("x"), lost, SITE).objects) == 0


def test_of_every_roadside_source_the_last_word_counts():
    events = [Event(START_NS + step * STEP_NS, ROADSIDE_OBJECTS, crossing_car(START_NS, step, name, 0.0))
              for step, name in enumerate(["rsu-2", "rsu-1", "rsu-2"])]
    latest = layers.latest_by_source(events)
    assert [(o.source, round(float(o.boxes.center_m[0, 1]), 1)) for o in latest] == [("rsu-1", -11.2), ("rsu-2", -10.4)]


def test_a_messages_objects_land_where_they_were_seen():
    messages = [roadside_message(START_NS + step * STEP_NS, step).payload for step in (0, 5)]
    (layer,) = layers.message_layers(messages, ORIGIN, SITE)
    assert (layer.name, layer.kind) == ("rsu-1", "roadside")
    np.testing.assert_allclose(layer.objects.boxes.center_m[0, :2], [4.4, -8.0], atol=0.05)


def test_a_track_that_probably_does_not_exist_leaves_no_trail():
    car = crossing_car(START_NS, 0, "fusion", 0.0)
    assert layers.sure_ids(car).tolist() == [7]
    assert layers.sure_ids(replace(car, existence=np.array([0.4], np.float32))).tolist() == [-1]


def test_truth_to_be_ignored_is_left_out():
    car = crossing_car(START_NS, 0, "truth", 0.0)
    assert len(layers.truth_layer(Truth.build(car, ignore=np.array([True]))).objects) == 0
    assert layers.truth_layer(Truth.build(car, points_in_box=np.array([3]))).lidar_points.tolist() == [3]


def test_points_come_into_the_map_and_too_many_are_thinned():
    taken = sample(START_NS, SE3.from_yaw("map", "ego", 0.0, np.array([100.0, 0.0, 0.0])), 0)
    points = layers.points_of([taken])
    np.testing.assert_allclose(points[:, :3], taken.clouds[0].xyz_m + np.float32([100.0, 0.0, 1.8]), rtol=1e-5)
    assert len(layers.points_of([taken], limit=1000)) <= 1000
    assert layers.points_of([]).shape == (0, 4)


def test_a_picture_passes_its_jpeg_on_or_is_encoded():
    taken = sample(START_NS, SE3.from_yaw("map", "ego", 0.0, np.zeros(3)), 0)
    given, encoded = layers.pictures_of(taken, {"CAM_FRONT": b"as it was"})
    assert given.jpeg == b"as it was"
    assert Image.open(io.BytesIO(encoded.jpeg)).size == (176, 64)
    assert layers.object_layer(FUSED_TRACKS, crossing_car(0, 0, "fusion", 0.0), SITE).kind == "fused"
