import pytest

from data_specs.errors import DecodeError
from data_specs.messages import RoadsideMessage
from tests.v2x.golden import vectors
from v2x.codecs import decode
from v2x.gateway_heard import heard

CPM = "etsi-cpm-2.1.1"


def test_the_gateway_hears_of_a_cpm_what_a_full_decode_says():
    agreed = 0
    for vector in vectors("vectors_dev") + vectors("variants"):
        octets = bytes.fromhex(vector["uper_hex"])
        try:
            message = decode(octets, CPM, publisher="a", received_ns=7)
        except DecodeError:
            with pytest.raises(DecodeError):
                heard(octets, CPM, "a", 7)
            continue
        assert isinstance(message, RoadsideMessage)
        found = heard(octets, CPM, "a", 7)
        assert (found.header, found.valid_until_ns) == (message.header, None)
        assert repr(found.place) == repr(message.position)  # an unknown altitude is NaN, which equals nothing
        agreed += 1
    assert agreed > 30


def test_broken_cpms_are_refused_as_a_full_decode_refuses_them():
    for vector in vectors("vectors_dev_bad"):
        octets = bytes.fromhex(vector["uper_hex"])
        if octets[:2] == b"\x02\x0e":
            with pytest.raises(DecodeError):
                heard(octets, CPM, "a", 7)
