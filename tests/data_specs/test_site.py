import json
import re
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput
from data_specs.messages import GeoPoint
from data_specs.pose import SE3
from data_specs.site import Crossing, Rsu, Site, read_signed_site, read_site, site_from_dict

TOML = """
[[crossing]]
id = "demo"
origin = [48.137, 11.575, 520.0]
polygon_m = [[-80, -80], [80, -80], [80, 80]]
policy = "preferred"

[[rsu]]
name = "rsu-1"
crossing = "demo"
station_id = 101
position_m = [12.0, 14.0, 6.0]
heading_rad = -2.36
"""


def write(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text)
    return path


def test_a_site_file_is_read_and_its_plain_form_reads_back(tmp_path):
    site = read_site(write(tmp_path, TOML))
    assert site.rsus[0].map_from_rsu.src == "rsu-1" and site.crossing_of("rsu-1").policy == "preferred"
    again = site_from_dict(site.to_dict(), "again")
    assert again.to_dict() == site.to_dict()


def test_a_leaning_mast_and_an_unknown_altitude_survive_the_plain_form():
    leaning = SE3.from_quaternion("map", "rsu-1", np.array([0.9, 0.1, -0.2, 0.3742]), np.array([1.0, 2.0, 6.0]))
    crossing = Crossing("demo", GeoPoint(48.0, 11.0, float("nan")), np.zeros((0, 2)), "off")
    site = Site((crossing,), (Rsu("rsu-1", "demo", 1, "", "", leaning),))
    again = site_from_dict(json.loads(json.dumps(site.to_dict(), allow_nan=False)), "again")
    np.testing.assert_array_equal(again.rsus[0].map_from_rsu.rotation, leaning.rotation)
    assert np.isnan(again.crossings[0].origin.altitude_m)


@pytest.mark.parametrize("old, new, complaint", [
    ('crossing = "demo"', 'crossing = "other"', "crossing 'other', expected one of ['demo']"),
    ("station_id = 101", "", "rsu 0: KeyError 'station_id'"),
    ('policy = "preferred"', 'policy = "maybe"', "'maybe', expected one of required, preferred, off"),
    ("48.137", "148.137", "expected latitude within 90"),
    ('id = "demo"', 'id = "demo', "expected TOML"),
])
def test_what_is_wrong_in_a_site_file_is_named(tmp_path, old, new, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        read_site(write(tmp_path, TOML.replace(old, new)))


def test_a_missing_site_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"site.toml: missing, expected a site file"):
        read_site(tmp_path / "site.toml")


def test_a_unit_is_named_by_its_certificate_only_where_signatures_are_looked_at():
    site = Site((Crossing("a", GeoPoint(48.0, 11.0, 0.0), np.zeros((0, 2)), "required"),
                 Crossing("b", GeoPoint(48.0, 11.0, 0.0), np.zeros((0, 2)), "off")), ())
    unit = Rsu("rsu-1", "a", 1, "", "0011223344556677", SE3.identity("map", "rsu-1"))
    assert site.publisher_of(unit) == "0011223344556677"
    assert site.publisher_of(replace(unit, crossing="b")) == "rsu-1"
    assert site.publisher_of(replace(unit, crossing="b", source="80007c5079f8a82c")) == "80007c5079f8a82c"
    assert site.publisher_of(replace(unit, certificate="keys/rsu-1.oer")) == "rsu-1"


def test_certificates_given_as_files_become_the_digests_that_name_their_owners(tmp_path):
    (tmp_path / "rsu.oer").write_bytes(b"a certificate")
    digest = sha256(b"a certificate").digest()[-8:].hex()
    for given, expected in (("rsu.oer", digest), ("00112233AABBCCDD", "00112233aabbccdd"), ("", "")):
        path = write(tmp_path, f'{TOML}certificate = "{given}"\n')
        site = read_signed_site(path)
        assert site.rsus[0].certificate == expected
        assert site.publisher_of(site.rsus[0]) == (expected or "rsu-1")
    with pytest.raises(MissingInput, match="expected a certificate, as the site file says"):
        read_signed_site(write(tmp_path, f'{TOML}certificate = "elsewhere.oer"\n'))
