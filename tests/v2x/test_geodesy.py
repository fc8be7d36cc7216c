import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import SpecError
from data_specs.messages import GeoPoint
from v2x.geodesy import geo_from_map, map_from_geo, map_from_reference, quadkey

latitudes = st.floats(-89.9, 89.9)
longitudes = st.floats(-180.0, 180.0)
origins = st.builds(GeoPoint, latitudes, longitudes, st.floats(-400.0, 4000.0))
offsets_m = st.tuples(st.floats(-10_000.0, 10_000.0), st.floats(-10_000.0, 10_000.0), st.floats(-500.0, 500.0))


@given(origins, st.lists(offsets_m, min_size=1, max_size=5))
def test_going_to_wgs84_and_back_moves_no_point_by_a_millimetre(origin, offsets):
    xyz_m = np.array(offsets)
    back_m = map_from_geo(origin, geo_from_map(origin, xyz_m))
    assert np.abs(back_m - xyz_m).max() < 1e-4


@given(origins)
def test_the_origin_of_the_map_is_its_own_place(origin):
    (place,) = geo_from_map(origin, np.zeros((1, 3)))
    assert abs(place.latitude_deg - origin.latitude_deg) < 1e-12
    assert abs(place.altitude_m - origin.altitude_m) < 1e-6


def test_one_degree_of_latitude_at_the_equator_and_at_45_degrees_has_its_known_length():
    for latitude_deg, metres in ((0.0, 110_574.0), (45.0, 111_132.0)):
        south, north = (GeoPoint(latitude_deg + d, 11.0, 0.0) for d in (-0.005, 0.005))
        assert np.linalg.norm(map_from_geo(south, [north])) * 100 == pytest.approx(metres, abs=1.0)


def test_east_is_x_north_is_y_and_up_is_z():
    origin = GeoPoint(48.137, 11.575, 520.0)
    east, north, up = geo_from_map(origin, np.eye(3) * 100.0)
    assert east.longitude_deg > origin.longitude_deg
    assert north.latitude_deg > origin.latitude_deg
    assert up.altitude_m == pytest.approx(620.0)


def test_an_unknown_altitude_counts_as_the_origins():
    origin = GeoPoint(48.137, 11.575, 520.0)
    (point_m,) = map_from_geo(origin, [GeoPoint(48.137, 11.575, float("nan"))])
    np.testing.assert_allclose(point_m, 0.0, atol=1e-6)


@given(origins, offsets_m, offsets_m)
def test_the_frame_at_a_reference_position_agrees_with_the_map(origin, place_m, offset_m):
    (position,) = geo_from_map(origin, np.array([place_m]))
    (through_earth,) = geo_from_map(position, np.array([offset_m]))
    via_pose_m = map_from_reference(origin, position).apply(np.array([offset_m]))
    np.testing.assert_allclose(via_pose_m, map_from_geo(origin, [through_earth]), atol=1e-4)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(SpecError, match="not finite"):
        geo_from_map(GeoPoint(0.0, 0.0, 0.0), np.array([[np.nan, 0.0, 0.0]]))


@pytest.mark.parametrize(("point", "level", "key"), [
    (GeoPoint(53.226, -8.965, 0.0), 10, "0313102310"),  # tile 486, 332 of the documentation of mercantile
    (GeoPoint(-48.9, -22.5, 0.0), 3, "213"),  # tile 3, 5 of the documentation of Bing Maps' tile system
    (GeoPoint(48.1, 11.5, 0.0), 18, "120230002230112110"),
    (GeoPoint(0.0, 0.0, 0.0), 3, "300"),
    (GeoPoint(90.0, 180.0, 0.0), 4, "1111"),
    (GeoPoint(-90.0, -180.0, 0.0), 4, "2222"),
])
def test_a_quadkey_names_the_known_tile(point, level, key):
    assert quadkey(point, level) == key


def test_a_quadkey_of_no_level_is_refused():
    with pytest.raises(SpecError, match="quadkey: level 0, expected 1 to 23"):
        quadkey(GeoPoint(0.0, 0.0, 0.0), 0)


@given(st.floats(-85.0, 85.0), st.floats(-180.0, 179.999))
def test_a_quadkey_of_a_coarser_level_is_the_beginning_of_a_finer_one(latitude_deg, longitude_deg):
    point = GeoPoint(latitude_deg, longitude_deg, 0.0)
    assert quadkey(point, 18).startswith(quadkey(point, 7))
