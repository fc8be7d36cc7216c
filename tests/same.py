"""Whether two records are the same, down to the last bit and with NaN equal to NaN."""
from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np


def assert_same(got: object, expected: object) -> None:
    """Equal in type and, field by field, in value; arrays bit for bit."""
    assert type(got) is type(expected)
    if is_dataclass(expected):
        for field in fields(expected):
            assert_same(getattr(got, field.name), getattr(expected, field.name))
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(got, expected)
    elif isinstance(expected, tuple):
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            assert_same(a, b)
    else:
        assert got == expected or (got != got and expected != expected), f"{got!r}, expected {expected!r}"
