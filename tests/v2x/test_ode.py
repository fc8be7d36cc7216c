import json
import struct
from pathlib import Path

import numpy as np
import pytest

from data_specs.errors import InputError, UnknownFormat
from data_specs.messages import StationMessage
from v2x import ode
from v2x.codecs import decode

FOLDER = Path(__file__).parent / "vectors"
# Head of a record in an ODE's bsmTx log, little-endian: source, place, motion, Unix time, result, length of what follows.
_LOG_HEAD = struct.Struct("<BiiiHHIHBH")
_UNSECURED = 4  # octets of an IEEE 1609.2 envelope without a signature, whose length takes two octets


@pytest.mark.parametrize("name", ["sdsm", "bsm", "psm", "spat", "map"])
def test_an_envelope_gives_back_the_octets_it_was_made_from(name):
    for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        octets = bytes.fromhex(json.loads(line)["uper_hex"])
        envelope = json.loads(json.dumps(ode.envelope_of(octets, 1_748_001_600_250_000_000)))
        assert ode.octets_of(envelope) == octets


@pytest.mark.parametrize("text, words", [
    ("{", "no JSON"),
    ("{}", "no metadata or payload"),
    ('{"metadata": {"asn1": "zz"}, "payload": {"data": {}}}', "asn1 'zz', expected octets as hex"),
    ('{"metadata": {}, "payload": {"data": {"a": 1}}}', r"payload of \['a'\] without octets"),
    ('{"metadata": {}, "payload": {"data": {"coreData": {"msgCnt": 1}}}}', "coreData that is not read"),
    ('{"metadata": {"asn1": "00290000", "odeReceivedAt": "now"}, "payload": {"data": {}}}', "odeReceivedAt 'now'"),
])
def test_what_is_no_envelope_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        ode.decode_envelope(text)


def test_a_message_that_the_ode_has_no_topic_for_is_refused():
    assert ode.topic_of("sae-sdsm") == "topic.OdeSdsmJson"
    with pytest.raises(UnknownFormat, match=r"wire format 'etsi-cpm-2\.1\.1'"):
        ode.topic_of("etsi-cpm-2.1.1")


@pytest.mark.sample_data
def test_a_real_sdsm_record_reads_the_same_from_its_payload_and_is_written_as_it_was(sample_data):
    envelope = json.loads((sample_data / "v2x" / "j2735" / "sample-sdsm.json").read_text(encoding="utf-8"))
    octets = ode.octets_of(envelope)
    assert ode.envelope_of(octets, 0)["payload"] == envelope["payload"]
    del envelope["metadata"]["asn1"]
    assert ode.octets_of(envelope) == octets


@pytest.mark.sample_data
def test_real_bsm_records_read_the_same_as_the_octets_of_their_log(sample_data):
    folder = sample_data / "v2x" / "j2735"
    records = {record["metadata"]["serialId"]["recordId"]: record for record in map(
        json.loads, (folder / "bsmTx.json").read_text(encoding="utf-8").splitlines())}
    log, at = (folder / "bsmTx.bin").read_bytes(), 0
    for number in range(len(records)):
        length = _LOG_HEAD.unpack_from(log, at)[-1]
        octets = log[at + _LOG_HEAD.size + _UNSECURED:at + _LOG_HEAD.size + length]
        at += _LOG_HEAD.size + length
        told = ode.decode_envelope(json.dumps(records[number]))
        read = decode(octets, received_ns=told.header.received_ns)
        assert isinstance(told, StationMessage) and isinstance(read, StationMessage)
        assert (told.station_id, told.header.generated_ns, told.position) == (
            read.station_id, read.header.generated_ns, read.position)
        np.testing.assert_allclose(told.objects.velocity_mps, read.objects.velocity_mps)
        np.testing.assert_array_equal(told.objects.boxes.size_lwh_m[:, :2], read.objects.boxes.size_lwh_m[:, :2])
    assert at == len(log)


@pytest.mark.sample_data
def test_a_real_psm_record_reads_as_its_payload_says(sample_data):
    envelope = json.loads((sample_data / "v2x" / "j2735" / "sample-psm.json").read_text(encoding="utf-8"))
    message = ode.decode_envelope(json.dumps(envelope))
    said = envelope["payload"]["data"]
    assert isinstance(message, StationMessage)
    assert (message.position.latitude_deg, message.position.longitude_deg) == (
        said["position"]["latitude"], said["position"]["longitude"])
    assert message.station_id == int(said["id"], 16) and message.objects.label.tolist() == [6]
