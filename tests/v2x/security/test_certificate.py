from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.clock import iso_utc
from tests.v2x.security.any_value import values
from tests.v2x.security.keys import START_NS, authorities, unit
from v2x.security.certificate import certificate_of, certificate_value, describe, read_certificate
from v2x.security.ecdsa import point_of, signature_holds, signed_hash
from v2x.security.errors import SignatureRefused
from v2x.security.oer_write import writer
from v2x.security.pki import certify, issue_permissions
from v2x.security.store import trust_store
from v2x.security.tables import CERTIFICATE
from v2x.security.verify import Verifier

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
write = writer(CERTIFICATE, "certificate")


def respelt(octets: bytes, spelling: str) -> bytes:
    """A certificate whose signature says more of its point than r."""
    value = certificate_value(octets)
    kind, numbers = value["signature"]
    return write(value | {"signature": (kind, numbers | {"rSig": (spelling, numbers["rSig"][1])})})


def test_golden_certificates_and_message_read_as_they_were_made():
    root, authority, north = (read_certificate(bytes.fromhex(GOLDEN[name])) for name in ("root", "authority", "unit"))
    assert [c.hashed_id8.hex() for c in (root, authority, north)] == GOLDEN["hashed_id8"]
    assert (root.name, authority.name, north.name) == ("root", "authority", "rsu-north")
    assert root.issuer is None and authority.issuer == root.hashed_id8 and north.issuer == authority.hashed_id8
    assert iso_utc(north.start_ns) == "2026-09-21T13:13:20.000Z"
    assert north.end_ns - north.start_ns == 24 * 3600 * 10**9
    assert describe(north)["region"] == "200 m around 48.137000, 11.575000"
    for message, received_ns in zip(GOLDEN["messages"], GOLDEN["generated_ns"]):
        opened = Verifier(trust_store([root], [authority], [north])).open(bytes.fromhex(message), received_ns)
        assert (opened.payload, opened.publisher, opened.psid) == (b"what a roadside unit says", north.hashed_id8.hex(), 639)
        assert opened.generated_ns == received_ns


def test_a_certificate_is_called_by_the_last_octets_of_its_hash():
    octets = unit().certificate.octets
    assert read_certificate(octets).hashed_id8 == sha256(octets).digest()[-8:]


@pytest.mark.parametrize("spelling", ["compressed-y-0", "compressed-y-1"])
def test_a_certificate_whose_signature_is_spelt_otherwise_is_the_same(spelling):
    octets = respelt(unit().certificate.octets, spelling)
    assert octets != unit().certificate.octets
    assert read_certificate(octets).octets == unit().certificate.octets


def test_a_certificate_whose_key_is_written_out_is_the_same():
    value = certificate_value(unit().certificate.octets)
    numbers = unit().key.public_key().public_numbers()
    long = ("uncompressedP256", {"x": numbers.x.to_bytes(32), "y": numbers.y.to_bytes(32)})
    value["toBeSigned"]["verifyKeyIndicator"] = ("verificationKey", ("ecdsaNistP256", long))
    assert certificate_of(certificate_value(write(value))).octets == unit().certificate.octets


def test_a_signature_is_over_both_hashes_the_signer_s_being_that_of_nothing_for_a_root():
    root, authority = (identity.certificate for identity in authorities())
    nothing = sha256(b"").digest()
    assert signature_holds(root.key, root.signature, signed_hash(root.signed_part_hash, nothing))
    assert signature_holds(root.key, authority.signature, signed_hash(authority.signed_part_hash, sha256(root.octets).digest()))
    assert not signature_holds(root.key, authority.signature, signed_hash(authority.signed_part_hash, nothing))
    assert authority.is_signed_by(root) and not root.is_signed_by(authority)


@pytest.mark.parametrize("point", [("fill", None), ("x-only", bytes(32))])
def test_a_key_without_its_y_is_malformed(point):
    value = certificate_value(unit().certificate.octets)
    value["toBeSigned"]["verifyKeyIndicator"] = ("verificationKey", ("ecdsaNistP256", point))
    with pytest.raises(SignatureRefused, match="a key point of form") as caught:
        certificate_of(value)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("point", [
    ("compressed-y-0", b"\xff" * 32), ("uncompressedP256", {"x": bytes(32), "y": bytes(32)})])
def test_a_key_off_the_curve_is_malformed(point):
    value = certificate_value(unit().certificate.octets)
    value["toBeSigned"]["verifyKeyIndicator"] = ("verificationKey", ("ecdsaNistP256", point))
    with pytest.raises(SignatureRefused, match="no point of the curve"):
        certificate_of(value)


@given(values(CERTIFICATE), st.integers(1, 2**200))
@settings(max_examples=200)
def test_any_certificate_is_read_and_described_or_refused(value, scalar):
    key = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
    value["toBeSigned"]["verifyKeyIndicator"] = ("verificationKey", ("ecdsaNistP256", point_of(key)))
    try:
        certificate = read_certificate(write(value | {"type": "explicit"}))
    except SignatureRefused as refused:
        assert refused.reason in ("malformed", "unsupported")
    else:
        assert json.dumps(describe(certificate)) and str(certificate).isprintable()
        assert not certificate.is_signed_by(None)


def test_a_validity_may_end_beyond_the_years_of_a_calendar():
    value = certificate_value(unit().certificate.octets)
    value["toBeSigned"]["validityPeriod"]["duration"] = ("years", 65_535)
    assert describe(certificate_of(value))["valid_until"] == "after the year 9999"


@pytest.mark.parametrize(("tags", "what"), [("8081", "ecdsaBrainpoolP256r1"), ("8180", "reconstructionValue")])
def test_a_key_of_another_sort_is_unsupported_by_name(tags, what):
    octets = unit().certificate.octets
    x = unit().key.public_key().public_numbers().x.to_bytes(32)
    at = octets.index(x) - 3  # VerificationKeyIndicator, PublicVerificationKey, EccP256CurvePoint
    with pytest.raises(SignatureRefused, match=what) as caught:
        read_certificate(octets[:at] + bytes.fromhex(tags) + octets[at + 2:])
    assert caught.value.reason == "unsupported"


def test_a_certificate_file_that_is_broken_says_where():
    octets = unit().certificate.octets
    with pytest.raises(SignatureRefused, match=r"north.oer: certificate.*bit \d+ \(malformed\): the end, expected 3 more octets"):
        read_certificate(octets[:-3], "north.oer")


def test_a_store_names_what_nobody_in_it_issued():
    root, authority = authorities()
    with pytest.raises(SignatureRefused, match=f"certificate authority .* of authority {root.certificate.hashed_id8.hex()}"):
        trust_store([], [authority.certificate], [])
    with pytest.raises(SignatureRefused, match="expected one that signed itself"):
        trust_store([authority.certificate], [], [])
    with pytest.raises(SignatureRefused, match="rsu-north"):
        trust_store([root.certificate], [], [unit().certificate])


def test_a_store_takes_authorities_in_any_order():
    root = certify("top", None, START_NS, 24, issue=issue_permissions((639,), 3))
    middle = certify("middle", root, START_NS, 24, issue=issue_permissions((639,), 2))
    low = certify("low", middle, START_NS, 24, issue=issue_permissions((639,), 1))
    bottom = certify("bottom", low, START_NS, 24, app={639: None})
    store = trust_store([root.certificate], [low.certificate, middle.certificate], [bottom.certificate])
    assert store.units[bottom.certificate.hashed_id8].psids == {639}

