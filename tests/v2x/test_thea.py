"""A real capture of J2735 (Tampa 2017, two roadside units), recorded as XML: through the codec and back."""
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest

from data_specs.messages import LaneMap, SignalMessage, StationMessage
from v2x.codecs import bsm, decode, map_data, spat
from v2x.codecs.xer import value_of

MS = 1_000_000


def lines(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        received_ms, _, _, xml = line.split(",", 3)
        yield int(received_ms) * MS, ElementTree.fromstring(xml.strip())


@pytest.mark.sample_data
def test_every_recorded_bsm_survives_the_wire_and_tells_the_time_it_was_heard(sample_data):
    table, counts, delays_ms = bsm.FORMS[bsm.WIRE_FORMAT].kind, Counter(), []
    for path in sorted((sample_data / "v2x" / "thea_bsm_spat" / "bsm").iterdir()):
        for received_ns, xml in lines(path):
            pdu = value_of(table, xml)
            octets = bsm.encode_pdu(pdu)
            assert bsm.decode_pdu(octets) == (pdu, "sae-bsm")
            message = decode(octets, received_ns=received_ns)
            assert isinstance(message, StationMessage)
            counts[message.station_id] += 1
            delays_ms.append((received_ns - message.header.generated_ns) / MS)
    assert sum(counts.values()) == 1818 and len(counts) == 3
    assert abs(np.median(delays_ms)) < 200.0


@pytest.mark.sample_data
def test_every_recorded_spat_and_map_survives_the_wire(sample_data):
    modules, counts = {"18": map_data, "19": spat}, Counter()
    for path in sorted((sample_data / "v2x" / "thea_bsm_spat" / "spat").iterdir()):
        for received_ns, xml in lines(path):
            module = modules[xml.findtext("messageId", "")]
            pdu = value_of(module.FORMS[module.WIRE_FORMAT].kind, xml)
            octets = module.encode_pdu(pdu)
            assert module.decode_pdu(octets) == (pdu, module.WIRE_FORMAT)
            message = decode(octets, received_ns=received_ns)
            counts[type(message)] += 1
            assert isinstance(message, SignalMessage | LaneMap) and message.intersection_id == 3541
    assert counts == {SignalMessage: 58, LaneMap: 2}
