"""The held-out drives on disk are the ones that the simulator gives."""
from types import MappingProxyType

import numpy as np
import pytest

from replay.simulate import sweep_pairs
from tests.bench import held_out
from tests.bench.held_out import DRIVES, HZ, SCENARIOS, held_out_pairs


def require_same(ours, theirs):
    """Equal in type, dtype and every bit, through records, mappings and sequences."""
    assert type(ours) is type(theirs)
    if isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()
    elif isinstance(ours, tuple | list):
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs):
            require_same(mine, its)
    elif isinstance(ours, MappingProxyType):
        assert list(ours) == list(theirs)
        require_same(list(ours.values()), list(theirs.values()))
    elif hasattr(ours, "__dataclass_fields__"):
        for name in ours.__dataclass_fields__:
            require_same(getattr(ours, name), getattr(theirs, name))
    else:
        assert ours == theirs


@pytest.mark.slow
def test_a_drive_read_from_disk_is_the_simulated_one_bit_for_bit(tmp_path):
    fresh = list(sweep_pairs("turning", 3, 1.0, HZ))
    written, read = (list(held_out_pairs("turning", 3, tmp_path, 1.0)) for _ in range(2))
    require_same(written, fresh)
    require_same(read, fresh)
    sample, _, _ = read[0]
    assert len(sample.images) == 6 and len(sample.clouds[0]) > 1000


@pytest.mark.slow
def test_a_changed_simulator_never_meets_old_drives(tmp_path, monkeypatch):
    for simulator in ("before", "after"):
        monkeypatch.setattr(held_out, "_simulator", lambda simulator=simulator: simulator)
        list(held_out_pairs("suburb", 1, tmp_path, 0.5))
        assert [path.name for path in tmp_path.iterdir()] == [simulator]
        assert [path.suffix for path in (tmp_path / simulator).iterdir()] == [".pickle"]


def test_the_first_drives_hold_every_scenario_and_no_seed_that_trains():
    assert {scenario for scenario, _ in DRIVES[:5]} == set(SCENARIOS) and len(set(DRIVES)) == 40
    assert all(seed < 100 for _, seed in DRIVES)
