from functools import reduce
from operator import getitem

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import SpecError, UnknownFormat
from data_specs.messages import GeoPoint, Header, RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList
from v2x.codecs import decode, rsm
from v2x.codecs.schema import MISSING

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


def test_fields_that_are_not_read_may_be_there():
    value = rsm.value_of(message_of(1))
    expected = rsm.message_of(value, "rsu", NOON_NS)
    value["participants"][0] |= {"plateNo": "0", "size": value["participants"][0]["size"] | {"depth": 1}}
    got = rsm.message_of(value | {"version": 3}, "rsu", NOON_NS)
    np.testing.assert_array_equal(got.objects.boxes.center_m, expected.objects.boxes.center_m)


@pytest.mark.parametrize("path, value, said", [
    (("id",), None, r"RSM\.id: None, expected octets as hex"),
    (("id",), "00" * 9, r"RSM\.id: 9 octets, expected 1 to 8"),
    (("refPos",), MISSING, r"RSM: no 'refPos' in"),
    (("refPos", "lat"), 900_000_002, r"RSM\.refPos\.lat: 900000002, expected a whole number -900000000 to 900000001"),
    (("participants",), {}, r"RSM\.participants: .*, expected a list"),
    (("participants", 0, "pos"), 7, r"RSM\.participants\[0\]\.pos: 7, expected"),
    (("participants", 0, "speed"), 1.5, r"RSM\.participants\[0\]\.speed: 1\.5, expected a whole number 0 to 8191"),
    (("participants", 0, "size", "length"), MISSING, r"RSM\.participants\[0\]\.size: no 'length'"),
    (("participants", 0, "ptcId"), -1, r"RSM\.participants\[0\]\.ptcId: -1, expected a whole number 0 to 65535"),
    (("participants", 0, "vehicleClass"), [], r"RSM\.participants\[0\]\.vehicleClass: \[\], expected"),
])
def test_a_field_that_is_missing_or_out_of_range_is_named_with_its_path(path, value, said):
    whole = rsm.value_of(message_of(1))
    *outer, last = path
    place = reduce(getitem, outer, whole)
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(SpecError, match=said):
        rsm.message_of(whole, "rsu", NOON_NS)


@pytest.mark.parametrize("value", [None, [], "RSM", 3])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(SpecError, match=r"^RSM: "):
        rsm.message_of(value, "rsu", NOON_NS)
