import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError, UnknownFormat
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import decode, rsm

NOON_NS = 1_748_001_600_250_000_000


def message_of(rows, label=ObjectClass.BUS):
    objects = ObjectList.build(
        Boxes3D("reference", np.array([[10.0, -20.0, 0.0]] * rows), np.array([[12.0, 2.5, 3.0]] * rows), np.zeros(rows)), "rsu",
        NOON_NS, np.full(rows, label), velocity_mps=np.array([[5.0, 0.0]] * rows), track_id=np.arange(rows))
    return RoadsideMessage(Header("rsu", "", NOON_NS, NOON_NS, 0, 1, b""), 42, GeoPoint(31.2, 121.4, 10.0), objects, (), ())


def test_participants_stand_by_absolute_latitude_and_longitude():
    value = rsm.value_of(message_of(1))
    part = value["participants"][0]
    assert value["id"] == "000000000000002a" and part["heading"] == 7200 and part["speed"] == 250
    assert part["pos"]["lat"] < 312_000_000 and part["pos"]["long"] > 1_214_000_000
    assert part["ptcType"] == "motor" and part["size"] == {"width": 250, "length": 1200, "height": 60}


@pytest.mark.parametrize("label", [ObjectClass.BUS, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.UNKNOWN])
def test_what_is_written_is_read_back_to_centimetres(label):
    sent = message_of(3, label)
    back = rsm.message_of(rsm.value_of(sent), "rsu", NOON_NS + 10_000_000)
    np.testing.assert_allclose(back.objects.boxes.center_m[:, :2], sent.objects.boxes.center_m[:, :2], atol=0.02)
    np.testing.assert_allclose(back.objects.velocity_mps, sent.objects.velocity_mps, atol=0.011)
    assert back.objects.label.tolist() == [label] * 3 and back.station_id == 42
    assert (back.objects.measured_ns == NOON_NS).all()


def test_more_than_sixteen_objects_are_refused():
    with pytest.raises(SpecError, match="objects: 17, expected 1 to 16"):
        rsm.value_of(message_of(17))


def test_octets_are_refused_by_name():
    with pytest.raises(UnknownFormat, match="octets of csae-rsm, expected a layout proven by a message"):
        decode(b"\x00\x29\x00", "csae-rsm")
