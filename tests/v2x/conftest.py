"""A cluster of three nodes for the tests that try failures, started once."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[DevelopmentBroker]:
    """Three nodes on free ports; a test that kills one brings it back."""
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker(nodes=3) as started:
        yield started
