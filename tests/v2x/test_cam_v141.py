import random

import pytest

from data_specs.errors import DecodeError, SpecError
from tests.v2x.any_value import any_value
from tests.v2x.golden import vectors
from tests.v2x.peers import run_peer
from v2x.codecs.cam_v141 import FORMS, TABLE, decode_pdu, encode_pdu

GOOD = vectors("vectors_dev", "cam_en302637_2_v141")
BAD = vectors("vectors_dev_bad", "cam_en302637_2_v141")


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
    octets = run_peer("peer_pycrate.py", "ITS_CAM_2", "CAM_PDU_Descriptions.CAM", lines=values)
    assert [encode_pdu(value).hex() for value in values] == octets



def test_a_table_knows_every_container_of_the_edition():
    rng = random.Random(7)
    picked = [any_value(TABLE, rng, novelty=0.0)["cam"]["camParameters"] for _ in range(200)]
    assert {value["specialVehicleContainer"]["choice"] for value in picked if "specialVehicleContainer" in value} == {
        "publicTransportContainer", "specialTransportContainer", "dangerousGoodsContainer", "roadWorksContainerBasic",
        "rescueContainer", "emergencyContainer", "safetyCarContainer"}
    assert {value["highFrequencyContainer"]["choice"] for value in picked} == {
        "basicVehicleContainerHighFrequency", "rsuContainerHighFrequency"}


def test_a_zone_type_behind_the_extension_marker_is_known_by_name():
    zones = [zone["protectedZoneType"] for vector in GOOD
             for zone in vector["value"]["cam"]["camParameters"]["highFrequencyContainer"]["value"].get(
                 "protectedCommunicationZonesRSU", ())]
    assert set(zones) == {"permanentCenDsrcTolling", "temporaryCenDsrcTolling"}


def test_lanes_beyond_thirteen_are_refused_by_name():
    value = {"innerhardShoulderStatus": "closed", "drivingLaneStatus": {"hex": "0000", "length": 14}}
    message = next(vector["value"] for vector in GOOD if "lowFrequencyContainer" in vector["value"]["cam"]["camParameters"])
    parameters = message["cam"]["camParameters"] | {"specialVehicleContainer": {
        "choice": "roadWorksContainerBasic", "value": {"lightBarSirenInUse": {"hex": "00", "length": 2}, "closedLanes": value}}}
    with pytest.raises(SpecError, match=r"drivingLaneStatus.*expected 1 to 13 bits"):
        encode_pdu(message | {"cam": message["cam"] | {"camParameters": parameters}})


def test_the_plain_name_is_the_only_form():
    assert list(FORMS) == ["etsi-cam-1.4.1"]
