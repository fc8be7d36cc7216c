import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2x.partition import largest_share, murmur2, partition_of, partitions_for


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_kafkas_clients(octets):
    partitioner = pytest.importorskip("kafka.partitioner.default")
    assert murmur2(octets) == partitioner.murmur2(octets) & 0xFFFFFFFF


def test_the_hash_of_known_keys():
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
             b"a-little-bit-longer-string": -1486304829, b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
             b"abc": 479470107}
    assert {key: murmur2(key) for key in known} == {key: hash & 0xFFFFFFFF for key, hash in known.items()}


def test_crossings_that_meet_in_three_partitions_are_set_apart_by_four():
    keys = ["north", "south", "west"]
    assert largest_share(keys, 3) == 3
    assert (partitions_for(keys), largest_share(keys, 4)) == (4, 1)
    assert len({partition_of(key, 4) for key in keys}) == 3


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=12))
def test_there_are_from_one_to_four_partitions_for_a_key_and_no_other_number_shares_better(keys):
    count = partitions_for(keys)
    assert max(1, len(keys)) <= count <= max(1, 4 * len(keys))
    assert all(largest_share(keys, count) <= largest_share(keys, other) for other in range(len(keys) or 1, 4 * len(keys) + 1))
