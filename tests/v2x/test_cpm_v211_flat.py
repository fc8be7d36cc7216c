from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import DecodeError
from tests.v2x.any_value import any_value
from tests.v2x.golden import vectors
from v2x.codecs import cpm_v211_decode, kernel_objects, machine
from v2x.codecs.cpm_v211 import FORMS, WIRE_FORMAT, decode_pdu
from v2x.codecs.cpm_v211_flat import message_of_octets

GOOD = [bytes.fromhex(vector["uper_hex"]) for vector in vectors("vectors_dev")]


def same(octets: bytes) -> None:
    """Both ways from octets to a message agree, or refuse alike."""
    pdu, form = decode_pdu(octets)
    try:
        want = cpm_v211_decode.message_of(pdu, form, octets, "a1", 5)
    except DecodeError as error:
        with pytest.raises(DecodeError, match=error.got):
            message_of_octets(octets, None, "a1", 5)
        return
    got = message_of_octets(octets, None, "a1", 5)
    assert (got.header, got.station_id, repr(got.position)) == (want.header, want.station_id, repr(want.position))
    assert repr(got.sensors) == repr(want.sensors)
    assert [region.polygon_m.tolist() for region in got.regions] == [region.polygon_m.tolist() for region in want.regions]
    for left, right in ((got.objects, want.objects), (got.objects.boxes, want.objects.boxes)):
        for field in fields(left):
            mine, theirs = getattr(left, field.name), getattr(right, field.name)
            if isinstance(mine, np.ndarray):
                assert mine.dtype == theirs.dtype and not mine.flags.writeable and mine.flags.c_contiguous
                np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=field.name)


@pytest.mark.parametrize("fast", [False, True])
def test_arrays_filled_from_the_flat_array_are_those_of_the_plain_values(fast, monkeypatch):
    monkeypatch.setattr(machine, "PLAIN_RUNS", 10**9)
    monkeypatch.setattr(machine._kernels, "fast", None)
    monkeypatch.setattr(machine._kernels, "objects", kernel_objects)
    if fast:
        machine.compile_now()
    for octets in GOOD:
        same(octets)


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_message_says_the_same_both_ways(random):
    codec = FORMS[WIRE_FORMAT]
    value = any_value(codec.kind, random)
    numbers = [part["containerId"] for part in value["payload"]["cpmContainers"]]
    if len(set(numbers)) == len(numbers):
        same(codec.encode(value))
