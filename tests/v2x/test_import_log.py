import json
from xml.etree import ElementTree

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput
from data_specs.messages import StationMessage
from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES
from replay.recorded import open_drive
from replay.recorder import import_drive
from v2x.codecs import bsm, psm
from v2x.codecs.schema import Enumerated, Integer, NamedInteger, Null, Sequence
from v2x.codecs.xer import value_of
from v2x.fuse import fuse_drive
from v2x.import_log import j2735_xml_log, ode_log
from v2x.ode import envelope_of

NOON_NS = 1_748_001_600_250_000_000
CORE = {
    "msgCnt": 1, "id": "0000002a", "secMark": 250, "lat": 423_000_000, "long": -836_000_000, "elev": 2500,
    "accuracy": {"semiMajor": 20, "semiMinor": 10, "orientation": 0}, "transmission": "forwardGears", "speed": 500,
    "heading": 7200, "angle": 127, "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 1000},
    "brakes": {"wheelBrakes": {"hex": "80", "length": 5}, "traction": "unavailable", "abs": "unavailable",
               "scs": "unavailable", "brakeBoost": "unavailable", "auxBrakes": "unavailable"},
    "size": {"width": 180, "length": 450},
}
XML = """<MessageFrame><messageId>20</messageId><value><BasicSafetyMessage><coreData>
<msgCnt>1</msgCnt><id>0000002A</id><secMark>250</secMark><lat>423000000</lat><long>-836000000</long><elev>2500</elev>
<accuracy><semiMajor>20</semiMajor><semiMinor>10</semiMinor><orientation>0</orientation></accuracy>
<transmission><forwardGears/></transmission><speed>500</speed><heading>7200</heading><angle>127</angle>
<accelSet><long>0</long><lat>0</lat><vert>0</vert><yaw>1000</yaw></accelSet>
<brakes><wheelBrakes>10000</wheelBrakes><traction><unavailable/></traction><abs><unavailable/></abs><scs><unavailable/></scs>
<brakeBoost><unavailable/></brakeBoost><auxBrakes><unavailable/></auxBrakes></brakes>
<size><width>180</width><length>450</length></size></coreData></BasicSafetyMessage></value></MessageFrame>""".replace("\n", "")
LINE = f"{NOON_NS // 1_000_000},rsu,x,{XML}"


def drive_of(importer, tmp_path):
    import_drive(importer, tmp_path / "drive")
    return open_drive(tmp_path / "drive")


def test_records_of_an_ode_become_messages_by_time(tmp_path):
    first, second = (bsm.encode_pdu({"messageId": 20, "value": {"coreData": CORE | {"secMark": ms}}}) for ms in (250, 900))
    later, first = envelope_of(second, NOON_NS + 10**9, "10.0.0.5"), envelope_of(first, NOON_NS)
    (tmp_path / "log.json").write_text(f"{json.dumps(later)}\n\nnot json\n{json.dumps(first)}\n")
    drive = drive_of(ode_log(tmp_path / "log.json"), tmp_path)
    messages = [event.payload for event in drive.events(topics=[ROADSIDE_MESSAGES])]
    assert [type(message) for message in messages] == [StationMessage] * 2
    assert [message.header.publisher for message in messages] == ["log", "10.0.0.5"]
    assert messages[0].header.generated_ns == NOON_NS and messages[0].station_id == 42
    assert list(drive.info.facts["skipped"].values()) == [1] and "no JSON" in drive.info.notes[-1]
    assert drive.info.origin.latitude_deg == 42.3


def test_a_file_with_one_record_or_a_list_of_them_is_read_too(tmp_path):
    record = envelope_of(bsm.encode_pdu({"messageId": 20, "value": {"coreData": CORE}}), NOON_NS)
    (tmp_path / "one.json").write_text(json.dumps(record, indent=2))
    (tmp_path / "list.json").write_text(json.dumps([record, record]))
    (tmp_path / "README.md").write_text("no log")
    assert len(ode_log(tmp_path)) == 3


def test_lines_of_xml_become_the_same_messages_as_their_octets(tmp_path):
    (tmp_path / "rsu40.csv").write_text(f"{LINE}\n{LINE.replace('<speed>500', '<speed>x')}\n17,a,b,<MessageFrame>\nnoise\n")
    drive = drive_of(j2735_xml_log(tmp_path / "rsu40.csv"), tmp_path)
    (message,) = [event.payload for event in drive.events()]
    assert message.header.raw == bsm.encode_pdu({"messageId": 20, "value": {"coreData": CORE}})
    assert message.header.publisher == "rsu40" and message.header.received_ns == NOON_NS
    assert np.allclose(message.objects.velocity_mps, [[10.0, 0.0]], atol=1e-9)
    assert sum(drive.info.facts["skipped"].values()) == 3


def test_a_log_without_a_message_says_why(tmp_path):
    (tmp_path / "log.json").write_text('{"metadata": {}}\n[')
    with pytest.raises(InputError, match=r"no message that can be read.*no JSON"):
        ode_log(tmp_path / "log.json")
    with pytest.raises(MissingInput, match=r"a folder with logs"):
        ode_log(tmp_path / "nothing")


def test_an_element_that_does_not_fit_its_table_is_named():
    table = psm.FORMS[psm.WIRE_FORMAT].kind
    with pytest.raises(InputError, match="messageId"):
        value_of(table, ElementTree.fromstring("<MessageFrame><messageId>x</messageId></MessageFrame>"), "line 3")
    kind = Sequence("S", ())
    assert value_of(kind, ElementTree.fromstring("<S/>")) == {}
    assert value_of(NamedInteger(0, 3, {1: "one"}), ElementTree.fromstring("<a>1</a>")) == "one"
    assert value_of(Null(), ElementTree.fromstring("<a/>")) is None
    for kind, text in ((Enumerated(("a",)), "<x/>"), (Integer(0, 3), "<x>1.5</x>")):
        with pytest.raises(InputError, match="x"):
            value_of(kind, ElementTree.fromstring(text))


@pytest.mark.sample_data
def test_a_real_log_of_xml_is_fused(sample_data, tmp_path):
    drive = drive_of(j2735_xml_log(sample_data / "v2x" / "thea_bsm_spat"), tmp_path)
    assert drive.info.topics[ROADSIDE_MESSAGES].count == 1878 and drive.info.facts["skipped"] == {}
    fuse_drive(tmp_path / "drive")
    tracks = [event.payload for event in open_drive(tmp_path / "drive").events(topics=[FUSED_TRACKS])]
    assert sum(len(objects) > 0 for objects in tracks) > 400
    assert max(float(np.nan_to_num(objects.score).max(initial=0.0)) for objects in tracks) > 0.5


@pytest.mark.sample_data
def test_real_records_of_an_ode_are_read(sample_data):
    importer = ode_log(sample_data / "v2x" / "j2735")
    kinds = importer.describe().facts["kinds"]
    assert kinds["StationMessage"] >= 10 and kinds["RoadsideMessage"] >= 1
