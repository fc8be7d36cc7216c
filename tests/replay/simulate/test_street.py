"""What stands still: it leaves the road, the pavements' walking zones and the cycle tracks free."""
import numpy as np
import pytest

from replay.simulate.crossing import Colour
from replay.simulate.scenarios import SCENARIOS, draw_conditions, random_stream
from replay.simulate.shapes import Material
from replay.simulate.street import MAST_CORNERS_M, build_street


def a_street(scenario: str, seed: int):
    return build_street(SCENARIOS[scenario], 1.5, random_stream(scenario, seed, "street"))


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_as_high_as_a_person_stands_on_the_road_or_where_people_walk(scenario, seed):
    mesh = a_street(scenario, seed).mesh
    corners = mesh.vertices[mesh.triangles]
    low = (corners[..., 2].min(axis=1) < 1.5) & (corners[..., 2].max(axis=1) > 0.5)
    beside_m = np.abs(corners[low][..., :2]).min(axis=(1, 2))
    assert ((beside_m > 7.5) & ((beside_m < 10.0) | (beside_m > 14.1))).all()


def test_every_arm_has_three_lamps_of_its_own_colours():
    street = a_street("crossing", 0)
    assert set(street.lamps) == {(arm, colour) for arm in range(4) for colour in Colour}
    for (_, colour), triangles in street.lamps.items():
        lamp = {Colour.RED: Material.RED_LAMP, Colour.YELLOW: Material.YELLOW_LAMP, Colour.GREEN: Material.GREEN_LAMP}[colour]
        assert (street.mesh.material[triangles] == lamp).all()


def test_the_roadside_units_stand_at_opposite_corners():
    assert np.allclose(MAST_CORNERS_M[0], -np.array(MAST_CORNERS_M[1]))


def test_what_is_drawn_from_a_seed_differs_by_purpose_and_stays_the_same_by_seed():
    purposes = ("conditions", "conditions", "cast")
    first, again, other = (draw_conditions(random_stream("crossing", 3, purpose)) for purpose in purposes)
    assert first == again != other
    assert 0.0 <= first.beam_dropout <= 0.12
