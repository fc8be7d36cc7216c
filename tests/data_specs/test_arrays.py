from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from data_specs.arrays import Array, Spec, lock_fields, require_finite
from data_specs.errors import SpecError


@dataclass(frozen=True)
class Track:
    position_m: Annotated[Array, Spec("f8", "n", 2)]
    age: Annotated[Array, Spec("u1", "n")]

    def __post_init__(self) -> None:
        lock_fields(self)


def test_a_record_owns_read_only_arrays_of_the_declared_dtype():
    given = np.zeros((2, 2), np.float32)
    track = Track(given, [1, 2])
    given[:] = 7.0
    assert track.position_m.dtype == np.float64 and track.age.dtype == np.uint8
    assert (track.position_m == 0.0).all()
    with pytest.raises(ValueError, match="read-only"):
        track.position_m[0, 0] = 1.0


def test_locking_a_locked_array_again_copies_nothing():
    track = Track(np.zeros((2, 2)), [1, 2])
    assert Track(track.position_m, track.age).position_m is track.position_m


def test_a_wrong_shape_says_got_and_expected():
    with pytest.raises(SpecError, match=r"position_m: shape is \(2, 3\), expected \(n, 2\)"):
        Track(np.zeros((2, 3)), [1, 2])


def test_lengths_of_one_letter_must_agree():
    with pytest.raises(SpecError, match="age: n is 3, expected 2 as in position_m"):
        Track(np.zeros((2, 2)), [1, 2, 3])


def test_an_integer_that_does_not_fit_is_refused_not_wrapped():
    with pytest.raises(SpecError, match=r"age: values span 1\.\.300, expected 0\.\.255"):
        Track(np.zeros((2, 2)), np.array([1, 300]))


def test_a_float_is_no_label():
    with pytest.raises(SpecError, match="age: dtype is float64, expected uint8"):
        Track(np.zeros((2, 2)), np.array([1.0, 2.0]))


def test_the_first_value_that_is_not_finite_is_named():
    with pytest.raises(SpecError, match=r"xyz_m: nan at index \[1, 0\], expected finite values"):
        require_finite("xyz_m", np.array([[0.0, 1.0], [np.nan, np.inf]]))
