import pytest

from data_specs.errors import DecodeError, UnknownFormat
from data_specs.messages import RoadsideMessage
from tests.v2x.golden import vectors
from v2x.codecs import WIRE_FORMATS, decode, encode
from v2x.codecs.door import FORMATS, decode_pdu, edition_of, encode_pdu

CPM = bytes.fromhex(vectors("vectors_dev")[0]["uper_hex"])


def test_every_format_has_openings_and_names_of_its_own():
    openings = [opening for row in FORMATS for opening in row.openings]
    assert len(set(openings)) == len(openings)
    assert len(set(WIRE_FORMATS)) == sum(len(list(row.forms)) for row in FORMATS)


def test_octets_of_another_kind_are_refused_with_what_they_say():
    with pytest.raises(DecodeError, match=r"bit 0: protocolVersion 9, messageId 14, expected .*protocolVersion 2, messageId 14 "
                                          r"\(etsi-cpm-2.1.1\)"):
        decode(b"\x09\x0e\x00")
    with pytest.raises(DecodeError, match="bit 8: protocolVersion 2, messageId 99"):
        decode(b"\x02\x63\x00")
    with pytest.raises(DecodeError, match="MessageFrame 255, expected"):
        edition_of(b"\x00\xff")


@pytest.mark.parametrize("octets", [b"", b"\x02"])
def test_octets_too_few_to_tell_what_they_are_are_refused_at_their_end(octets):
    with pytest.raises(DecodeError, match=f"{len(octets)} octets, expected two octets") as caught:
        decode(octets)
    assert caught.value.offset_bits == 8 * len(octets)


def test_a_name_that_is_not_known_lists_those_that_are():
    with pytest.raises(UnknownFormat, match=r"wire format 'cam', expected one of etsi-cpm-2\.1\.1, "):
        decode(CPM, "cam")
    with pytest.raises(UnknownFormat, match="wire format 'cam'"):
        encode_pdu({}, "cam")


def test_a_format_that_is_read_only_names_those_that_are_written():
    message = decode(CPM)
    assert isinstance(message, RoadsideMessage)
    with pytest.raises(UnknownFormat, match=r"wire format 'etsi-cpm-tr103562', expected one that says it: etsi-cpm-2\.1\.1"):
        encode(message, "etsi-cpm-tr103562")


def test_plain_values_go_through_the_door_unchanged():
    pdu, form = decode_pdu(CPM)
    assert decode_pdu(CPM, form) == (pdu, form)
    assert encode_pdu(pdu, form) == CPM
