from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.clock import NS_PER_S
from data_specs.errors import SpecError
from data_specs.site import Site
from tests.v2x.on_air import NOW_NS, SENDER, cpm, packet, signed_packet, signer_of, street
from v2x.codecs import decode
from v2x.gateway import Accepted, Gateway, Refused
from v2x.gateway_replay import ReplayWindow
from v2x.security.pki import make_keys
from v2x.security.psids import CAM
from v2x.security.store import read_trust_store
from v2x.security.verify import Verifier

DAY_NS = 24 * 3600 * NS_PER_S
STREET = street()


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pki") / "keys"
    make_keys(folder, ["rsu-1", "rsu-2", "rsu-3"], NOW_NS - 100 * DAY_NS)
    return folder


def gateway(site: Site, keys: Path | None = None) -> Gateway:
    if keys is None:
        return Gateway(site)
    store = read_trust_store(keys)
    return Gateway(site, {crossing.id: Verifier(store, crossing.origin) for crossing in site.crossings})


def reason(verdict: Accepted | Refused) -> str:
    return verdict.reason if isinstance(verdict, Refused) else "accepted"


def test_a_packet_of_a_known_unit_becomes_a_record_of_its_crossing():
    site, units = STREET
    verdict = gateway(site).admit(packet(units[2]), SENDER, NOW_NS + 5_000_000)
    assert isinstance(verdict, Accepted) and not verdict.signed
    record = verdict.record
    assert (record.topic, record.key, record.value, record.time_ns) == ("rsu.messages", "crossing-2", cpm(units[2]), NOW_NS)
    headers = {name: value.decode() for name, value in record.headers.items()}
    assert headers["publisher"] == headers["publisherId"] == units[2].rsu.source
    assert (headers["messageType"], headers["wire_format"], headers["protocolVersion"]) == ("CPM", "etsi-cpm-2.1.1", "2")
    assert headers["received_ns"] == str(NOW_NS + 5_000_000)
    message = decode(record.value, headers["wire_format"], publisher=headers["publisher"])
    assert message.header.generated_ns == NOW_NS


def test_an_unknown_sender_is_named_by_its_address_and_placed_by_its_position():
    site, units = STREET
    for octets, publisher in ((packet(units[0], source="0a0b0c0d0e0f1011"), "0a0b0c0d0e0f1011"), (cpm(units[0]), "192.0.2.7")):
        verdict = gateway(site).admit(octets, SENDER, NOW_NS)
        assert isinstance(verdict, Accepted)
        assert (verdict.record.key, verdict.record.headers["publisher"]) == ("crossing", publisher.encode())


@pytest.mark.parametrize("source", ["192.0.2.7", "192.0.2.7:4000"])
def test_a_bare_message_belongs_to_the_unit_whose_ip_address_the_site_file_has(source):
    site, units = STREET
    site = replace(site, rsus=(*site.rsus[:3], replace(site.rsus[3], source=source)))
    verdict = gateway(site).admit(cpm(units[0]), SENDER, NOW_NS)
    assert isinstance(verdict, Accepted)
    assert (verdict.record.key, verdict.record.headers["publisher"]) == ("crossing-2", source.encode())


def test_the_twelve_digits_of_a_mac_address_name_a_geonetworking_address_too():
    site, units = STREET
    site = replace(site, rsus=(replace(site.rsus[0], source=units[0].rsu.source[4:].upper()), *site.rsus[1:]))
    verdict = gateway(site).admit(packet(units[0]), SENDER, NOW_NS)
    assert isinstance(verdict, Accepted)
    assert verdict.record.headers["publisher"] == units[0].rsu.source[4:].upper().encode()


def test_the_station_id_alone_opens_no_door():
    site, units = STREET
    far = replace(units[0], origin=replace(units[0].origin, latitude_deg=20.0))
    assert reason(gateway(site).admit(packet(far, source="0a0b0c0d0e0f1011"), SENDER, NOW_NS)) == "no-crossing"


