"""Records as Arrow rows: the schema follows from a record type's fields, so nothing is described twice.

One record is one row. An array field of shape (n,) is a list, (n, 3) a list of fixed-size lists, (3, 3) a fixed-size list;
a record inside a record is a struct, a tuple of records a list of structs. Reading gives arrays that share Arrow's memory.
"""
from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from math import prod
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa

from data_specs.arrays import Spec
from data_specs.errors import InputError, SpecError

Record = TypeVar("Record")
_SCALARS: dict[type, pa.DataType] = {
    int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string(), bytes: pa.binary(),
}


@cache
def schema_of(record_type: type) -> pa.Schema:
    """The Arrow schema of a record type; SpecError for a field that has no Arrow form."""
    return pa.schema([pa.field(name, _arrow_type(hint), nullable=_optional(hint) is not None)
                      for name, hint in _hints(record_type).items()])


def to_batch(records: Sequence[Any], record_type: type) -> pa.RecordBatch:
    """Records of one type as a batch, one row each."""
    columns = [_column([getattr(r, name) for r in records], hint) for name, hint in _hints(record_type).items()]
    return pa.RecordBatch.from_arrays(columns, schema=schema_of(record_type))


def from_batch(batch: pa.RecordBatch, record_type: type[Record]) -> list[Record]:
    """The records of a batch; InputError if its schema is not the type's own."""
    if not batch.schema.equals(schema_of(record_type)):
        raise InputError(f"batch of {record_type.__name__}", f"columns {batch.schema.names}",
                         f"{schema_of(record_type).names} of this version's types")
    columns = {name: _values(batch.column(name), hint) for name, hint in _hints(record_type).items()}
    return [record_type(**{name: column[row] for name, column in columns.items()}) for row in range(batch.num_rows)]


def dumps(record: Any) -> bytes:
    """One record as bytes for a bus: an Arrow record batch message without its schema."""
    return to_batch([record], type(record)).serialize().to_pybytes()


def loads(data: bytes, record_type: type[Record]) -> Record:
    """The inverse of `dumps`; InputError if the bytes are not such a record."""
    try:
        batch = pa.ipc.read_record_batch(pa.py_buffer(data), schema_of(record_type))
        batch.validate(full=True)
        records = from_batch(batch, record_type)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        where, what = f"{len(data)} bytes from the bus", f"an Arrow {record_type.__name__}"
        raise InputError(where, str(error).splitlines()[0], what) from error
    if len(records) != 1:
        raise InputError(f"{len(data)} bytes from the bus", f"{len(records)} rows", f"1 {record_type.__name__}")
    return records[0]


@cache
def _hints(record_type: type) -> dict[str, Any]:
    hints = get_type_hints(record_type, include_extras=True)
    return {field.name: hints[field.name] for field in fields(record_type)}


def _spec(hint: Any) -> Spec | None:
    return get_args(hint)[1] if get_origin(hint) is Annotated and isinstance(get_args(hint)[1], Spec) else None


def _optional(hint: Any) -> Any | None:
    """X where hint is X | None, else None."""
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return None


def _arrow_type(hint: Any) -> pa.DataType:
    if (inner := _optional(hint)) is not None:
        return _arrow_type(inner)
    if (spec := _spec(hint)) is not None:
        element = pa.bool_() if spec.dtype == "?" else pa.from_numpy_dtype(np.dtype(spec.dtype))
        inner_length = prod(n for n in spec.shape if isinstance(n, int))
        if any(isinstance(n, str) for n in spec.shape[1:]):
            raise SpecError(f"no Arrow form for an array of shape {spec.shape}: only its first length may vary")
        fixed = len(spec.shape) > (1 if isinstance(spec.shape[0], str) else 0)
        inner_type = pa.list_(pa.field("item", element, nullable=False), inner_length) if fixed else element
        return pa.list_(pa.field("item", inner_type, nullable=False)) if isinstance(spec.shape[0], str) else inner_type
    if get_origin(hint) is tuple:
        return pa.list_(pa.field("item", _arrow_type(get_args(hint)[0]), nullable=False))
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return pa.int64()
    if is_dataclass(hint) and isinstance(hint, type):
        return pa.struct(list(schema_of(hint)))
    if hint in _SCALARS:
        return _SCALARS[hint]
    raise SpecError(f"no Arrow form for a field of type {hint}")


