from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.messages import GeoPoint
from v2x.security.region import in_words, inside

NOWHERE: frozenset[int] = frozenset()


def at(latitude_deg: float, longitude_deg: float, altitude_m: float = 0.0) -> GeoPoint:
    return GeoPoint(latitude_deg, longitude_deg, altitude_m)


def location(latitude_deg: float, longitude_deg: float) -> dict[str, int]:
    return {"latitude": round(latitude_deg * 1e7), "longitude": round(longitude_deg * 1e7)}


def rectangle(north: float, west: float, south: float, east: float) -> tuple:
    return "rectangularRegion", [{"northWest": location(north, west), "southEast": location(south, east)}]


def test_a_circle_ends_at_its_radius_on_the_ground():
    # A degree of latitude at the equator is 110,574 m on WGS84: 0.009 degrees are 995 m, 0.0091 are 1,006 m.
    circle = ("circularRegion", {"center": location(0.0, 10.0), "radius": 1000})
    assert inside(circle, at(0.0090, 10.0), NOWHERE)
    assert inside(circle, at(0.0090, 10.0, altitude_m=5000.0), NOWHERE)
    assert not inside(circle, at(0.0091, 10.0), NOWHERE)


def test_a_rectangle_ends_at_its_sides_and_has_them():
    box = rectangle(48.2, 11.5, 48.1, 11.6)
    assert inside(box, at(48.2, 11.5), NOWHERE)
    assert inside(box, at(48.15, 11.55), NOWHERE)
    assert not inside(box, at(48.2001, 11.55), NOWHERE)
    assert not inside(box, at(48.15, 11.4999), NOWHERE)


def test_a_rectangle_over_the_180th_meridian_has_both_its_sides():
    fiji = rectangle(-16.0, 177.0, -19.0, -178.0)
    assert inside(fiji, at(-17.0, 178.0), NOWHERE)
    assert inside(fiji, at(-17.0, -179.0), NOWHERE)
    assert not inside(fiji, at(-17.0, 0.0), NOWHERE)


def test_any_of_several_rectangles_will_do():
    two = ("rectangularRegion", rectangle(1, 0, 0, 1)[1] + rectangle(11, 10, 10, 11)[1])
    assert inside(two, at(10.5, 10.5), NOWHERE)
    assert not inside(two, at(5.0, 5.0), NOWHERE)


def test_a_polygon_may_be_hollow_and_has_its_border():
    corners = [(48.10, 11.50), (48.20, 11.50), (48.20, 11.60), (48.15, 11.55), (48.10, 11.60)]  # a notch from the east
    polygon = ("polygonalRegion", [location(*corner) for corner in corners])
    assert inside(polygon, at(48.15, 11.52), NOWHERE)
    assert not inside(polygon, at(48.15, 11.58), NOWHERE)
    assert inside(polygon, at(48.10, 11.50), NOWHERE)
    assert inside(polygon, at(48.15, 11.50), NOWHERE)
    assert not inside(polygon, at(48.15, 11.4999), NOWHERE)
    assert not inside(polygon, at(-48.15, -168.45), NOWHERE)


@given(st.floats(-60, 60), st.floats(-179, 179), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_a_small_polygon_agrees_with_the_rectangle_of_its_corners(latitude_deg, longitude_deg, north, east):
    """Away from the border: an edge along a latitude bulges towards the pole."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    polygon = ("polygonalRegion", [location(latitude_deg + 1e-3 * n, longitude_deg + 1e-3 * e) for n, e in corners])
    if abs(abs(north) - 1) > 1e-3 and abs(abs(east) - 1) > 1e-3:
        place = at(latitude_deg + 1e-3 * north, longitude_deg + 1e-3 * east)
        assert inside(polygon, place, NOWHERE) == (abs(north) < 1 and abs(east) < 1)


def test_a_country_holds_those_who_are_said_to_be_there():
    germany_or_france = ("identifiedRegion", [("countryOnly", 276), ("countryOnly", 250)])
    assert inside(germany_or_france, at(48.0, 11.0), frozenset({150, 276}))
    assert not inside(germany_or_france, at(48.0, 11.0), frozenset({40}))
    assert not inside(germany_or_france, at(48.0, 11.0), NOWHERE)


def test_a_part_of_a_country_holds_nobody():
    bavaria = ("identifiedRegion", [("countryAndRegions", {"countryOnly": 276, "regions": [9]})])
    assert not inside(bavaria, at(48.0, 11.0), frozenset({276}))


@pytest.mark.parametrize(("region", "words"), [
    (("circularRegion", {"center": location(48.137, 11.575), "radius": 200}), "200 m around 48.137000, 11.575000"),
    (rectangle(48.2, 11.5, 48.1, 11.6), "48.200000, 11.500000 to 48.100000, 11.600000"),
    (("polygonalRegion", [location(1, 2)] * 3), "polygon of 3 corners from 1.000000, 2.000000"),
    (("identifiedRegion", [("countryOnly", 276), ("countryAndRegions", {"countryOnly": 840, "regions": [6]})]),
     "country 276, 840 in part"),
])
def test_a_region_is_told_in_words(region, words):
    assert in_words(region) == words
