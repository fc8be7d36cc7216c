"""Arrays inside records: their dtype and shape are declared once, beside the field, and locked when a record is built.

A field says `center_m: Annotated[Array, Spec("f8", "n", 3)]`; `lock_fields` gives every record its checked, contiguous,
read-only arrays. Letters stand for lengths that must agree inside one record, numbers for fixed lengths.
"""
from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SpecError

Array = NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spec:
    """dtype and shape of an array field; str dimensions are lengths shared by name within the record."""

    dtype: str
    shape: tuple[int | str, ...]

    def __init__(self, dtype: str, *shape: int | str) -> None:
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "shape", shape)


def require_shape(name: str, array: Array, shape: tuple[int | str | None, ...]) -> None:
    """Raise SpecError unless `array` has `shape`; None or a letter stands for any length."""
    if array.ndim != len(shape) or any(isinstance(want, int) and got != want for got, want in zip(array.shape, shape)):
        raise SpecError(f"{name}: shape is {array.shape}, expected {_show(shape)}")


def require_finite(name: str, array: Array) -> None:
    """Raise SpecError if any element is NaN or infinite, naming the first such row."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        row = np.argwhere(wrong)[0]
        raise SpecError(f"{name}: {array[tuple(row)]} at index {row.tolist()}, expected finite values")


def lock(name: str, value: Any, spec: Spec) -> Array:
    """`value` as a contiguous, read-only array of the spec's dtype and shape; copies unless it is one already."""
    dtype = np.dtype(spec.dtype)
    array = np.asarray(value)
    if array.size and not _castable(array.dtype, dtype):
        raise SpecError(f"{name}: dtype is {array.dtype}, expected {dtype}")
    if array.size and dtype.kind in "ui" and array.dtype.kind in "ui" and not np.can_cast(array.dtype, dtype, "safe"):
        bounds = np.iinfo(dtype)
        if array.min() < bounds.min or array.max() > bounds.max:
            raise SpecError(f"{name}: values span {array.min()}..{array.max()}, expected {bounds.min}..{bounds.max}")
    require_shape(name, array, spec.shape)
    if array.dtype == dtype and not array.flags.writeable and array.flags.c_contiguous:
        return array
    locked = np.array(array, dtype=dtype, order="C", copy=True)
    locked.setflags(write=False)
    return locked


@cache
def array_fields(record_type: type) -> dict[str, Spec]:
    """The array fields of a record type, in order, with what was declared for each."""
    hints = get_type_hints(record_type, include_extras=True)
    found = {}
    for field in fields(record_type):
        hint = hints[field.name]
        if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Spec):
            found[field.name] = get_args(hint)[1]
    return found


def lock_fields(record: Any) -> None:
    """Lock every array field of a frozen record and check that lengths of the same letter agree."""
    lengths: dict[str, tuple[str, int]] = {}
    for name, spec in array_fields(type(record)).items():
        array = lock(name, getattr(record, name), spec)
        object.__setattr__(record, name, array)
        for letter, got in zip(spec.shape, array.shape):
            if isinstance(letter, str):
                first, want = lengths.setdefault(letter, (name, got))
                if got != want:
                    raise SpecError(f"{name}: {letter} is {got}, expected {want} as in {first}")


def unchecked(record_type: type[T], **given: Any) -> T:
    """A frozen record made of all its fields as they are: arrays that meet their specification are locked, nothing is checked.

    For kernels that make many records of a few rows, where checking what they made takes longer than making it.
    """
    record = object.__new__(record_type)
    for name, value in given.items():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(record, name, value)
    return record


def _castable(got: np.dtype, want: np.dtype) -> bool:
    if got.kind == want.kind or got == want:
        return True
    return (got.kind in "ui" and want.kind in "uif") or (got.kind == "b" and want.kind in "ui")


def _show(shape: tuple[int | str | None, ...]) -> str:
    return "(" + ", ".join("n" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
