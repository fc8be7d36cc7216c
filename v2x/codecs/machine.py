"""Runs programs: in plain Python for the first messages of a process, compiled by numba from then on.

Importing numba takes two seconds, and loading the compiled kernels another: fewer than PLAIN_RUNS messages are done sooner
without. A service that wants no pause later calls `compile_now` when it starts.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from v2x.codecs import kernel_objects, kernel_read, kernel_write
from v2x.codecs.bits import MAX_OCTETS
from v2x.codecs.kernel_read import AT, ERROR, FINE, FULL, LIMIT, NOTED, SIDE, STATE_SIZE, VALUES
from v2x.codecs.program import Rows, compile_program
from v2x.codecs.schema import Boolean, Kind

PLAIN_RUNS = 200
_MOST_VALUES = 1 << 24  # of one message; the tables allow far less


@dataclass(frozen=True, slots=True)
class Flat:
    """What the program read: the flat array, the side buffer, and the rows noted (row number, then its columns)."""

    values: Any  # [n] int64, an array or a list
    side: bytes
    noted: Any  # int64

    def listed(self) -> list[int]:
        """The flat array as a list, which Python walks faster."""
        return self.values if isinstance(self.values, list) else self.values.tolist()


class Machine:
    """One table's program, run over octets and back."""

    def __init__(self, kind: Kind, rows: tuple[Rows, ...] = ()) -> None:
        self._program = compile_program(kind, rows)
        self._arrays = (np.array(self._program.steps, np.int64), np.array(self._program.table, np.int64))
        self._room = 1024

    def read(self, data: bytes) -> Flat | None:
        """The flat array of the octets; None where they break the table."""
        if len(data) > MAX_OCTETS:
            return None
        run = self._read_compiled if _kernels.ready() else self._read_plain
        while True:
            state, flat = run(data, self._room)
            if state[ERROR] != FULL or self._room > _MOST_VALUES:
                return flat if state[ERROR] == FINE else None
            self._room *= 4

    def write(self, values: list[int], side: bytes) -> bytes | None:
        """The octets of a flat array; None where the table does not allow it."""
        run = self._write_compiled if _kernels.ready() else self._write_plain
        room = 9 * len(values) + len(side) + 16
        while True:
            state, octets = run(values, side, room)
            if state[ERROR] != FULL or room > 8 * _MOST_VALUES:
                return octets if state[ERROR] == FINE else None
            room *= 4

    def _read_compiled(self, data: bytes, room: int) -> tuple[Any, Flat]:
        state = np.zeros(STATE_SIZE, np.int64)
        state[LIMIT] = 8 * len(data)
        values, noted = np.empty(room, np.int64), np.empty(room, np.int64)
        side = np.empty(2 * len(data) + 8, np.uint8)
        _kernels.fast.read(*self._arrays, np.frombuffer(data, np.uint8), state, values, side, noted,
                           np.zeros(self._program.registers, np.int64))
        return state, Flat(values[:state[VALUES]], side[:state[SIDE]].tobytes(), noted[:state[NOTED]])

    def _read_plain(self, data: bytes, room: int) -> tuple[Any, Flat]:
        state = [0, 8 * len(data), 0, 0, 0, 0]
        values, noted, side = [0] * room, [0] * room, bytearray(2 * len(data) + 8)
        kernel_read.read(self._program.steps, self._program.table, data, state, values, side, noted,
                         [0] * self._program.registers)
        return state, Flat(values[:state[VALUES]], bytes(side[:state[SIDE]]), noted[:state[NOTED]])

    def _write_compiled(self, values: list[int], side: bytes, room: int) -> tuple[Any, bytes]:
        state, out = np.zeros(STATE_SIZE, np.int64), np.zeros(room, np.uint8)
        packed = np.frombuffer(struct.pack(f"{len(values)}q", *values), np.int64)
        _kernels.fast.write(*self._arrays, packed, np.frombuffer(side, np.uint8), state, out,
                            np.zeros(self._program.registers, np.int64))
        return state, out[:state[AT] >> 3].tobytes()

    def _write_plain(self, values: list[int], side: bytes, room: int) -> tuple[Any, bytes]:
        state, out = [0] * STATE_SIZE, bytearray(room)
        kernel_write.write(self._program.steps, self._program.table, values, side, state, out,
                           [0] * self._program.registers)
        return state, bytes(out[:state[AT] >> 3])


@dataclass(slots=True)
class _Kernels:
    """The compiled kernels of this process, once enough has been run to pay for them."""

    runs: int = 0
    fast: Any = None  # a namespace of the compiled functions
    objects: Any = kernel_objects

    def ready(self) -> bool:
        """Count a run; whether it is to be run by the compiled kernels, which are `fast` then."""
        self.runs += 1
        if self.fast is None and self.runs > PLAIN_RUNS:
            self.load()
        return self.fast is not None

    def load(self) -> None:
        from v2x.codecs.compiled import compiled

        self.fast = compiled(kernel_read, kernel_write)
        self.objects = compiled(kernel_objects)


_kernels = _Kernels()


def compile_now() -> None:
    """Load the compiled kernels at once, so that no message waits for them later."""
    _kernels.load()
    machine = Machine(Boolean())
    machine.read(machine.write([1], b"") or b"")


def object_kernels() -> Any:
    """The functions of `kernel_objects`, compiled once other kernels are."""
    return _kernels.objects
