import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.boxes import Boxes3D, wrap_rad
from data_specs.errors import FrameError, SpecError
from data_specs.messages import GeoPoint, RoadsideMessage, SensorInfo
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3
from data_specs.site import Rsu
from replay.drive import ROADSIDE_MESSAGES, VEHICLE_OBJECTS, Event, rsu_objects
from v2x.codecs import decode
from v2x.geodesy import map_from_reference
from v2x.rsu import MAX_OCTETS, RoadsideUnit

ORIGIN = GeoPoint(48.137, 11.575, 520.0)
NOW_NS = 1_790_000_000_123_000_000
CLASSES = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.PEDESTRIAN, ObjectClass.MOTORCYCLE,
           ObjectClass.BICYCLE, ObjectClass.TRAILER, ObjectClass.CONSTRUCTION_VEHICLE, ObjectClass.VAN, ObjectClass.UNKNOWN)


def unit_at(x_m=30.0, y_m=-20.0, yaw_rad=0.7, source="") -> Rsu:
    pose = SE3.from_yaw("map", "rsu-1", yaw_rad, np.array([x_m, y_m, 6.0]))
    return Rsu("rsu-1", "demo", 101, source, "", pose)


def seen(count: int, seed: int = 0, frame: str = "rsu-1") -> ObjectList:
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(count, 6, 6)) * np.array([0.2, 0.2, 0.1, 0.02, 0.15, 0.15])
    boxes = Boxes3D(frame, rng.uniform(-80, 80, (count, 3)) * [1, 1, 0.05], rng.uniform(0.5, 12, (count, 3)),
                    rng.uniform(-np.pi, np.pi, count))
    return ObjectList.build(
        boxes, "rsu-1", NOW_NS - rng.integers(0, 50, count) * 1_000_000, rng.choice(CLASSES, count).astype(np.uint8),
        score=rng.uniform(0.05, 1, count), existence=rng.uniform(0.1, 1, count).astype(np.float32),
        velocity_mps=rng.uniform(-15, 15, (count, 2)), covariance=spread.transpose(0, 2, 1) @ spread / 6,
        size_sigma_m=rng.uniform(0.02, 0.5, (count, 3)), track_id=rng.permutation(500)[:count])


def sent(unit: RoadsideUnit, objects: ObjectList) -> list[RoadsideMessage]:
    events = list(unit.process(Event(NOW_NS, rsu_objects("rsu-1"), objects)))
    assert all(event.topic == ROADSIDE_MESSAGES for event in events)
    return [event.payload for event in events]


def in_map(message: RoadsideMessage) -> ObjectList:
    return message.objects.transformed(map_from_reference(ORIGIN, message.position))


@given(st.integers(1, 12), st.integers(0, 1000), st.floats(-3, 3), st.floats(-900, 900))
def test_what_a_receiver_reads_is_what_the_sensor_found_to_the_units_of_the_wire(count, seed, yaw_rad, x_m):
    rsu, objects = unit_at(x_m, yaw_rad=yaw_rad), seen(count, seed)
    (message,) = sent(RoadsideUnit(rsu, ORIGIN), objects)
    got, expected = in_map(message), objects.transformed(rsu.map_from_rsu)
    np.testing.assert_array_equal(got.label, expected.label)
    np.testing.assert_array_equal(got.track_id, expected.track_id)
    assert np.abs(got.measured_ns - expected.measured_ns).max() == 0
    assert np.abs(got.boxes.center_m - expected.boxes.center_m).max() < 0.008
    assert np.abs(got.boxes.size_lwh_m - expected.boxes.size_lwh_m).max() < 0.0501
    assert np.abs(wrap_rad(got.boxes.yaw_rad - expected.boxes.yaw_rad)).max() < np.radians(0.0501)
    assert np.abs(got.velocity_mps - expected.velocity_mps).max() < 0.008
    assert np.abs(got.score - expected.score).max() < 0.0051
    assert np.abs(got.existence - expected.existence).max() < 0.034


@given(st.integers(0, 1000))
def test_uncertainty_survives_rounded_up_and_correlated_as_it_was(seed):
    rsu, objects = unit_at(), seen(6, seed)
    (message,) = sent(RoadsideUnit(rsu, ORIGIN), objects)
    got, expected = in_map(message).covariance, objects.transformed(rsu.map_from_rsu).covariance
    measured = np.isfinite(got)
    sigma = np.sqrt(np.diagonal(expected, axis1=1, axis2=2))
    got_sigma = np.sqrt(np.diagonal(got, axis1=1, axis2=2))
    place = np.isfinite(got_sigma)
    assert (got_sigma[place] >= 0.98 * sigma[place]).all()
    assert (np.linalg.eigvalsh(np.where(measured, got, np.eye(6))) > 0.0).all()
    correlation = expected / (sigma[:, :, None] * sigma[:, None, :])
    got_correlation = got / (got_sigma[:, :, None] * got_sigma[:, None, :])
    assert np.nanmedian(np.abs(correlation - got_correlation)) < 0.05


