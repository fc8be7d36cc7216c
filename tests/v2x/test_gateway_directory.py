from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.v2x.on_air import street
from v2x.gateway_directory import Directory, host_and_port, host_of
from v2x.geodesy import geo_from_map

SITE, UNITS = street()
SHORT_SIDE_M = 110.0


@given(st.floats(-300.0, 300.0), st.floats(-300.0, 300.0))
def test_a_place_belongs_to_the_crossing_whose_polygon_holds_it(east_m, north_m):
    if min(abs(abs(east_m) - SHORT_SIDE_M), abs(abs(north_m) - SHORT_SIDE_M)) < 0.02:
        return  # the flat sum is good to a centimetre
    (place,) = geo_from_map(SITE.crossings[0].origin, np.array([[east_m, north_m, 0.0]]))
    found = Directory(SITE).crossing_at(place)
    assert (found is not None and found.id == "crossing") == (max(abs(east_m), abs(north_m)) < SHORT_SIDE_M)


def test_a_crossing_that_is_not_convex_does_not_hold_its_notch():
    polygon_m = np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0], [0.0, 0.0], [-50.0, 50.0]])
    notched = replace(SITE.crossings[0], polygon_m=polygon_m)
    directory = Directory(replace(SITE, crossings=(notched, SITE.crossings[1])))
    notch, body = geo_from_map(notched.origin, np.array([[0.0, 30.0, 0.0], [0.0, -30.0, 0.0]]))
    assert directory.crossing_at(notch) is None
    assert directory.crossing_at(body) is notched


def test_a_sender_is_written_so_that_its_host_can_be_read_back():
    for host, written in (("192.0.2.7", "192.0.2.7:4000"), ("2001:db8::7", "[2001:db8::7]:4000")):
        assert host_and_port(host, 4000) == written
        assert host_of(written) == host
