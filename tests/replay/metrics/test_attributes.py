import numpy as np
import pytest

from data_specs.objects import ObjectClass
from replay.metrics.attributes import ATTRIBUTES, FOREIGN, NONE, WALKS_ABOVE_MPS, attribute_codes, likely_attributes

MOVING, STILL, UNKNOWN = (0.8, -0.7), (0.3, 0.3), (np.nan, np.nan)


def likely(cls, velocity_mps):
    (code,) = likely_attributes(np.array([cls], np.uint8), np.array([velocity_mps]))
    return ATTRIBUTES[code]


@pytest.mark.parametrize("cls, moving, still, unknown", [
    (ObjectClass.CAR, "vehicle.moving", "vehicle.parked", "vehicle.parked"),
    (ObjectClass.TRUCK, "vehicle.moving", "vehicle.parked", "vehicle.parked"),
    (ObjectClass.BUS, "vehicle.moving", "vehicle.stopped", "vehicle.moving"),
    (ObjectClass.PEDESTRIAN, "pedestrian.moving", "pedestrian.standing", "pedestrian.moving"),
    (ObjectClass.BICYCLE, "cycle.with_rider", "cycle.without_rider", "cycle.without_rider"),
    (ObjectClass.MOTORCYCLE, "cycle.with_rider", "cycle.without_rider", "cycle.without_rider"),
    (ObjectClass.TRAFFIC_CONE, "", "", ""), (ObjectClass.BARRIER, "", "", ""), (ObjectClass.TRAM, "", "", ""),
])
def test_speed_and_class_say_what_an_object_does(cls, moving, still, unknown):
    assert [likely(cls, velocity_mps) for velocity_mps in (MOVING, STILL, UNKNOWN)] == [moving, still, unknown]


def test_at_the_limit_nothing_moves_and_half_a_velocity_is_unknown():
    assert likely(ObjectClass.PEDESTRIAN, (WALKS_ABOVE_MPS, 0.0)) == "pedestrian.standing"
    assert likely(ObjectClass.BUS, (9.0, np.nan)) == "vehicle.moving" == likely(ObjectClass.BUS, UNKNOWN)


def test_names_have_codes_and_a_foreign_name_has_one_that_no_detection_gets():
    assert attribute_codes(["", "cycle.with_rider", "parked"]).tolist() == [NONE, ATTRIBUTES.index("cycle.with_rider"), FOREIGN]
    assert attribute_codes([]).shape == (0,)