@pytest.mark.parametrize(("octets", "expected"), [
    (b"", "no-message"), (b"\x01", "no-message"), (b"\x12\x00\x05\x01", "no-message"),
    (b"\x11\x00\x05\x01" + bytes(30), "no-message"),
    (b"\x02\x0e", "malformed"), (b"\xff" * 40, "unsupported"), (b"\x02\x07" + bytes(60), "unsupported"),
    (b"\x00\x1f\x05hello", "unsupported"), (b"\x03\x81" + bytes(40), "no-message"), (b"\x03\x82" + bytes(40), "no-message"),
])
def test_what_is_no_message_is_refused_with_the_reason(octets, expected):
    assert reason(gateway(STREET[0]).admit(octets, SENDER, NOW_NS)) == expected


def test_every_cut_of_a_packet_is_refused_and_nothing_else_happens(keys):
    site, units = STREET
    for admit, whole in ((gateway(site).admit, packet(units[0])),
                         (gateway(street("required")[0], keys).admit, signed_packet(units[0], signer_of(keys, units[0])))):
        for length in range(0, len(whole), 3):
            assert isinstance(admit(whole[:length], SENDER, NOW_NS), Refused)


@given(st.binary(max_size=80), st.integers(0, 5))
def test_any_octets_are_accepted_or_refused(octets, kind):
    start = (b"", b"\x11\x00\x05\x01", b"\x12\x00\x05\x01\x03\x81", b"\x03\x81\x00\x40\x03\x80", b"\x02\x0e", b"\x00\x14")[kind]
    assert isinstance(gateway(STREET[0]).admit(start + octets, SENDER, NOW_NS), Accepted | Refused)


def test_the_same_message_is_let_in_once_however_it_comes():
    site, units = STREET
    admit = gateway(site).admit
    assert reason(admit(packet(units[0]), SENDER, NOW_NS)) == "accepted"
    assert reason(admit(packet(units[0]), "198.51.100.1:9", NOW_NS + NS_PER_S)) == "replayed"
    assert reason(admit(packet(units[1], payload=cpm(units[0])), SENDER, NOW_NS)) == "accepted"
    assert reason(admit(packet(units[0], NOW_NS + 100_000_000), SENDER, NOW_NS + NS_PER_S)) == "accepted"


@pytest.mark.parametrize(("late_s", "expected"), [(29, "accepted"), (31, "stale"), (-4, "accepted"), (-6, "future")])
def test_what_is_too_old_to_be_told_from_a_replay_or_ahead_of_time_is_refused(late_s, expected):
    site, units = STREET
    assert reason(gateway(site).admit(packet(units[0]), SENDER, NOW_NS + late_s * NS_PER_S)) == expected


def test_where_signatures_are_required_only_signed_messages_come_in_under_their_certificates_name(keys):
    site, units = street("required", "required")
    admit, signer = gateway(site, keys).admit, signer_of(keys, units[0])
    assert reason(admit(packet(units[0]), SENDER, NOW_NS)) == reason(admit(cpm(units[0]), SENDER, NOW_NS)) == "unsigned"
    verdict = admit(signed_packet(units[0], signer), SENDER, NOW_NS)
    assert isinstance(verdict, Accepted) and verdict.signed
    assert verdict.record.headers["publisher"] == signer.publisher.encode()
    assert verdict.record.value == cpm(units[0])


def test_where_signatures_are_required_expired_foreign_replayed_and_altered_messages_stay_out(keys, tmp_path):
    site, units = street("required", "required")
    make_keys(tmp_path / "others", ["rsu-1"], NOW_NS - DAY_NS)
    mine, other = signer_of(keys, units[0]), signer_of(tmp_path / "others", units[0])
    admit, late_ns = gateway(site, keys).admit, NOW_NS + 400 * DAY_NS
    good = signed_packet(units[0], mine)
    assert reason(admit(signed_packet(units[0], other), SENDER, NOW_NS)) == "unknown-signer"
    assert reason(admit(good[:-1] + bytes([good[-1] ^ 1]), SENDER, NOW_NS)) == "bad-signature"
    assert reason(admit(signed_packet(units[0], mine, psid=CAM), SENDER, NOW_NS)) == "wrong-psid"
    assert reason(admit(good, SENDER, NOW_NS)) == "accepted"
    assert reason(admit(good, "198.51.100.1:9", NOW_NS)) == "replayed"
    assert reason(admit(good, SENDER, NOW_NS + 60 * NS_PER_S)) == "stale"
    assert reason(admit(signed_packet(units[0], mine, late_ns), SENDER, late_ns)) == "expired"


