"""Functions of modules compiled by numba as they stand, when they are first needed.

A message or two are read in plain Python: importing numba takes longer than that. The functions call one another by
name, so each is given the compiled others in place of the plain ones.
"""
from __future__ import annotations

from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any


def compiled(*modules: ModuleType) -> SimpleNamespace:
    """The modules' functions, compiled when first called, kept on disk, free of the interpreter's lock.

    They may not make arrays: without numba's own memory (_nrt) a call from one to another counts no references to the
    arrays it passes on, which would cost more than what most of these functions do. No name may mean two things in them.
    """
    from numba import njit

    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
    names: dict[str, Any] = {name: value for module in modules for name, value in vars(module).items()}
    for name, plain in list(names.items()):
        if isinstance(plain, FunctionType):
            names[name] = njit(**options)(FunctionType(plain.__code__, names, name))
    return SimpleNamespace(**names)
