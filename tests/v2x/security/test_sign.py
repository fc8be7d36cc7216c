from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.messages import GeoPoint
from tests.v2x.security.keys import NOW_NS, PAYLOAD, signer, unit
from v2x.codecs.geonet import unsigned
from v2x.security.oer_read import reader
from v2x.security.pki import make_keys
from v2x.security.psids import CAM, CPM, DENM, psids_of, require_psid
from v2x.security.sign import Signer, read_signer
from v2x.security.store import read_revoked, read_trust_store
from v2x.security.tables import DATA
from v2x.security.verify import SignatureRefused, Verifier

MUNICH = GeoPoint(48.137, 11.575, 520.0)


def signed_data(octets: bytes) -> dict:
    return reader(DATA, "data")(octets)["content"][1]


def identifiers(times_ms, psid=CPM) -> list[str]:
    north = signer()
    return [signed_data(north.sign(PAYLOAD, psid, NOW_NS + at * NS_PER_MS, MUNICH))["signer"][0] for at in times_ms]


def test_the_certificate_comes_once_a_second_and_its_digest_in_between():
    assert identifiers(range(0, 2500, 250)) == (["certificate"] + ["digest"] * 3) * 2 + ["certificate", "digest"]


def test_a_clock_that_went_back_makes_the_certificate_due():
    assert identifiers([0, 100, -5000, -4900, -4000]) == ["certificate", "digest", "certificate", "digest", "certificate"]


def test_a_warning_always_brings_the_certificate_and_its_place():
    assert identifiers([0, 100, 200], DENM) == ["certificate"] * 3
    header = signed_data(signer().sign(PAYLOAD, DENM, NOW_NS, MUNICH))["tbsData"]["headerInfo"]
    assert header["generationLocation"] == {"latitude": 481_370_000, "longitude": 115_750_000, "elevation": 9296}
    with pytest.raises(SpecError, match="where the DENM is made"):
        signer().sign(PAYLOAD, DENM, NOW_NS)


@pytest.mark.parametrize(("altitude_m", "elevation"), [(0.0, 4096), (-500.0, 0), (9000.0, 65535), (float("nan"), 4096)])
def test_a_height_beyond_the_standard_s_range_is_its_end(altitude_m, elevation):
    octets = signer().sign(PAYLOAD, CPM, NOW_NS, GeoPoint(48.0, 11.0, altitude_m))
    assert signed_data(octets)["tbsData"]["headerInfo"]["generationLocation"]["elevation"] == elevation


def test_the_time_of_generation_keeps_its_microseconds_and_its_leap_seconds():
    header = signed_data(signer().sign(PAYLOAD, CPM, NOW_NS + 123_456_789))["tbsData"]["headerInfo"]
    seconds_since_2004 = NOW_NS // NS_PER_S - 1_072_915_200 + 5  # TAI is 5 s further from 2004 than UTC
    assert header["generationTime"] == seconds_since_2004 * 1_000_000 + 123_456


def test_a_payload_lies_in_the_message_as_it_is():
    assert unsigned(signer().sign(PAYLOAD, CPM, NOW_NS)) == PAYLOAD
    assert unsigned(signer().sign(b"", CPM, NOW_NS)) == b""
    assert unsigned(signer().sign(bytes(70_000), CPM, NOW_NS)) == bytes(70_000)


def test_a_signer_signs_what_its_certificate_allows_only():
    with pytest.raises(SpecError, match=r"psid: 637, expected one of certificate rsu-north .*: 32, 36, 37"):
        signer().sign(PAYLOAD, 637, NOW_NS)


def test_a_signer_needs_its_own_key():
    with pytest.raises(SpecError, match="expected its own"):
        Signer(ec.generate_private_key(ec.SECP256R1()), unit().certificate)


def test_messages_are_signed_for_their_own_application():
    require_psid(CPM, "etsi-cpm-2.1.1-cdd2.4.1")
    require_psid(4711, "csae-rsm")
    assert psids_of("sae-map")[0] == 130
    with pytest.raises(SignatureRefused, match=r"wrong-psid\): etsi-cpm-2.1.1 signed for psid 36, expected psid 639"):
        require_psid(CAM, "etsi-cpm-2.1.1")