def test_a_message_signed_anew_is_still_the_same_message(keys):
    site, units = street("required", "required")
    admit, payload = gateway(site, keys).admit, cpm(units[0])
    signer = signer_of(keys, units[0])
    assert reason(admit(signed_packet(units[0], signer, payload=payload), SENDER, NOW_NS)) == "accepted"
    assert reason(admit(signed_packet(units[0], signer, NOW_NS + 1_000_000, payload=payload), SENDER, NOW_NS)) == "replayed"


def test_where_signatures_are_preferred_unsigned_messages_come_in_but_false_ones_do_not(keys, tmp_path):
    site, units = street("preferred", "preferred")
    make_keys(tmp_path / "others", ["rsu-1"], NOW_NS - DAY_NS)
    admit = gateway(site, keys).admit
    unsigned, good = packet(units[0]), signed_packet(units[1], signer_of(keys, units[1]))
    foreign = signed_packet(units[2], signer_of(tmp_path / "others", units[0]))
    assert reason(admit(good[:-1] + bytes([good[-1] ^ 1]), SENDER, NOW_NS)) == "bad-signature"
    signs = [admit(octets, SENDER, NOW_NS) for octets in (unsigned, good, foreign)]
    assert [isinstance(verdict, Accepted) and verdict.signed for verdict in signs] == [False, True, False]
    assert [reason(verdict) for verdict in signs] == ["accepted"] * 3


def test_where_signatures_are_preferred_a_unit_with_a_certificate_cannot_be_impersonated_by_leaving_it_out(keys):
    site, units = street("preferred", "preferred")
    publisher = signer_of(keys, units[0]).publisher
    site = replace(site, rsus=(replace(site.rsus[0], certificate=publisher), *site.rsus[1:]))
    assert reason(gateway(site, keys).admit(packet(units[0]), SENDER, NOW_NS)) == "unsigned"
    assert reason(gateway(site, keys).admit(packet(units[1]), SENDER, NOW_NS)) == "accepted"


def test_where_the_policy_is_off_a_signature_is_not_looked_at(keys):
    site, units = STREET
    good = signed_packet(units[0], signer_of(keys, units[0]))
    verdict = gateway(site).admit(good[:-1] + bytes([good[-1] ^ 1]), SENDER, NOW_NS)
    assert isinstance(verdict, Accepted) and not verdict.signed
    assert verdict.record.headers["publisher"] == units[0].rsu.source.encode()


def test_each_crossing_has_its_own_policy(keys):
    site, units = street("off", "required")
    admit = gateway(site, keys).admit
    assert reason(admit(packet(units[0]), SENDER, NOW_NS)) == "accepted"
    assert reason(admit(packet(units[2]), SENDER, NOW_NS)) == "unsigned"
    assert reason(admit(signed_packet(units[2], signer_of(keys, units[2])), SENDER, NOW_NS)) == "accepted"


def test_the_name_of_a_unit_at_an_open_crossing_opens_no_door_at_a_closed_one(keys):
    site, units = street("off", "required")
    assert reason(gateway(site, keys).admit(packet(units[2], source=units[0].rsu.source), SENDER, NOW_NS)) == "unsigned"


def test_policies_without_a_trust_store_are_refused():
    with pytest.raises(SpecError, match="crossing crossing: policy is not off, expected a trust store"):
        gateway(street("required")[0])


def test_a_flood_of_forged_senders_takes_no_more_memory_than_the_window_has():
    site, units = STREET
    window = ReplayWindow(most=50)
    flooded, payload = Gateway(site, window=window), cpm(units[0], objects=0)
    for number in range(500):
        assert reason(flooded.admit(packet(units[0], payload=payload, source=f"{number:016x}"), SENDER, NOW_NS)) == "accepted"
    assert len(window) <= 100
    assert window.turned_early == 9
