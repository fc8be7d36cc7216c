"""Which partition Kafka's clients send a key to, and how many partitions share a site's crossings out well.

A client hashes the key, so ten crossings in ten partitions meet in some and leave others empty; a few partitions more set them
apart. Source: Apache Kafka, org.apache.kafka.common.utils.Utils.murmur2 (Austin Appleby's MurmurHash2, seed 0x9747b28c) and
BuiltInPartitioner.partitionForKey.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_M = 0x5BD1E995
_SEED = 0x9747B28C
_WORD = 0xFFFFFFFF
_TIMES = 4  # partitions to each crossing, at most


def murmur2(octets: bytes) -> int:
    """The unsigned 32-bit hash of a key."""
    h = _SEED ^ len(octets)
    whole = len(octets) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(octets[at:at + 4], "little") * _M & _WORD
        h = h * _M & _WORD ^ (k ^ k >> 24) * _M & _WORD
    if octets[whole:]:
        h = (h ^ int.from_bytes(octets[whole:], "little")) * _M & _WORD
    h = (h ^ h >> 13) * _M & _WORD
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key among so many."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def partitions_for(keys: Sequence[str]) -> int:
    """The smallest number of partitions in which the fewest keys share one: from one a key to four; 1 for no keys."""
    counts = range(max(1, len(keys)), _TIMES * len(keys) + 1)
    return min(counts, key=lambda count: largest_share(keys, count), default=1)


def largest_share(keys: Sequence[str], partitions: int) -> int:
    """How many keys the fullest of so many partitions has."""
    return max(Counter(partition_of(key, partitions) for key in keys).values(), default=0)
