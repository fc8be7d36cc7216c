import random

import pytest

from data_specs.errors import DecodeError, SpecError
from tests.v2x.any_value import any_value
from tests.v2x.golden import vectors
from tests.v2x.peers import run_peer
from v2x.codecs.denm_v131 import FORMS, TABLE, decode_pdu, encode_pdu

GOOD = vectors("vectors_dev", "denm_en302637_3_v131")
BAD = vectors("vectors_dev_bad", "denm_en302637_3_v131")


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_a_valid_message_decodes_to_its_values_and_encodes_to_its_octets(vector):
    octets = bytes.fromhex(vector["uper_hex"])
    assert decode_pdu(octets) == vector["value"]
    assert encode_pdu(vector["value"]) == octets


@pytest.mark.parametrize("vector", BAD, ids=lambda v: v["name"])
def test_a_broken_message_is_refused(vector):
    octets = bytes.fromhex(vector["uper_hex"])
    with pytest.raises(DecodeError) as caught:
        decode_pdu(octets)
    assert 0 <= caught.value.offset_bits <= 8 * len(octets)


def test_any_value_of_the_table_comes_back_from_its_octets():
    rng = random.Random(5)
    for _ in range(150):
        value = any_value(TABLE, rng)
        assert decode_pdu(encode_pdu(value)) == value


@pytest.mark.slow
def test_pycrate_writes_the_same_octets_for_any_value():
    rng = random.Random(6)
    values = [any_value(TABLE, rng, novelty=0.0) for _ in range(400)]
    octets = run_peer("peer_pycrate.py", "ITS_DENM_3", "DENM_PDU_Descriptions.DENM", lines=values)
    assert [encode_pdu(value).hex() for value in values] == octets


def shortest() -> dict:
    return min(GOOD, key=lambda vector: len(vector["uper_hex"]))["value"]


def test_a_validity_of_ten_minutes_is_not_sent_and_shown_all_the_same():
    value = shortest()
    management = value["denm"]["management"]
    default, other = ({**value, "denm": {"management": {**management, "validityDuration": seconds}}} for seconds in (600, 601))
    assert decode_pdu(encode_pdu(default)) == default
    assert len(encode_pdu(other)) - len(encode_pdu(default)) in (2, 3)  # 17 bits
    without = {**value, "denm": {"management": {k: v for k, v in management.items() if k != "validityDuration"}}}
    assert encode_pdu(without) == encode_pdu(default)


def test_a_company_name_is_counted_in_octets_and_a_phone_number_has_digits_alone():
    value = shortest()
    goods = {"dangerousGoodsType": "toxicGases", "unNumber": 1017, "elevatedTemperature": False, "tunnelsRestricted": True,
             "limitedQuantity": False, "phoneNumber": "0043 1 234", "companyName": "Gef\u00e4hrliches & S\u00f6hne"}
    denm = {**value["denm"], "alacarte": {"stationaryVehicle": {"carryingDangerousGoods": goods}}}
    assert decode_pdu(encode_pdu({**value, "denm": denm}))["denm"]["alacarte"]["stationaryVehicle"] == {
        "carryingDangerousGoods": goods}
    goods["phoneNumber"] = "+43"
    with pytest.raises(SpecError, match=r"phoneNumber: '\+', expected a character of the alphabet 'numeric'"):
        encode_pdu({**value, "denm": denm})


def test_the_plain_name_is_the_only_form():
    assert list(FORMS) == ["etsi-denm-1.3.1"]
