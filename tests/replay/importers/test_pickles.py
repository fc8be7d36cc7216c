import contextlib
import os
import pickle

import numpy as np
import pytest

from data_specs.errors import InputError, MissingInput, TruncatedInput
from replay.importers.pickles import read_pickle

PLAIN = {"metainfo": {"categories": {"car": 0}}, "data_list": [{"box": np.arange(7.0), "points": np.int64(3), "valid": np.True_,
                                                               "bytes": b"\x00\xff", "fortran": np.ones((2, 3), order="F")}]}


class Bomb:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_and_arrays_are_read_in_every_protocol(tmp_path, protocol):
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(PLAIN, protocol))
    read = read_pickle(tmp_path / "plain.pkl")
    assert read["metainfo"] == PLAIN["metainfo"]
    np.testing.assert_equal(read["data_list"][0], PLAIN["data_list"][0])


def test_old_numpy_names_are_read(tmp_path):
    (tmp_path / "old.pkl").write_bytes(pickle.dumps(np.float64(1.5), 0).replace(b"numpy._core", b"numpy.core"))
    assert read_pickle(tmp_path / "old.pkl") == 1.5


def test_a_pickle_that_asks_for_code_is_refused_by_name(tmp_path, capfd):
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps([1, Bomb()]))
    with pytest.raises(InputError, match=r"bomb\.pkl: asks for posix\.system, expected builtins and numpy arrays only"):
        read_pickle(tmp_path / "bomb.pkl")
    assert "never run" not in capfd.readouterr().out


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_truncated_pickle_names_the_byte(tmp_path, protocol):
    whole = pickle.dumps(PLAIN, protocol)
    for length in range(0, len(whole), 7):
        (tmp_path / "short.pkl").write_bytes(whole[:length])
        with pytest.raises(TruncatedInput, match=r"short\.pkl: ends at byte \d+, expected a whole pickle"):
            read_pickle(tmp_path / "short.pkl")


def test_damaged_pickles_never_raise_anything_but_input_errors(tmp_path):
    whole = bytearray(pickle.dumps(PLAIN, 2))
    rng, read = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        (tmp_path / "damaged.pkl").write_bytes(damaged)
        with contextlib.suppress(InputError):
            read_pickle(tmp_path / "damaged.pkl")
            read += 1
    assert 0 < read < 300  # some damage changes a value only, some is refused


def test_a_missing_pickle_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"none\.pkl: missing, expected a pickle"):
        read_pickle(tmp_path / "none.pkl")
