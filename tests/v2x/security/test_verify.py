from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings

from data_specs.clock import NS_PER_MS, NS_PER_S
from data_specs.messages import GeoPoint
from tests.v2x.security.any_value import values
from tests.v2x.security.keys import (
    NOW_NS,
    PAYLOAD,
    START_NS,
    authorities,
    bound_unit,
    foreign_unit,
    message,
    signer,
    store,
    unit,
    verifier,
)
from v2x.security.certificate import certificate_value
from v2x.security.ecdsa import sign_hash, signed_hash
from v2x.security.errors import REASONS, SignatureRefused
from v2x.security.oer_read import reader
from v2x.security.oer_write import writer
from v2x.security.pki import certify, issue_permissions
from v2x.security.psids import CAM, CPM, DENM
from v2x.security.tables import DATA, HEADER_INFO, TO_BE_SIGNED_DATA
from v2x.security.verify import Limits, Opened, Verifier

MUNICH = GeoPoint(48.137, 11.575, 520.0)
CIRCLE = ("circularRegion", {"center": {"latitude": 481_370_000, "longitude": 115_750_000}, "radius": 200})
read_data, write_data = reader(DATA, "data"), writer(DATA, "data")
OPENED = Opened(PAYLOAD, unit().certificate.hashed_id8.hex(), CPM, NOW_NS)


def reason_of(octets: bytes, received_ns: int = NOW_NS, by: Verifier | None = None) -> str:
    """Why a verifier refuses a message, or "" where it does not."""
    try:
        (by or verifier()).open(octets, received_ns)
    except SignatureRefused as refused:
        assert refused.reason in REASONS
        assert f"({refused.reason})" in str(refused)
        return refused.reason
    return ""


def changed(octets: bytes, change) -> bytes:
    """A signed message after `change(its SignedData)`, the signature left as it was."""
    value = read_data(octets)
    change(value["content"][1])
    return write_data(value)


def resigned(octets: bytes, change) -> bytes:
    """A signed message of `unit` after `change(its SignedData)`, signed again."""
    value = read_data(octets)
    content = value["content"][1]
    change(content)
    data_hash = sha256(writer(TO_BE_SIGNED_DATA, "tbsData")(content["tbsData"])).digest()
    content["signature"] = sign_hash(unit().key, signed_hash(data_hash, unit().certificate.hash))
    return write_data(value)


def header(content) -> dict:
    return content["tbsData"]["headerInfo"]


def test_a_signed_message_opens_and_says_who_sent_it():
    assert verifier().open(message(), NOW_NS) == OPENED


def test_a_digest_is_understood_once_the_certificate_came():
    north, receiver = signer(), verifier()
    first, second = north.sign(PAYLOAD, CPM, NOW_NS), north.sign(PAYLOAD, CPM, NOW_NS + 100 * NS_PER_MS)
    assert len(second) < len(first) - 100
    assert reason_of(second, by=receiver) == "unknown-signer"
    receiver.open(first, NOW_NS)
    assert receiver.open(second, NOW_NS).publisher == OPENED.publisher


def test_a_unit_of_the_trust_store_is_known_by_its_digest_from_the_first_message_on():
    north = signer()
    north.sign(PAYLOAD, CPM, NOW_NS)
    assert Verifier(store((unit().certificate,))).open(north.sign(PAYLOAD, CPM, NOW_NS + 1000), NOW_NS)


def test_an_unsecured_message_is_unsigned():
    assert reason_of(b"\x03\x80\x05hello") == "unsigned"


def test_no_message_cut_short_is_taken():
    octets = message()
    assert {reason_of(octets[:length]) for length in range(len(octets))} == {"malformed"}
    assert reason_of(octets + b"\x00") == "malformed"


