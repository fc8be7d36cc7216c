import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_specs
from data_specs.arrow import dumps, from_batch, loads, schema_of, to_batch
from data_specs.errors import InputError
from data_specs.health import RsuHealth
from data_specs.messages import (
    GeoPoint,
    HazardMessage,
    Header,
    Lane,
    LaneMap,
    PerceptionRegion,
    RoadsideMessage,
    SensorInfo,
    SignalMessage,
    StationMessage,
)
from data_specs.objects import ObjectList, Truth
from data_specs.pose import SE3, EgoPose
from tests.data_specs.strategies import poses, random_objects
from tests.same import assert_same

RECORDS = (ObjectList, Truth, EgoPose, RoadsideMessage, StationMessage, SignalMessage, LaneMap, HazardMessage, RsuHealth)
SCHEMAS = Path(data_specs.__file__).parent / "schemas"
HEADER = Header("aa01", "etsi-cpm-2.1.1", 1, 2, 0, 1, b"\x02\x0e")
PLACE = GeoPoint(48.1, 11.5, float("nan"))


def roadside_message(n):
    regions = tuple(PerceptionRegion(np.full((3 + i, 2), float(i)), 0.5) for i in range(n))
    sensors = (SensorInfo(1, "lidar", 80.0, 2.0, float("nan")),)
    return RoadsideMessage(HEADER, 7, PLACE, random_objects(n, "reference", n), sensors, regions)


EXAMPLES = [
    random_objects(3), random_objects(0), Truth.build(random_objects(4), attribute=("a", "", "b", "")), roadside_message(3),
    roadside_message(0), StationMessage(HEADER, 1, PLACE, random_objects(1, "reference")),
    SignalMessage(HEADER, 5, [1, 2], [3, 6], [10, -1], [20, -1]),
    LaneMap(HEADER, 5, PLACE, (Lane(1, -1, 3.5, np.zeros((2, 2))), Lane(2, 4, 3.0, np.ones((5, 2))))),
    HazardMessage(HEADER, 1, PLACE, 94, 0, 1, 2, False), RsuHealth("aa01", 1, 2, 3, 4, 5, 9.8, float("nan")),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda r: type(r).__name__)
def test_every_record_survives_the_bus(record):
    assert_same(loads(dumps(record), type(record)), record)


@given(st.lists(st.integers(0, 5), max_size=6), st.data())
def test_any_slice_of_a_batch_gives_its_records(sizes, data):
    messages = [roadside_message(n) for n in sizes]
    start = data.draw(st.integers(0, len(messages)))
    rows = from_batch(to_batch(messages, RoadsideMessage).slice(start), RoadsideMessage)
    assert_same(tuple(rows), tuple(messages[start:]))


@given(poses("map", "ego"))
def test_a_pose_comes_back_bit_for_bit(pose: SE3):
    given_pose = EgoPose(5, pose, np.zeros(3), np.eye(6))
    assert_same(loads(dumps(given_pose), EgoPose), given_pose)


def test_reading_shares_arrows_memory():
    [objects] = from_batch(to_batch([random_objects(3)], ObjectList), ObjectList)
    assert not objects.covariance.flags.owndata and not objects.covariance.flags.writeable


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused(data):
    with pytest.raises(InputError, match="expected an Arrow ObjectList"):
        loads(data, ObjectList)


@pytest.mark.parametrize("keep", [0, 40, 400, -1])
def test_a_truncated_record_is_refused(keep):
    with pytest.raises(InputError, match="expected an Arrow ObjectList"):
        loads(dumps(random_objects(3))[:keep], ObjectList)


@pytest.mark.parametrize("record_type", RECORDS, ids=lambda t: t.__name__)
def test_the_schema_is_the_frozen_one(record_type):
    """Drives on disk hold these columns: a change here needs a new drive format version and a new snapshot."""
    frozen = json.loads((SCHEMAS / f"{record_type.__name__}.json").read_text())
    assert [[field.name, str(field.type), field.nullable] for field in schema_of(record_type)] == frozen
