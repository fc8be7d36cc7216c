"""What all tests share: where the real recordings are, a real broker, and a fixed hypothesis profile."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing

ROOT = Path(__file__).resolve().parent.parent
settings.register_profile("house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of real recordings; the test skips, saying so, where there is none."""
    folder = Path(os.environ.get("SAMPLE_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}; set SAMPLE_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def broker() -> Iterator[DevelopmentBroker]:
    """One real broker for the session, on free ports; the test skips, saying why, where none can be started."""
    if missing := what_is_missing():
        pytest.skip(missing)
    with DevelopmentBroker() as started:
        yield started