def _column(values: list[Any], hint: Any) -> pa.Array:
    inner = _optional(hint)
    if inner is not None:
        if is_dataclass(inner) or _spec(inner) is not None:
            raise SpecError(f"no Arrow form for an optional {inner}: only scalars may be absent")
        return pa.array(values, _arrow_type(inner))
    if (spec := _spec(hint)) is not None:
        return _array_column(values, spec)
    if get_origin(hint) is tuple:
        flat = [item for value in values for item in value]
        offsets = np.concatenate([[0], np.cumsum([len(value) for value in values])]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), _column(flat, get_args(hint)[0]), type=_arrow_type(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        children = [_column([getattr(v, name) for v in values], sub) for name, sub in _hints(hint).items()]
        return pa.StructArray.from_arrays(children, fields=list(schema_of(hint)))
    return pa.array(values, _arrow_type(hint))


def _array_column(values: list[Any], spec: Spec) -> pa.Array:
    hint = Annotated[Any, spec]
    whole = _arrow_type(hint)
    flat = np.concatenate([v.reshape(-1) for v in values]) if values else np.zeros(0, np.dtype(spec.dtype))
    column = pa.array(flat, type=pa.bool_() if spec.dtype == "?" else None)
    inner_length = prod(n for n in spec.shape if isinstance(n, int))
    varying = isinstance(spec.shape[0], str)
    if len(spec.shape) > (1 if varying else 0):
        inner = whole.value_type if varying else whole
        column = pa.FixedSizeListArray.from_arrays(column, type=inner)
    if varying:
        offsets = np.concatenate([[0], np.cumsum([v.size // max(inner_length, 1) for v in values])]).astype(np.int32)
        column = pa.ListArray.from_arrays(pa.array(offsets), column, type=whole)
    return column


def _values(column: pa.Array, hint: Any) -> list[Any]:
    if (inner := _optional(hint)) is not None:
        return column.to_pylist() if inner in _SCALARS else _values(column, inner)
    if (spec := _spec(hint)) is not None:
        return _array_values(column, spec)
    if get_origin(hint) is tuple:
        items = _values(column.flatten(), get_args(hint)[0])
        ends = np.cumsum(np.diff(column.offsets.to_numpy(zero_copy_only=False)))
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        return [tuple(items[a:b]) for a, b in zip(starts, ends)]
    if is_dataclass(hint) and isinstance(hint, type):
        parts = {name: _values(column.field(name) if not column.offset else column.flatten()[i], sub)
                 for i, (name, sub) in enumerate(_hints(hint).items())}
        return [hint(**{name: part[row] for name, part in parts.items()}) for row in range(len(column))]
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return [hint(value) for value in column.to_pylist()]
    return column.to_pylist()


def _array_values(column: pa.Array, spec: Spec) -> list[np.ndarray]:
    varying = isinstance(spec.shape[0], str)
    rest = tuple(n for n in spec.shape if isinstance(n, int))
    width = prod(rest)
    flat = column.flatten() if varying else column
    while pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    numbers = flat.to_numpy(zero_copy_only=False)
    if spec.dtype == "?":
        numbers = np.array(numbers, dtype=bool)
    numbers.setflags(write=False)
    if not varying:
        return list(numbers.reshape(len(column), *rest))
    ends = np.cumsum(np.diff(column.offsets.to_numpy(zero_copy_only=False))) * width
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    return [numbers[a:b].reshape(-1, *rest) for a, b in zip(starts, ends)]
