import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dashboards.packet import pack, unpack
from data_specs.errors import InputError, SpecError

tables = st.one_of(
    arrays(np.float32, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5), elements=st.floats(width=32)),
    arrays(np.int64, array_shapes(min_dims=1, max_dims=2, min_side=0)),
    arrays(np.uint8, array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=33)),
)


@given(st.dictionaries(st.text(max_size=8), tables, max_size=5), st.dictionaries(st.text(), st.integers(-2**53, 2**53)))
def test_what_was_packed_comes_out_again(arrays_in, meta_in):
    meta, arrays_out = unpack(pack(meta_in, arrays_in))
    assert meta == meta_in
    assert list(arrays_out) == list(arrays_in)
    for name, array in arrays_in.items():
        assert arrays_out[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays_out[name], array)


@given(st.lists(tables, max_size=4))
def test_every_array_starts_where_a_browser_can_map_it(parts):
    packed = pack({"a": 1}, {str(i): part for i, part in enumerate(parts)})
    _, out = unpack(packed)
    start = np.frombuffer(packed, np.uint8).__array_interface__["data"][0]
    offsets = [array.__array_interface__["data"][0] - start for array in out.values() if array.size]
    assert all(offset % 8 == 0 for offset in offsets)


def test_a_dtype_that_browsers_lack_is_refused():
    with pytest.raises(SpecError, match="ids: dtype is int32, expected one of f4, f8, i8, u1"):
        pack({}, {"ids": np.zeros(2, np.int32)})


def test_nan_in_the_header_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        pack({"x": float("nan")}, {})


def test_a_packet_that_ends_early_says_so():
    packed = pack({}, {"points": np.zeros((10, 4), np.float32)})
    with pytest.raises(InputError, match=r"packet array points: \d+ bytes, expected at least \d+"):
        unpack(packed[:-8])
    with pytest.raises(InputError, match="expected a packet starting"):
        unpack(b"GIF89a..")
