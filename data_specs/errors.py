"""The one error tree. Every error says what was got, what was expected and where, and carries those values.

A command turns any `RoadweaveError` into one line on standard error and exit code 2.
"""
from __future__ import annotations

from pathlib import Path


class RoadweaveError(Exception):
    """Anything that Roadweave refuses or cannot do; its text is one line fit for a user."""


class SpecError(RoadweaveError, ValueError):
    """A value does not meet the specification of its type."""


class FrameError(SpecError):
    """Coordinate frames that do not meet were chained or mixed."""


class InputError(RoadweaveError):
    """Something handed in from outside is not what it should be.

    `where` names the file (and line, record or byte), `got` what stands there, `expected` what should, `hint` what to do.
    """

    def __init__(self, where: str | Path, got: str, expected: str, hint: str = "") -> None:
        self.where, self.got, self.expected, self.hint = str(where), got, expected, hint
        super().__init__(f"{where}: {got}, expected {expected}" + (f"; {hint}" if hint else ""))


class MissingInput(InputError):
    """A file, folder or record that must be there is not."""

    def __init__(self, where: str | Path, expected: str, hint: str = "") -> None:
        super().__init__(where, "missing", expected, hint)


class TruncatedInput(InputError):
    """A file or record ends before its content does."""


class UnknownFormat(InputError):
    """A format, version or name that is not known here."""


class DecodeError(InputError):
    """Bytes on the wire that break their standard; `offset_bits` is the first bit that is wrong."""

    def __init__(self, where: str | Path, offset_bits: int, got: str, expected: str) -> None:
        self.offset_bits = offset_bits
        super().__init__(f"{where}, bit {offset_bits}", got, expected)


class BusError(RoadweaveError):
    """The message bus cannot be reached, or refused what was asked of it."""


class OutOfMemory(RoadweaveError):
    """A device has less memory than was asked of it; `needed_bytes` is None where nobody said how much that was."""

    def __init__(self, where: str, device: str, needed_bytes: int | None) -> None:
        self.where, self.device, self.needed_bytes = where, device, needed_bytes
        size = "more" if needed_bytes is None else f"{needed_bytes / 2**30:,.2f} GiB at once"
        super().__init__(f"{where}: needs {size}, expected no more than {device} has free; a smaller grid, smaller pictures or "
                         "another device needs less")


class TrainingDiverged(RoadweaveError):
    """A number that training works with is NaN or infinite: going on would ruin the weights."""

    def __init__(self, step: int, name: str, value: float) -> None:
        self.step, self.name, self.value = step, name, value
        super().__init__(f"training step {step}: {name} is {value}, expected a finite number; the checkpoint of before stays, "
                         "and a lower learning_rate or clip_norm may get past it")


class MissingExtra(RoadweaveError):
    """A part of Roadweave that is not installed was asked for."""

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'roadweave[{extra}]'")
