import json

import numpy as np
import pytest
from typer.testing import CliRunner

from data_specs.errors import InputError, MissingInput, TruncatedInput, UnknownFormat
from data_specs.messages import RoadsideMessage
from replay.drive import ROADSIDE_MESSAGES
from tests.v2x.golden import vectors
from tests.v2x.radio import ADDRESS, ethernet, geonetworking, signed, write_pcap
from v2x.codecs import cpm_tr103562, decode
from v2x.codecs.geonet import PORT_CPM, unwrap
from v2x.importers import PcapImporter
from v2x.pcap import read_pcap

PLACED = [bytes.fromhex(v["uper_hex"]) for v in vectors("vectors_dev") if v["name"] in (
    "cpm_dev_001_station_max", "cpm_dev_016_plain", "cpm_dev_028_plain")]


def mixed_capture(path):
    frames = [
        ethernet(geonetworking(PLACED[0])), ethernet(b"arp", ethertype=0x0806), ethernet(signed(geonetworking(PLACED[1]))),
        ethernet(geonetworking(b"\x02\x02", port=2001)), ethernet(geonetworking(PLACED[0][:60])),
        ethernet(geonetworking(b"\x02\x0e", header=(1, 0))),
    ]
    return write_pcap(path, frames)


@pytest.mark.parametrize("order, nanoseconds", [("<", False), (">", False), ("<", True), (">", True)])
def test_every_classic_form_reads_the_same(tmp_path, order, nanoseconds):
    path = write_pcap(tmp_path / "a.pcap", [b"one", b"", b"three"], order, nanoseconds)
    packets = list(read_pcap(path))
    assert [packet.data for packet in packets] == [b"one", b"", b"three"]
    assert [packet.received_ns for packet in packets] == [1_671_004_143_000_000_000 + i * 100_000_000 for i in range(3)]


def test_what_is_not_such_a_file_is_refused(tmp_path):
    path = tmp_path / "a.pcap"
    with pytest.raises(MissingInput, match="expected a pcap file"):
        list(read_pcap(path))
    for data, text in ((b"hello world", "first octets 68656c6c"), (b"", "first octets none")):
        path.write_bytes(data)
        with pytest.raises(UnknownFormat, match=text):
            list(read_pcap(path))
    with pytest.raises(UnknownFormat, match=r"link type 105, expected 1 \(Ethernet\)"):
        list(read_pcap(write_pcap(path, [], link_type=105)))


def test_a_capture_that_is_cut_anywhere_is_truncated_input(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [b"0123456789"] * 2)
    whole = path.read_bytes()
    for length in range(4, len(whole)):
        path.write_bytes(whole[:length])
        if length in (24, 24 + 26):
            continue  # an end between records is an end
        with pytest.raises(TruncatedInput, match=r"a\.pcap"):
            list(read_pcap(path))


def test_a_length_beyond_any_packet_is_refused_before_it_is_read(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [b""])
    data = bytearray(path.read_bytes())
    data[24 + 8:24 + 12] = b"\xff" * 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="a packet of 4294967295 octets at byte 24"):
        list(read_pcap(path))


def test_cpms_become_events_and_the_rest_is_counted(tmp_path):
    importer = PcapImporter(mixed_capture(tmp_path / "street.pcap"))
    info, events = importer.describe(), list(importer)
    assert len(importer) == len(events) == info.topics[ROADSIDE_MESSAGES].count == 2
    assert [event.time_ns for event in events] == sorted(event.payload.header.generated_ns for event in events)
    assert {event.payload.header.raw for event in events} == set(PLACED[:2])
    assert {event.payload.header.publisher for event in events} == {ADDRESS.hex()}
    skipped = info.facts["skipped"]
    assert skipped["ethertype 0x0806"] == skipped["BTP port 2001 (CAM)"] == skipped["GeoNetworking beacon"] == 1
    assert sum(skipped.values()) == 4
    assert any("breaks its standard" in reason for reason in skipped)
    assert "left out" in info.notes[-1]


def test_the_first_reference_position_is_the_origin_and_publishers_are_the_site(tmp_path):
    info = PcapImporter(mixed_capture(tmp_path / "street.pcap")).describe()
    (rsu,) = info.site.rsus
    assert rsu.name == rsu.source == ADDRESS.hex()
    np.testing.assert_allclose(rsu.map_from_rsu.translation_m, 0.0, atol=1e-6)
    assert info.drive_id == "street"


