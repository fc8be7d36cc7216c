"""The words of search phrases: what can be measured, in which units, which classes there are; and reading them one by one.

A word that cannot stand where it stands is shown with a caret under it, and with what may stand there.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass

_WORD = re.compile(r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<compare><=|>=|!=|<|>|=)|'(?P<quoted>[^']*)'|(?P<word>[^\s<>=!]+|.))")
_FACTORS = {"m": {"m": 1.0, "cm": 0.01, "km": 1000.0}, "s": {"s": 1.0, "ms": 0.001}, "1": {}, "m/s2": {"m/s2": 1.0, "m/s²": 1.0},
            "m/s": {"m/s": 1.0, "km/h": 1 / 3.6, "kmh": 1 / 3.6, "mph": 0.44704}}
_COMPARISONS = {"under": "<", "below": "<", "over": ">", "above": ">", "at least": ">=", "at most": "<="}
_TIME = {"t": ("t_s", "s"), "time": ("t_s", "s")}
OBJECT_QUANTITIES = {  # word: (column, unit)
    "speed": ("speed_mps", "m/s"), "distance": ("distance_m", "m"), "gap": ("gap_m", "m"), "ttc": ("ttc_s", "s"),
    "pet": ("pet_s", "s"), "score": ("score", "1"), "existence": ("existence", "1"), "age": ("age_s", "s"),
    "points": ("lidar_points", "1"), "acceleration": ("acceleration_mps2", "m/s2"), "closing": ("closing_mps", "m/s"),
    "track": ("track_id", "1"), "length": ("length_m", "m"), "width": ("width_m", "m"), "height": ("height_m", "m"),
    "x": ("x_m", "m"), "y": ("y_m", "m"), "z": ("z_m", "m"), **_TIME,
}
EGO_QUANTITIES = {"speed": ("speed_mps", "m/s"), "acceleration": ("acceleration_mps2", "m/s2"), "x": ("x_m", "m"),
                  "y": ("y_m", "m"), **_TIME}
MESSAGE_QUANTITIES = {"delay": ("delay_s", "s"), "latency": ("delay_s", "s"), "objects": ("objects", "1"),
                      "octets": ("octets", "1"), **_TIME}
VEHICLES = ("car", "truck", "bus", "trailer", "construction_vehicle", "van", "tram")
CLASSES: dict[str, tuple[str, ...]] = {label.title.replace("_", " "): (label.title,) for label in ObjectClass} | {
    "object": (), "vehicle": VEHICLES, "cyclist": ("bicycle",), "person": ("pedestrian", "person_sitting"),
    "vru": ("pedestrian", "person_sitting", "bicycle", "motorcycle")}
_PLURALS = {"buses": "bus", "people": "person"} | {f"{name}s": name for name in CLASSES}


@dataclass(frozen=True, slots=True)
class _Word:
    kind: str  # number, compare, quoted or word
    text: str
    place: int  # in the phrase


class Words:
    """A phrase, read word by word. What is asked for and not there is a SpecError that points at the word."""

    def __init__(self, phrase: str) -> None:
        self._phrase = phrase.rstrip()
        self._words = [_Word(kind := match.lastgroup or "", match.group(kind), match.start(kind))
                       for match in _WORD.finditer(self._phrase)]
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there is a word still to be read."""
        return self._at < len(self._words)

    def peek(self, ahead: int = 0) -> str:
        """The next word, or one after it, in lower case; "" at the end."""
        at = self._at + ahead
        return self._words[at].text.lower() if at < len(self._words) else ""

    def next(self, *words: str) -> bool:
        """Whether the next words are these; they are read then."""
        found = all(self.peek(ahead) == word for ahead, word in enumerate(words))
        self._at += len(words) if found else 0
        return found

    def one_of(self, words: Iterable[str]) -> str:
        """The next word if it is one of these, and read then; else ""."""
        word = self.peek()
        return word if word and word in words and self.next(word) else ""

    def need(self, *words: str) -> None:
        for word in words:
            if not self.next(word):
                self.refuse([word])

    def name(self, expected: str) -> str:
        """Any word as it is written, or any text in single quotes."""
        if not self.left or self._words[self._at].kind == "compare":
            self.refuse([expected])
        text, end = "", self._words[self._at].place
        while self.left and self._words[self._at].place == end and self._words[self._at].kind != "compare":
            text += self._words[self._at].text  # a digest such as 12ab is read as a number and a word
            end += len(self._words[self._at].text)
            self._at += 1
        return text

    def comparison(self) -> str:
        """An SQL comparison: its sign, or its words."""
        for words, sign in _COMPARISONS.items():
            if self.next(*words.split()):
                return sign
        if not self.left or self._words[self._at].kind != "compare":
            self.refuse(["<", "<=", ">", ">=", "=", "!=", *_COMPARISONS, "between"])
        self._at += 1
        return self._words[self._at - 1].text

    def number(self, unit: str) -> float:
        """A number in `unit`, whatever unit it is written in; none written means `unit` itself."""
        if not self.left or self._words[self._at].kind != "number":
            self.refuse(["a number"])
        self._at += 1
        value = float(self._words[self._at - 1].text)
        if self.peek() in _FACTORS[unit]:
            value *= _FACTORS[unit][self.peek()]
            self._at += 1
        elif any(self.peek() in units for units in _FACTORS.values()):
            self.refuse(sorted(_FACTORS[unit]) or ["no unit"])
        return value

    def class_ahead(self, skipped: int = 0) -> tuple[str, int] | None:
        """The name in CLASSES that stands next, singular or plural, and of how many words it is."""
        for count in (2, 1):
            text = " ".join(self.peek(skipped + ahead) for ahead in range(count)).replace("_", " ")
            name = _PLURALS.get(text, text)
            if name in CLASSES:
                return name, count
        return None

    def classes(self) -> tuple[str, ...] | None:
        """The titles of "car", "buses", "car or truck"; () for any object, None where no class stands next."""
        found = self.class_ahead()
        if found is None:
            return None
        self._at += found[1]
        titles = CLASSES[found[0]]
        while titles and self.peek() == "or" and (found := self.class_ahead(1)) is not None:
            self._at += 1 + found[1]
            titles += CLASSES[found[0]]
        return titles

    def refuse(self, expected: Iterable[str]) -> NoReturn:
        """SpecError: the next word, and what is expected in its place."""
        expected = list(expected)
        got, place = "the end", len(self._phrase)
        if self.left:
            got, place = repr(self._words[self._at].text), self._words[self._at].place
        near = get_close_matches(self.peek(), expected, 1, 0.7) if self.left else []
        meant = f"; {near[0]!r}?" if near else ""
        raise SpecError(f"{got}, expected {' | '.join(expected)}{meant}\n  {self._phrase}\n  {' ' * place}^")
