"""One message type as octets and as plain values, both ways: unaligned PER (ITU-T X.691) driven by a table."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from data_specs.errors import DecodeError, UnknownFormat
from v2x.codecs.schema import Kind
from v2x.codecs.uper_read import Bits, Read, finish, reader
from v2x.codecs.uper_write import BitSink, Write, writer


class Codec:
    """Reads and writes one type; `name` stands for the message in errors. The table is compiled when first used."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.kind = kind

    def decode(self, data: bytes) -> Any:
        """The plain value of the octets; DecodeError at the first wrong bit. `encode` gives the same octets back."""
        bits = Bits(data, self.name)
        value = self._read(bits)
        finish(bits, self.name)
        return value

    def encode(self, value: Any) -> bytes:
        """The octets of a plain value; SpecError names the field that its table does not allow."""
        sink = BitSink()
        self._write(sink, value)
        return sink.finished()

    @cached_property
    def _read(self) -> Read:
        return reader(self.kind, self.name)

    @cached_property
    def _write(self) -> Write:
        return writer(self.kind, self.name)


class Forms:
    """One message type in the forms that its senders use; nothing in a message says which, so reading tries them in order."""

    def __init__(self, name: str, tables: Mapping[str, Kind]) -> None:
        self._name = name
        self._codecs = {form: Codec(name, table) for form, table in tables.items()}

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
        first: DecodeError | None = None
        for candidate in self._codecs if form is None else (form,):
            try:
                return self[candidate].decode(data), candidate
            except DecodeError as error:
                first = first or error
        assert first is not None  # there is at least one form
        raise first