def test_a_capture_without_any_cpm_is_refused_with_what_was_there(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [ethernet(b"", ethertype=0x0800)] * 3)
    with pytest.raises(InputError, match=r"no CPM \(3 packets of ethertype 0x0800\)"):
        PcapImporter(path)


def test_the_command_makes_a_drive_and_says_what_is_in_it(tmp_path):
    from roadweave import app

    source = mixed_capture(tmp_path / "street.pcap")
    result = CliRunner().invoke(app, ["import", "pcap", str(source), str(tmp_path / "drive"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["messages"] == 2


def test_a_message_dated_by_16_bits_is_completed_by_its_arrival():
    value = {
        "header": {"protocolVersion": 1, "messageId": 14, "stationId": 9},
        "cpm": {"generationDeltaTime": 4660, "cpmParameters": {
            "managementContainer": {"stationType": 15, "referencePosition": {
                "latitude": 359_032_597, "longitude": 1_399_343_755,
                "positionConfidenceEllipse": {
                    "semiMajorConfidence": 4095, "semiMinorConfidence": 4095, "semiMajorOrientation": 3601},
                "altitude": {"altitudeValue": 800_001, "altitudeConfidence": "unavailable"}}},
            "numberOfPerceivedObjects": 0}},
    }
    octets = cpm_tr103562.encode_pdu(value, cpm_tr103562.DELTA_FORM)
    received_ns = 1_671_004_143_000_000_000
    message = decode(octets, received_ns=received_ns)
    assert isinstance(message, RoadsideMessage)
    assert message.header.wire_format == cpm_tr103562.DELTA_FORM
    assert 0 <= received_ns - message.header.generated_ns < 65_536_000_000
    assert np.isnan(message.position.altitude_m)
    with pytest.raises(InputError, match="expected a time of arrival"):
        decode(octets, received_ns=0)


def recorded_cpms(sample_data) -> list[tuple[int, bytes]]:
    found = []
    for packet in read_pcap(sample_data / "v2x" / "etsi_cpm_kashiwa" / "RSU_0.pcap"):
        if packet.data[12:14] == b"\x89\x47":
            unwrapped = unwrap(packet.data)
            assert unwrapped.port == PORT_CPM
            found.append((packet.received_ns, unwrapped.payload))
    return found


@pytest.mark.sample_data
def test_all_6305_recorded_cpms_encode_back_to_their_octets(sample_data):
    recorded = recorded_cpms(sample_data)
    assert len(recorded) == 6305
    for _, octets in recorded:
        value, form = cpm_tr103562.decode_pdu(octets)
        assert form == cpm_tr103562.WIRE_FORMAT
        assert cpm_tr103562.encode_pdu(value, form) == octets


@pytest.mark.sample_data
def test_recorded_objects_stand_where_the_decoded_samples_say(sample_data):
    samples = json.loads((sample_data / "v2x" / "etsi_cpm_kashiwa" / "RSU_0_decoded_sample.json").read_text())
    for sample in samples:
        value, _ = cpm_tr103562.decode_pdu(bytes.fromhex(sample["hex"]))
        assert (value["header"]["stationId"], value["cpm"]["generationTime"]) == (sample["station"], sample["generationTime"])
        seen = value["cpm"]["cpmParameters"].get("perceivedObjectContainer", [])
        assert [(o["objectID"], o["xDistance"]["value"], o["yDistance"]["value"], o["timeOfMeasurement"]) for o in seen] == [
            (o["id"], o["x"], o["y"], o["tom"]) for o in sample["objects"]]
        message = decode(bytes.fromhex(sample["hex"]))
        assert isinstance(message, RoadsideMessage)
        distances_m = np.hypot(*message.objects.boxes.center_m[:, :2].T)
        np.testing.assert_allclose(distances_m, [np.hypot(o["x"], o["y"]) / 100 for o in sample["objects"]])
        late_ms = (message.header.generated_ns - message.objects.measured_ns) / 1e6
        np.testing.assert_array_equal(late_ms, [o["tom"] for o in sample["objects"]])


@pytest.mark.sample_data
def test_the_recorded_capture_becomes_a_drive(sample_data):
    importer = PcapImporter(sample_data / "v2x" / "etsi_cpm_kashiwa" / "RSU_0.pcap")
    info = importer.describe()
    assert len(importer) == 6305
    assert [rsu.source for rsu in info.site.rsus] == ["80007c5079f8a82c"]
    assert info.facts["skipped"] == {"ethertype 0x0806": 4, "ethertype 0x0800": 2}
    assert info.duration_s == pytest.approx(631.5)
