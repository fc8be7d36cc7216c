"""Reads pickles of plain data and numpy arrays without running code in them.

A pickle is a program for a machine that may call anything; this one resolves only the names below and refuses every other.
Source: Python documentation, pickle, "Restricting Globals".
"""
from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy._core import multiarray

from data_specs.errors import InputError, MissingInput, TruncatedInput


def read_pickle(path: Path) -> Any:
    """What a pickle of builtins and numpy arrays holds; MissingInput, TruncatedInput (with the byte) or InputError."""
    if not path.is_file():
        raise MissingInput(path, "a pickle")
    with path.open("rb") as stream:
        try:
            return _PlainUnpickler(stream, path).load()
        except InputError:
            raise
        except EOFError as error:
            raise TruncatedInput(path, f"ends at byte {stream.tell()}", "a whole pickle") from error
        except pickle.UnpicklingError as error:
            if "truncated" in str(error) or "exhausted" in str(error):
                raise TruncatedInput(path, f"ends at byte {stream.tell()}", "a whole pickle") from error
            raise InputError(path, str(error), "a pickle") from error
        except Exception as error:  # damaged bytes are instructions too: they may raise anything
            raise InputError(path, f"{type(error).__name__} {error}", "a pickle of plain data") from error


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Python 2's way of holding bytes; other encodings may unpack to any size."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}, expected latin1")
    return text.encode("latin1")


def _array(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """Pickle protocol 5's way of holding an array."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


_NUMPY: dict[str, Any] = {
    "multiarray._reconstruct": multiarray._reconstruct,
    "multiarray.scalar": multiarray.scalar,
    "numeric._frombuffer": _array,
}
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): collections.OrderedDict,
    **{(home, name): kind for home in ("builtins", "__builtin__")
       for name, kind in (("set", set), ("frozenset", frozenset), ("complex", complex), ("bytearray", bytearray))},
    **{(f"numpy.{core}.{name.split('.')[0]}", name.split(".")[1]): made  # numpy 2 renamed core to _core
       for core in ("core", "_core") for name, made in _NUMPY.items()},
}


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise InputError(self._path, f"asks for {module}.{name}", "builtins and numpy arrays only",
                             "it may run code: not opened")
        return _ALLOWED[module, name]