def test_made_keys_sign_what_the_folder_they_are_in_believes(tmp_path):
    folder = tmp_path / "keys"
    made = make_keys(folder, ["rsu-north", "rsu-south"], NOW_NS)
    assert [path.relative_to(folder).as_posix() for path in made] == [
        "roots/root.oer", "authorities/authority.oer", "units/rsu-north.oer", "units/rsu-south.oer"]
    south = read_signer(folder, "rsu-south")
    south.sign(PAYLOAD, CPM, NOW_NS)
    by_digest = south.sign(PAYLOAD, CPM, NOW_NS + 1000)
    assert Verifier(read_trust_store(folder)).open(by_digest, NOW_NS).publisher == south.publisher


def test_private_keys_are_their_owner_s_alone(tmp_path):
    make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS)
    private = tmp_path / "keys" / "private"
    assert private.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in private.iterdir()} == dict.fromkeys(
        ["root.pem", "authority.pem", "rsu-north.pem"], 0o600)
    (private / "rsu-north.pem").chmod(0o640)
    with pytest.raises(InputError, match="a private key of mode 0640, expected 0600"):
        read_signer(tmp_path / "keys", "rsu-north")


def test_keys_are_never_overwritten(tmp_path):
    make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS)
    before = (tmp_path / "keys" / "private" / "root.pem").read_bytes()
    with pytest.raises(InputError, match="there already"):
        make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS)
    assert (tmp_path / "keys" / "private" / "root.pem").read_bytes() == before


@pytest.mark.parametrize("units", [["../evil"], ["a", "a"], ["root"], [""], [".hidden"]])
def test_a_unit_s_name_is_a_file_name_of_its_own(tmp_path, units):
    with pytest.raises(SpecError, match="expected a name of its own"):
        make_keys(tmp_path / "keys", units, NOW_NS)
    assert list(tmp_path.iterdir()) == []


def test_making_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(SpecError, match="hours"):
        make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS, days=4000)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(MissingInput, match=r"roots.*expected a root certificate"):
        read_trust_store(tmp_path)
    with pytest.raises(MissingInput, match=r"units/nobody.oer: missing"):
        read_signer(tmp_path, "nobody")
    make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS)
    key = tmp_path / "keys" / "private" / "rsu-north.pem"
    key.write_bytes(b"no key at all")
    with pytest.raises(InputError, match="expected a private key in PEM"):
        read_signer(tmp_path / "keys", "rsu-north")
    other = ec.generate_private_key(ec.SECP384R1())
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InputError, match="expected one on NIST P-256"):
        read_signer(tmp_path / "keys", "rsu-north")
    (tmp_path / "keys" / "units" / "rsu-north.oer").write_bytes(b"\x80\x03")
    with pytest.raises(SignatureRefused, match=r"units/rsu-north.oer: certificate"):
        read_trust_store(tmp_path / "keys")


def test_a_revocation_list_is_read_line_by_line(tmp_path):
    path = tmp_path / "revoked.txt"
    path.write_text("# ours\n0011223344556677  # stolen\n\n00112233445566778899\n", encoding="utf-8")
    assert read_revoked(path) == {bytes.fromhex("0011223344556677"), bytes.fromhex("00112233445566778899")}
    for wrong in ("001122", "zz11223344556677"):
        path.write_text(f"# ours\n{wrong}\n", encoding="utf-8")
        with pytest.raises(InputError, match=f"revoked.txt, line 2: '{wrong}'"):
            read_revoked(path)


def test_a_unit_revoked_in_the_folder_is_refused(tmp_path):
    make_keys(tmp_path / "keys", ["rsu-north"], NOW_NS)
    north = read_signer(tmp_path / "keys", "rsu-north")
    (tmp_path / "keys" / "revoked.txt").write_text(north.publisher + "\n", encoding="utf-8")
    with pytest.raises(SignatureRefused, match="revoked"):
        Verifier(read_trust_store(tmp_path / "keys")).open(north.sign(PAYLOAD, CPM, NOW_NS), NOW_NS)
