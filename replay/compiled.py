"""Functions of modules compiled by numba as they stand, when they are first needed.

Small inputs are done in plain Python sooner than numba is imported. The functions call one another by name, so each is given
the compiled others in place of the plain ones.
"""
from __future__ import annotations

from types import FunctionType, ModuleType, SimpleNamespace

_COMPILED: dict[str, SimpleNamespace] = {}


def compiled(module: ModuleType) -> SimpleNamespace:
    """The module's functions, compiled when first called, kept on disk, free of the interpreter's lock."""
    if module.__name__ not in _COMPILED:
        from numba import njit

        names = dict(vars(module))
        for name, plain in list(names.items()):
            if isinstance(plain, FunctionType):
                names[name] = njit(cache=True, nogil=True, error_model="numpy")(FunctionType(plain.__code__, names, name))
        _COMPILED[module.__name__] = SimpleNamespace(**names)
    return _COMPILED[module.__name__]
