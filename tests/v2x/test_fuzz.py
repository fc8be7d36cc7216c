import pytest

from tests.bench.bench_fuzz import fuzz
from v2x.codecs.door import FORMATS


@pytest.mark.slow
def test_20_000_mutations_of_every_format_decode_and_encode_back_or_are_refused_with_an_offset():
    outcome = fuzz(20_000)
    assert outcome.decoded + outcome.refused == 20_000
    assert {row.name for row in FORMATS} <= set(outcome.by_format)
    assert outcome.slowest_s < 2.0