def test_no_bit_of_a_message_can_be_changed():
    """But the two that say how the r of a signature is spelt: the message stays the same, and so does who signed it."""
    octets, spelt = message(), []
    for bit in range(8 * len(octets)):
        forged = bytearray(octets)
        forged[bit // 8] ^= 0x80 >> bit % 8
        try:
            assert verifier().open(bytes(forged), NOW_NS) == OPENED
        except SignatureRefused:
            continue
        spelt.append(bit // 8 - len(octets))
    assert spelt == [-66 - 65, -65]  # the certificate's signature, and the message's


@pytest.mark.parametrize("spelling", ["compressed-y-0", "compressed-y-1"])
def test_a_signature_spelt_otherwise_is_the_same_message_and_a_replay_of_it(spelling):
    def respell(content):
        numbers = content["signature"][1]
        numbers["rSig"] = (spelling, numbers["rSig"][1])

    receiver, other = verifier(), changed(message(), respell)
    assert receiver.open(other, NOW_NS) == OPENED
    assert reason_of(message(), by=receiver) == "replayed"


def test_the_other_signature_that_anybody_can_make_of_one_is_a_replay_too():
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    def mirror(content):
        numbers = content["signature"][1]
        numbers["sSig"] = (order - int.from_bytes(numbers["sSig"])).to_bytes(32)

    receiver, octets = verifier(), message()
    receiver.open(octets, NOW_NS)
    assert reason_of(changed(octets, mirror)) == ""
    assert reason_of(changed(octets, mirror), by=receiver) == "replayed"


def test_a_replayed_message_is_refused_and_a_new_one_with_the_same_words_is_not():
    receiver, octets = verifier(), message()
    receiver.open(octets, NOW_NS)
    assert reason_of(octets, NOW_NS + NS_PER_S, receiver) == "replayed"
    assert reason_of(message(generated_ns=NOW_NS + 1000), NOW_NS, receiver) == ""


def test_a_clock_that_ran_ahead_and_came_back_lets_no_replay_in():
    receiver, octets, later = verifier(), message(), message(generated_ns=NOW_NS + 60 * NS_PER_S)
    receiver.open(octets, NOW_NS)
    receiver.open(later, NOW_NS + 60 * NS_PER_S)
    assert reason_of(octets, NOW_NS, receiver) == "replayed"
    assert reason_of(later, NOW_NS + 60 * NS_PER_S, receiver) == "replayed"


@pytest.mark.parametrize(("age_ms", "reason"), [
    (2001, "stale"), (2000, ""), (0, ""), (-500, ""), (-501, "future"), (10**10, "stale"), (-(10**10), "future")])
def test_a_message_is_taken_within_its_window_only(age_ms, reason):
    assert reason_of(message(), NOW_NS + age_ms * NS_PER_MS) == reason


def test_a_warning_may_be_older_than_other_messages():
    octets = signer().sign(PAYLOAD, DENM, NOW_NS, MUNICH)
    assert reason_of(octets, NOW_NS + 599 * NS_PER_S) == ""
    assert reason_of(octets, NOW_NS + 601 * NS_PER_S) == "stale"


def test_other_messages_of_its_signer_do_not_make_a_warning_look_replayed():
    receiver = verifier()
    receiver.open(message(generated_ns=NOW_NS + 60 * NS_PER_S), NOW_NS + 60 * NS_PER_S)
    assert reason_of(signer().sign(PAYLOAD, DENM, NOW_NS, MUNICH), NOW_NS + 60 * NS_PER_S, receiver) == ""


def test_a_message_past_its_own_expiry_is_stale():
    octets = resigned(message(), lambda content: header(content).update(expiryTime=header(content)["generationTime"] + 500_000))
    assert reason_of(octets, NOW_NS + 400 * NS_PER_MS) == ""
    assert reason_of(octets, NOW_NS + 600 * NS_PER_MS) == "stale"


def test_a_certificate_is_taken_while_it_is_valid_only():
    end_ns = START_NS + 24 * 3600 * NS_PER_S
    for at_ns, reason in ((START_NS - 1, "not-yet-valid"), (START_NS, ""), (end_ns - NS_PER_S, ""), (end_ns, "expired")):
        assert reason_of(message(generated_ns=at_ns), at_ns) == reason


def test_a_certificate_is_valid_no_longer_than_those_above_it():
    lasting = certify("lasting", authorities()[1], START_NS, 48, app={CPM: None})
    at_ns = START_NS + 25 * 3600 * NS_PER_S
    assert reason_of(message(identity=lasting, generated_ns=at_ns), at_ns) == "expired"


@pytest.mark.parametrize("which", ["unit", "authority", "root"])
@pytest.mark.parametrize("octets", [8, 10])
def test_a_revoked_certificate_takes_all_below_it_along(which, octets):
    root, authority = authorities()
    revoked = {"unit": unit(), "authority": authority, "root": root}[which].certificate.hash[-octets:]
    assert reason_of(message(), by=Verifier(store(revoked=frozenset({revoked})))) == "revoked"


def test_a_foreign_root_vouches_for_nobody():
    assert reason_of(message(identity=foreign_unit())) == "unknown-signer"


def test_a_root_that_comes_along_is_not_trusted():
    stranger = certify("stranger", None, START_NS, 24, app={CPM: None}, issue=issue_permissions((CPM,), 1))
    assert reason_of(message(identity=stranger)) == "unknown-signer"


def test_a_message_that_vouches_for_itself_is_of_nobody():
    assert reason_of(changed(message(), lambda content: content.update(signer=("self", None)))) == "unknown-signer"


def test_a_certificate_that_its_authority_did_not_sign_is_refused():
    def forge(content):
        body = content["signer"][1][0]["toBeSigned"]
        body["appPermissions"].append({"psid": 4711})

    assert reason_of(changed(message(), forge)) == "bad-signature"


def test_a_message_is_signed_for_an_application_that_its_signer_may_sign_for():
    cams_only = unit((CAM,))
    octets = message(psid=CAM, identity=cams_only)
    assert reason_of(octets) == ""
    foul = resigned(message(), lambda content: header(content).update(psid=4711))
    assert reason_of(foul) == "wrong-psid"


def test_an_authority_cannot_hand_out_what_it_was_not_given():
    root, _ = authorities()
    greedy = certify("greedy", root, START_NS, 24, issue=issue_permissions((CAM, CPM, 4711), 1))
    octets = message(psid=4711, identity=certify("unit", greedy, START_NS, 24, app={4711: None}))
    receiver = Verifier(store(), limits=Limits())
    assert reason_of(octets, by=receiver) == "unknown-signer"
    chained = changed(octets, lambda content: content["signer"][1].append(certificate_value(greedy.certificate.octets)))
    assert reason_of(chained, by=receiver) == "wrong-psid"


def test_a_message_may_bring_its_authority_along():
    root, _ = authorities()
    other = certify("other authority", root, START_NS, 24, issue=issue_permissions((CPM,), 1))
    octets = message(identity=certify("unit", other, START_NS, 24, app={CPM: None}))
    assert reason_of(octets) == "unknown-signer"
    chained = changed(octets, lambda content: content["signer"][1].append(certificate_value(other.certificate.octets)))
    assert reason_of(chained) == ""


def test_an_authority_that_a_peer_asked_for_is_learned_from_the_message_that_brings_it():
    root, _ = authorities()
    other = certify("other authority", root, START_NS, 24, issue=issue_permissions((CPM,), 1))
    octets, receiver = message(identity=certify("unit", other, START_NS, 24, app={CPM: None})), verifier()
    assert reason_of(octets, by=receiver) == "unknown-signer"
    bringing = resigned(message(generated_ns=NOW_NS + 1000), lambda content: header(content).update(
        requestedCertificate=certificate_value(other.certificate.octets)))
    assert reason_of(bringing, by=receiver) == ""
    assert reason_of(octets, by=receiver) == ""


def test_a_stranger_s_authority_that_a_message_brings_is_not_learned():
    foreign = foreign_unit()
    bringing = resigned(message(), lambda content: header(content).update(
        requestedCertificate=certificate_value(foreign.certificate.octets)))
    receiver = verifier()
    assert reason_of(bringing, by=receiver) == ""
    assert reason_of(message(identity=foreign), by=receiver) == "unknown-signer"


def test_a_signer_bound_to_a_region_is_heard_inside_of_it_only():
    bound = bound_unit(CIRCLE)
    octets = message(identity=bound)
    assert reason_of(octets, by=Verifier(store(), MUNICH)) == ""
    assert reason_of(octets, by=Verifier(store(), GeoPoint(48.139, 11.575, 0.0))) == "outside-region"
    assert reason_of(octets) == "outside-region"
    from_afar = signer(bound).sign(PAYLOAD, CPM, NOW_NS, GeoPoint(48.2, 11.6, 0.0))
    assert reason_of(from_afar, by=Verifier(store(), MUNICH)) == "outside-region"
    from_inside = signer(bound).sign(PAYLOAD, CPM, NOW_NS + 1000, GeoPoint(48.1371, 11.5751, 0.0))
    assert reason_of(from_inside) == ""


@pytest.mark.parametrize(("latitude", "longitude"), [
    (900_000_000, 1_800_000_000), (-900_000_000, -1_799_999_999), (900_000_000, 1_800_000_001)])
def test_places_at_the_ends_of_the_earth_are_places(latitude, longitude):
    place = {"latitude": latitude, "longitude": longitude, "elevation": 0}
    assert reason_of(resigned(message(), lambda content: header(content).update(generationLocation=place))) == ""


def test_a_place_that_is_unknown_to_the_sender_is_that_of_the_crossing():
    unknown = {"latitude": 900_000_001, "longitude": 1_800_000_001, "elevation": 0}
    octets = resigned(message(), lambda content: header(content).update(generationLocation=unknown))
    assert reason_of(octets) == ""


@pytest.mark.parametrize(("change", "reason"), [
    (lambda content: content.update(hashId="sha384"), "unsupported"),
    (lambda content: content["tbsData"]["payload"].update(extDataHash=("sha256HashedData", bytes(32))), "unsupported"),
    (lambda content: content["tbsData"]["payload"].update(omitted=None), "unsupported"),
    (lambda content: content["tbsData"].update(payload={"extDataHash": ("sha256HashedData", bytes(32))}), "unsupported"),
    (lambda content: header(content).update(pduFunctionalType=1), "unsupported"),
    (lambda content: header(content).pop("generationTime"), "malformed"),
    (lambda content: header(content).update(expiryTime=header(content)["generationTime"]), "malformed"),
    (lambda content: content.update(signer=("certificate", [])), "malformed"),
    (lambda content: content["signature"][1].update(rSig=("fill", None)), "malformed"),
    (lambda content: content["signature"][1].update(sSig=bytes(32)), "bad-signature"),
    (lambda content: content["signer"][1][0].update(type="implicit"), "unsupported"),
    (lambda content: content["signer"][1][0].pop("signature"), "unsupported"),
    (lambda content: content["signer"][1][0].update(issuer=("sha384AndDigest", bytes(8))), "unsupported"),
])
def test_forms_that_are_not_read_here_are_refused_by_name(change, reason):
    assert reason_of(changed(message(), change)) == reason


@pytest.mark.parametrize(("opening", "what"), [
    ("0382", "encryptedData"), ("0383", "signedCertificateRequest"), ("038400", "signedX509CertificateRequest"),
    ("0381004003810040", "signedData"), ("0385", "alternative 5")])
def test_other_data_than_signed_is_unsupported_by_name(opening, what):
    with pytest.raises(SignatureRefused, match=what) as caught:
        verifier().open(bytes.fromhex(opening), NOW_NS)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("tag", "name"), [("81", "ecdsaBrainpoolP256r1Signature"), ("82", "ecdsaBrainpoolP384r1Signature")])
def test_a_signature_on_another_curve_is_unsupported_by_name(tag, name):
    octets = message()
    at = len(octets) - 66
    with pytest.raises(SignatureRefused, match=name) as caught:
        verifier().open(octets[:at] + bytes.fromhex(tag + "00") + octets[at + 1:], NOW_NS)
    assert caught.value.reason == "unsupported"


def test_a_key_in_the_header_counts_in_its_canonical_form():
    numbers = unit().key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    keys = [("uncompressedP256", {"x": x, "y": y}), (f"compressed-y-{y[-1] & 1}", x)]
    long, short = ({"supportedSymmAlg": "aes128Ccm", "publicKey": ("eciesNistP256", key)} for key in keys)
    signed_short = resigned(message(), lambda content: header(content).update(encryptionKey=("public", short)))
    assert reason_of(signed_short) == ""
    assert reason_of(changed(signed_short, lambda content: header(content).update(encryptionKey=("public", long)))) == ""


def test_certificates_learned_from_messages_are_bounded_and_the_longest_unused_go():
    receiver = verifier(Limits(certificates=3))
    senders = [signer(certify(f"unit {i}", authorities()[1], START_NS, 24, app={CPM: None})) for i in range(4)]
    for sender in senders:
        receiver.open(sender.sign(PAYLOAD, CPM, NOW_NS), NOW_NS)
    said = [reason_of(sender.sign(PAYLOAD, CPM, NOW_NS + 1000), by=receiver) for sender in senders]
    assert said == ["unknown-signer", "", "", ""]


@given(values(DATA))
@settings(max_examples=200)
def test_whatever_the_tables_allow_is_refused_with_a_reason_and_nothing_else(value):
    assert reason_of(write_data(value)) != ""


@given(values(HEADER_INFO))
@settings(max_examples=200)
def test_whatever_a_header_says_is_refused_with_a_reason_or_taken(found):
    """Signed by a unit that is believed, so that all of what comes after the layout is reached."""
    def change(content):
        content["tbsData"]["headerInfo"] = {"psid": CPM, "generationTime": header(content)["generationTime"]} | {
            name: part for name, part in found.items() if name not in ("generationTime", "psid")}

    assert reason_of(resigned(message(), change)) in ("", "stale", "malformed", "unsupported")


def test_a_number_that_fills_the_message_is_unsupported():
    octets = message()
    at = octets.index(b"\x02\x02\x7f")  # the psid in the header, 639
    assert reason_of(octets[:at] + b"\x82\x07\xd0" + b"\x01" * 2000 + octets[at + 3:]) == "unsupported"


def test_a_stranger_s_name_cannot_break_the_line_it_is_told_in():
    stranger = certify("a\nb", None, START_NS, 24, app={CPM: None})
    with pytest.raises(SignatureRefused) as caught:
        verifier().open(message(identity=stranger), NOW_NS)
    assert "\n" not in str(caught.value) and "a\\nb" in str(caught.value)


def mutated(octets: bytes, rng: np.random.Generator) -> bytes:
    """The octets with one to four of them set, left out, doubled with what follows, or cut off with what follows."""
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(octets) + 1))
        kept, rest = octets[:at], octets[at:]
        octets = [kept + rng.bytes(1) + rest[1:], kept + rest[1:], kept + rest[:40] + rest, kept][int(rng.integers(0, 4))]
    return octets


def test_mutated_messages_are_refused_with_a_reason_and_nothing_else():
    rng, octets = np.random.default_rng(5), message()
    reasons = [reason_of(mutated(octets, rng)) for _ in range(4000)]
    assert {"", "malformed", "unsupported", "bad-signature", "unknown-signer"} <= set(reasons)
    assert reasons.count("") < 40  # a certificate doubled or an octet set to itself