def test_nothing_but_the_octets_gets_across():
    objects = seen(5)
    (message,) = sent(RoadsideUnit(unit_at(), ORIGIN), objects)
    again = decode(message.header.raw, publisher="rsu-1", received_ns=message.header.received_ns)
    np.testing.assert_array_equal(again.objects.covariance, message.objects.covariance)
    assert again.header == message.header


def test_the_unit_signs_with_its_address_and_else_with_its_name():
    for source in ("", "80007c5079f8a82c"):
        (message,) = sent(RoadsideUnit(unit_at(source=source), ORIGIN), seen(1))
        assert message.header.publisher == (source or "rsu-1")
        assert message.station_id == 101


def test_reception_comes_the_latency_after_generation():
    unit = RoadsideUnit(unit_at(), ORIGIN, latency_ns=80_000_000)
    (message,) = sent(unit, seen(1))
    assert message.header.received_ns - message.header.generated_ns == 80_000_000
    assert message.header.generated_ns == NOW_NS


def test_a_crowd_goes_out_in_segments_that_fit_a_radio_packet_and_lose_nobody():
    messages = sent(RoadsideUnit(unit_at(), ORIGIN), seen(150))
    assert len(messages) > 1
    assert all(len(message.header.raw) <= MAX_OCTETS for message in messages)
    assert [(m.header.segment, m.header.segment_count) for m in messages] == [(i, len(messages)) for i in range(len(messages))]
    assert sorted(np.concatenate([m.objects.track_id for m in messages])) == sorted(seen(150).track_id)


def test_an_empty_street_is_a_message_too():
    (message,) = sent(RoadsideUnit(unit_at(), ORIGIN), ObjectList.empty("rsu-1", "rsu-1"))
    assert len(message.objects) == 0
    assert message.sensors[0].kind == "lidar"
    assert message.sensors[0].range_m == pytest.approx(60.0)
    assert np.hypot(*message.regions[0].polygon_m.T) == pytest.approx(60.0, abs=0.1)


def test_a_sector_sensor_says_where_it_looks():
    camera = SensorInfo(7, "video", 40.0, 1.2, -2.0)
    (message,) = sent(RoadsideUnit(unit_at(), ORIGIN, sensor=camera), seen(1))
    got = message.sensors[0]
    assert (got.sensor_id, got.kind, got.range_m) == (7, "video", 40.0)
    assert got.opening_rad == pytest.approx(1.2, abs=0.004)
    assert got.heading_rad == pytest.approx(-2.0, abs=0.004)


def test_rows_without_a_track_get_ids_that_do_not_repeat():
    unit = RoadsideUnit(unit_at(), ORIGIN)
    boxes = Boxes3D("rsu-1", np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2))
    nameless = ObjectList.build(boxes, "rsu-1", NOW_NS, np.full(2, ObjectClass.CAR, np.uint8))
    ids = np.concatenate([m.objects.track_id for _ in range(2) for m in sent(unit, nameless)])
    assert len(set(ids.tolist())) == 4


def test_what_was_not_measured_stays_unmeasured():
    boxes = Boxes3D("rsu-1", np.array([[10.0, 0.0, 0.0]]), np.zeros((1, 3)), np.zeros(1))
    bare = ObjectList.build(boxes, "rsu-1", NOW_NS, np.array([ObjectClass.CAR], np.uint8))
    (message,) = sent(RoadsideUnit(unit_at(), ORIGIN), bare)
    got = message.objects
    assert np.isnan(got.covariance).all() and np.isnan(got.velocity_mps).all() and np.isnan(got.size_sigma_m).all()
    assert (got.boxes.size_lwh_m == 0.0).all()


def test_other_topics_pass_by():
    unit = RoadsideUnit(unit_at(), ORIGIN)
    assert list(unit.process(Event(NOW_NS, VEHICLE_OBJECTS, ObjectList.empty("map", "ego")))) == []
    assert list(unit.finish()) == []


def test_objects_in_another_frame_or_too_old_are_refused():
    unit = RoadsideUnit(unit_at(), ORIGIN)
    with pytest.raises(FrameError, match="objects are in 'map'"):
        sent(unit, seen(1, frame="map"))
    old = ObjectList.build(seen(1).boxes, "rsu-1", NOW_NS - 5_000_000_000, np.array([1], np.uint8))
    with pytest.raises(SpecError, match="row 0 was measured -5000 ms"):
        sent(unit, old)
