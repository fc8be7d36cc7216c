"""One message type as octets and as plain values, both ways: unaligned PER (ITU-T X.691) driven by a table.

The table becomes a program (`program`) that one reader and one writer run, a function that builds plain values and one that
lays them out. What these refuse is told by the slow passes that follow the table step by step: `trace` and `validate`.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from data_specs.errors import DecodeError, SpecError, UnknownFormat
from v2x.codecs.build import Build, builder
from v2x.codecs.flatten import Flatten, flattener
from v2x.codecs.machine import Flat, Machine
from v2x.codecs.program import Rows
from v2x.codecs.schema import Kind
from v2x.codecs.trace import trace
from v2x.codecs.validate import validate


class Codec:
    """Reads and writes one type; `name` stands for the message in errors. The table is compiled when first used.

    `rows` are noted on the way, for messages that are filled without plain values.
    """

    def __init__(self, name: str, kind: Kind, rows: tuple[Rows, ...] = ()) -> None:
        self.name = name
        self.kind = kind
        self._rows = rows

    def read(self, data: bytes) -> Flat | None:
        """The flat array of the octets, with the rows noted; None where they break the table."""
        return self._noting.read(data)

    def attempt(self, data: bytes) -> tuple[Any] | None:
        """The plain value of the octets, alone in a tuple; None where they break the table."""
        flat = self._machine.read(data)
        return None if flat is None else self.build(flat)

    def build(self, flat: Flat) -> tuple[Any] | None:
        """The plain value of a flat array, alone in a tuple; None where a text in it is none."""
        try:
            return self._build(flat.listed(), flat.side, 0)[:1]
        except UnicodeDecodeError:
            return None

    def decode(self, data: bytes) -> Any:
        """The plain value of the octets; DecodeError at the first wrong bit. `encode` gives the same octets back."""
        built = self.attempt(data)
        if built is None:
            raise self.explained(data)
        return built[0]

    def encode(self, value: Any) -> bytes:
        """The octets of a plain value; SpecError names the field that its table does not allow."""
        values, side = [], bytearray()
        try:
            self._flatten(value, values, side)
        except Exception as error:  # whatever a value of any shape raises: `validate` says in words what is wrong with it
            raise self._refused(value) from error
        octets = self._machine.write(values, bytes(side)) if [*map(type, values)].count(int) == len(values) else None
        if octets is None:
            raise self._refused(value)
        return octets

    def explained(self, data: bytes) -> DecodeError:
        """What is wrong with octets that the program refuses."""
        error = trace(data, self.kind, self.name)[2]
        assert error is not None, "the program refuses what its table allows"
        return error

    def _refused(self, value: Any) -> SpecError:
        try:
            validate(self.kind, value, self.name)
        except SpecError as error:
            return error
        return SpecError(f"{self.name}: a value that its table allows and its program does not, expected both to agree")

    @cached_property
    def _machine(self) -> Machine:
        return Machine(self.kind)

    @cached_property
    def _noting(self) -> Machine:
        return Machine(self.kind, self._rows) if self._rows else self._machine

    @cached_property
    def _build(self) -> Build:
        return builder(self.kind)

    @cached_property
    def _flatten(self) -> Flatten:
        return flattener(self.kind)


class Forms:
    """One message type in the forms that its senders use; nothing in a message says which, so reading tries them in order."""

    def __init__(self, name: str, tables: Mapping[str, Kind], rows: tuple[Rows, ...] = ()) -> None:
        self._name = name
        self._codecs = {form: Codec(name, table, rows) for form, table in tables.items()}

    def __getitem__(self, form: str) -> Codec:
        if form not in self._codecs:
            raise UnknownFormat(self._name, f"form {form!r}", f"one of {', '.join(self._codecs)}")
        return self._codecs[form]

    def __iter__(self) -> Iterator[str]:
        return iter(self._codecs)

    def decode(self, data: bytes, form: str | None = None) -> tuple[Any, str]:
        """Plain values of a message, and the form it has: the one given, else the first that fits.

        DecodeError where none fits: that of the first form, the published one.
        """
        for candidate in self._codecs if form is None else (form,):
            built = self[candidate].attempt(data)
            if built is not None:
                return built[0], candidate
        raise self._first(form).explained(data)

    def read(self, data: bytes, form: str | None = None) -> tuple[Flat, str]:
        """As `decode`, but the flat array in place of plain values; a text in it may be none."""
        for candidate in self._codecs if form is None else (form,):
            flat = self[candidate].read(data)
            if flat is not None:
                return flat, candidate
        raise self._first(form).explained(data)

    def _first(self, form: str | None) -> Codec:
        return self[next(iter(self._codecs)) if form is None else form]
