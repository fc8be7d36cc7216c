import json
from pathlib import Path

import pytest

from data_specs.errors import DecodeError, SpecError
from v2x.codecs import bsm, map_data, mapem, psm, sdsm, spat, spatem
from v2x.codecs.door import decode_pdu, edition_of, encode_pdu

FOLDER = Path(__file__).parent / "vectors"
FILES = {"sdsm": sdsm, "bsm": bsm, "psm": psm, "spat": spat, "map": map_data, "spatem": spatem, "mapem": mapem}


def golden(name):
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", FILES)
def test_golden_messages_decode_to_their_values_and_encode_to_their_octets(name):
    for line in golden(name):
        octets = bytes.fromhex(line["uper_hex"])
        assert edition_of(octets) == FILES[name].WIRE_FORMAT
        assert decode_pdu(octets) == (line["value"], FILES[name].WIRE_FORMAT)
        assert encode_pdu(line["value"], FILES[name].WIRE_FORMAT) == octets


@pytest.mark.parametrize("name", FILES)
def test_messages_cut_short_are_refused_wherever_the_cut_is(name):
    octets = bytes.fromhex(golden(name)[0]["uper_hex"])
    for kept in range(2, len(octets), 7):
        with pytest.raises(DecodeError) as caught:
            decode_pdu(octets[:kept])
        assert 0 <= caught.value.offset_bits <= 8 * kept


def test_a_frame_that_carries_another_message_is_refused():
    octets = bytes.fromhex(golden("bsm")[0]["uper_hex"])
    with pytest.raises(DecodeError, match="bit 1: value 20, expected 41"):
        sdsm.decode_pdu(octets)


def test_a_regional_extension_keeps_its_octets():
    value = golden("psm")[0]["value"]
    value["value"]["position"]["regional"] = [{"regionId": 200, "regExtValue": "c0ffee"}]
    assert psm.decode_pdu(psm.encode_pdu(value))[0] == value


def test_part_two_that_is_not_known_keeps_its_octets():
    value = golden("bsm")[0]["value"]
    value["value"]["partII"] = [{"partII-Id": 63, "partII-Value": "00"}, {"partII-Id": 2, "partII-Value": {"classification": 10}}]
    assert bsm.decode_pdu(bsm.encode_pdu(value))[0] == value


def test_an_event_flag_of_a_later_edition_takes_the_extended_form():
    """Jack-knife is the fourteenth of flags whose table has thirteen."""
    value = golden("bsm")[0]["value"]
    value["value"]["partII"] = [{"partII-Id": 0, "partII-Value": {"events": {"hex": "0004", "length": 14}}}]
    assert bsm.decode_pdu(bsm.encode_pdu(value))[0] == value


def test_signals_of_sae_and_of_etsi_end_their_hour_differently():
    value = golden("spatem")[0]["value"]
    value["spat"]["intersections"][0]["states"][0]["state-time-speed"][0]["timing"] = {"minEndTime": 36_111}
    with pytest.raises(SpecError, match=r"minEndTime: 36111, expected .*0 to 36001"):
        spatem.encode_pdu(value)


def test_longitudes_of_sae_and_of_etsi_start_differently():
    lane = {"laneID": 1, "laneAttributes": {"directionalUse": {"hex": "00", "length": 2},
                                            "sharedWith": {"hex": "0000", "length": 10},
                                            "laneType": {"choice": "vehicle", "value": {"hex": "00", "length": 8}}},
            "nodeList": {"choice": "nodes", "value": 2 * [{"delta": {"choice": "node-XY1", "value": {"x": 1, "y": 2}}}]}}
    lanes = {"msgIssueRevision": 0, "intersections": [{
        "id": {"id": 1}, "revision": 0, "refPoint": {"lat": 0, "long": -1_800_000_000}, "laneSet": [lane]}]}
    value = {"header": {"protocolVersion": 2, "messageID": 5, "stationID": 1}, "map": lanes}
    assert mapem.decode_pdu(mapem.encode_pdu(value))[0] == value
    with pytest.raises(SpecError, match="long: -1800000000"):
        map_data.encode_pdu({"messageId": 18, "value": lanes})


@pytest.mark.sample_data
def test_recorded_messages_of_a_running_ode_decode_to_what_it_says_of_them(sample_data):
    sample = json.loads((sample_data / "v2x" / "j2735" / "sample-sdsm.json").read_text(encoding="utf-8"))
    octets = bytes.fromhex(sample["metadata"]["asn1"])
    pdu, form = decode_pdu(octets)
    said = sample["payload"]["data"]["value"]["SensorDataSharingMessage"]
    assert form == "sae-sdsm" and pdu["value"] == said | {"sourceID": said["sourceID"].lower()}
    assert encode_pdu(pdu, form) == octets
