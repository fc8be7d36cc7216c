"""Phrases such as "pedestrian within 2 m of ego and ttc < 1.5", compiled to SQL over the tables of search_tables.py.

The grammar, with examples, is data_specs/search.md. The first thing that a phrase names is what is found; things named after
an `and` must be there at the same time; a condition without a thing belongs to the thing named last. What cannot be read is
shown with a caret under the word, and with what may stand there.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from data_specs.errors import SpecError
from data_specs.objects import ObjectClass

SAME_TIME_NS = 100_000_000
BRAKES_FROM_MPS2 = 3.0  # where a phrase does not say
_WORD = re.compile(r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<compare><=|>=|<|>|=)|(?P<word>[^\s<>=]+))")
_FACTORS = {"m": {"m": 1.0, "cm": 0.01, "km": 1000.0}, "s": {"s": 1.0, "ms": 0.001}, "1": {}, "m/s2": {"m/s2": 1.0, "m/s²": 1.0},
            "m/s": {"m/s": 1.0, "km/h": 1 / 3.6, "kmh": 1 / 3.6, "mph": 0.44704}}
OBJECT_QUANTITIES = {  # word: (column, unit)
    "speed": ("speed_mps", "m/s"), "distance": ("distance_m", "m"), "gap": ("gap_m", "m"), "ttc": ("ttc_s", "s"),
    "score": ("score", "1"), "existence": ("existence", "1"), "age": ("age_s", "s"), "points": ("lidar_points", "1"),
    "acceleration": ("acceleration_mps2", "m/s2"), "track": ("track_id", "1"), "length": ("length_m", "m"),
    "width": ("width_m", "m"), "height": ("height_m", "m"), "t": ("t_s", "s"),
}
EGO_QUANTITIES = {"speed": ("speed_mps", "m/s"), "acceleration": ("acceleration_mps2", "m/s2"), "t": ("t_s", "s")}
MESSAGE_QUANTITIES = {"delay": ("delay_s", "s"), "objects": ("objects", "1"), "octets": ("octets", "1"), "t": ("t_s", "s")}
_CLASSES = {label.title.replace("_", " "): label.title for label in ObjectClass} | {
    "object": "", "vehicle": "car,truck,bus,trailer,construction_vehicle,van,tram", "cyclist": "bicycle", "person": "pedestrian"}
_PLURALS = {"buses": "bus", "people": "person", "bicycles": "bicycle"} | {f"{name}s": name for name in _CLASSES}
_USUAL = "(SELECT usual_topic FROM drives d WHERE d.drive = {one}.drive)"


@dataclass
class _Thing:
    """One thing that a phrase names: rows of a table that meet conditions."""

    table: str
    name: str  # of the row in the SQL
    quantities: dict[str, tuple[str, str]]
    what: str
    conditions: list[str] = field(default_factory=list)
    topic: str = ""
    value: str = ""  # the column first compared
    silence: str = ""  # seconds without a message


def compile_phrase(phrase: str) -> str:
    """The SQL of a phrase: rows (drive, time_ns, t_s, lasts_s, what, track_id, quantity, value).

    SpecError at a word that cannot stand where it stands.
    """
    return _Parser(phrase).sql()


class _Parser:
    def __init__(self, phrase: str) -> None:
        self.phrase, self.things = phrase, list[_Thing]()
        self.words = [(match.lastgroup or "", match.group(match.lastgroup or 0), match.start(match.lastgroup or 0))
                      for match in _WORD.finditer(phrase.rstrip())]
        self.at = 0

    def sql(self) -> str:
        if not self.words:
            raise SpecError("an empty phrase, expected one such as 'pedestrian within 2 m of ego'")
        self._part()
        while self.at < len(self.words):
            self._need("and")
            self._part()
        first, *others = self.things
        conditions = _all_conditions(first) + [_exists(first, other) for other in others]
        return _select(first) + "".join(f"\n{'WHERE' if i == 0 else '  AND'} {text}" for i, text in enumerate(conditions)) + (
            f"\nORDER BY {first.name}.drive, {first.name}.time_ns")

    def _part(self) -> None:
        if self._next("no"):
            self._silence()
        elif self._next("ego"):
            self._add(_Thing("ego", f"e{len(self.things)}", EGO_QUANTITIES, "'ego'"))
        elif self._next("message") or self._next("messages"):
            self._message()
        elif self._is_object():
            self._object()
        elif self.things:
            self._condition()
            self._conditions()
        else:
            self._refuse([*_CLASSES, "ego", "message", "no message", "a topic such as fused.tracks"])

    def _add(self, thing: _Thing) -> None:
        self.things.append(thing)
        self._conditions()

    def _silence(self) -> None:
        if not (self._next("message") or self._next("messages")):
            self._refuse(["message"])
        thing = _Thing("messages", f"m{len(self.things)}", {}, "'no message from ' || {one}.publisher")
        self.things.append(thing)
        if self._next("from"):
            thing.conditions.append(self._publisher(thing.name))
        self._need("for")
        thing.silence = self._number("s")
        thing.value = "silent_s"

    def _message(self) -> None:
        self._add(_Thing("messages", f"m{len(self.things)}", MESSAGE_QUANTITIES, "{one}.kind || ' of ' || {one}.publisher"))

    def _is_object(self) -> bool:
        word = self._peek()
        return self._class_here() is not None or word == "truth" or ("." in word and self.words[self.at][0] == "word")

    def _object(self) -> None:
        thing = _Thing("objects", f"o{len(self.things)}", OBJECT_QUANTITIES, "{one}.topic || ' ' || {one}.class")
        if self._class_here() is None:
            thing.topic = self._take()[1]
        found = self._class_here()
        if found is not None:
            name, words = found
            self.at += words
            if titles := [title for title in _CLASSES[name].split(",") if title]:
                thing.conditions.append(f"{thing.name}.class IN ({', '.join(_quoted(title) for title in titles)})")
        self._add(thing)

    def _conditions(self) -> None:
        while self.at < len(self.words) and self._peek() != "and":
            self._condition()

    def _condition(self) -> None:
        thing = self.things[-1]
        is_object = thing.table == "objects"
        if thing.table != "messages" and (self._next("faster") or self._next("slower")):
            sign = ">" if self.words[self.at - 1][1].lower() == "faster" else "<"
            self._need("than")
            self._compare(thing, "speed_mps", sign, self._number("m/s"))
        elif thing.table != "messages" and (self._next("braking") or self._next("brakes")):
            over = self._number("m/s2") if self._next("over") else f"{BRAKES_FROM_MPS2:g}"
            self._compare(thing, "acceleration_mps2", "<", f"-{over}")
        elif is_object and (self._next("within") or self._next("beyond")):
            self._near(thing, "<=" if self.words[self.at - 1][1].lower() == "within" else ">")
        elif is_object and self._next("hidden"):
            if self._next("from"):
                self._need("ego")
            thing.topic = thing.topic or "truth"  # nobody else knows
            thing.conditions.append(f"{thing.name}.hidden")
        elif is_object and self._next("in"):
            thing.topic = self._take("a topic, such as truth")[1]
        elif is_object and self._next("without"):
            self._without(thing)
        elif self._next("from"):
            thing.conditions.append(self._publisher(thing.name) if thing.table == "messages" else
                                    f"{thing.name}.source = {_quoted(self._take('a source')[1])}")
        elif self._peek() in thing.quantities:
            column, unit = thing.quantities[self._take()[1].lower()]
            if self.at >= len(self.words) or self.words[self.at][0] != "compare":
                self._refuse(["<", "<=", ">", ">=", "="])
            self._compare(thing, column, self._take()[1], self._number(unit))
        else:
            self._refuse([*thing.quantities, *(() if thing.table == "messages" else ("faster than", "slower than", "braking")),
                          *(("within", "beyond", "hidden from ego", "in", "without") if is_object else ()), "from", "and"])

    def _near(self, thing: _Thing, sign: str) -> None:
        metres = self._number("m")
        self._need("of")
        if self._next("ego"):
            self._compare(thing, "gap_m", sign, metres)
            return
        found = self._class_here()
        if found is None or sign == ">":
            self._refuse(["ego"] if sign == ">" else ["ego", *_CLASSES])
        name, words = found  # type: ignore[misc]
        self.at += words
        titles = ", ".join(_quoted(title) for title in _CLASSES[name].split(","))
        a, b = thing.name, f"n{len(thing.conditions)}"
        of_class = f" AND {b}.class IN ({titles})" if _CLASSES[name] else ""
        thing.conditions.append(
            f"EXISTS (SELECT 1 FROM objects {b} WHERE {b}.drive = {a}.drive AND {b}.topic = {a}.topic "
            f"AND {b}.time_ns = {a}.time_ns{of_class} "
            f"AND {b}.track_id <> {a}.track_id AND {_closer(a, b, metres)})")

    def _without(self, thing: _Thing) -> None:
        topic = self._take("a topic, such as truth")[1]
        self._need("within")
        metres, a, b = self._number("m"), thing.name, f"n{len(thing.conditions)}"
        thing.topic = thing.topic or "fused.tracks"
        thing.conditions.append(
            f"NOT EXISTS (SELECT 1 FROM objects {b} WHERE {b}.drive = {a}.drive AND {b}.topic = {_quoted(topic)} AND {b}.time_ns "
            f"BETWEEN {a}.time_ns - {SAME_TIME_NS // 2} AND {a}.time_ns + {SAME_TIME_NS // 2} "
            f"AND {_closer(a, b, metres)})")
        a_time = f"{a}.time_ns BETWEEN known.time_ns - {SAME_TIME_NS // 2} AND known.time_ns + {SAME_TIME_NS // 2}"
        thing.conditions.append(f"EXISTS (SELECT 1 FROM objects known WHERE known.drive = {a}.drive AND known.topic = "
                                f"{_quoted(topic)} AND {a_time})")

    def _publisher(self, name: str) -> str:
        word = _quoted(self._take("a publisher, or a unit of the site")[1])
        return f"({name}.publisher = {word} OR {name}.unit = {word})"

    def _compare(self, thing: _Thing, column: str, sign: str, number: str) -> None:
        thing.value = thing.value or column
        thing.conditions.append(f"{thing.name}.{column} {sign} {number}")

    def _class_here(self) -> tuple[str, int] | None:
        """The class named here and the number of its words."""
        for count in (2, 1):
            text = " ".join(word.lower() for _, word, _ in self.words[self.at:self.at + count]).replace("_", " ")
            name = _PLURALS.get(text, text)
            if name in _CLASSES:
                return name, count
        return None

    def _number(self, unit: str) -> str:
        kind, text, _ = self._take("a number")
        if kind != "number":
            self.at -= 1
            self._refuse(["a number"])
        if self.at < len(self.words) and self.words[self.at][0] == "word" and self._peek() in _FACTORS[unit]:
            return f"{float(text) * _FACTORS[unit][self._take()[1].lower()]:.10g}"
        known = {name for names in _FACTORS.values() for name in names}
        if self._peek() in known:
            self._refuse(sorted(_FACTORS[unit]) or ["and"])
        return f"{float(text):.10g}"

    def _peek(self) -> str:
        return self.words[self.at][1].lower() if self.at < len(self.words) else ""

    def _next(self, word: str) -> bool:
        found = self._peek() == word
        self.at += found
        return found

    def _need(self, word: str) -> None:
        if not self._next(word):
            self._refuse([word])

    def _take(self, expected: str = "another word") -> tuple[str, str, int]:
        if self.at >= len(self.words):
            self._refuse([expected])
        self.at += 1
        return self.words[self.at - 1]

    def _refuse(self, expected: list[str]) -> None:
        ended = self.at >= len(self.words)
        got, place = ("the end", len(self.phrase.rstrip())) if ended else (repr(self.words[self.at][1]), self.words[self.at][2])
        near = [] if ended else get_close_matches(self._peek(), expected, 1, 0.7)
        meant = f"; {near[0]!r}?" if near else ""
        raise SpecError(f"{got}, expected {' | '.join(expected)}{meant}\n  {self.phrase}\n  {' ' * place}^")


def _all_conditions(thing: _Thing) -> list[str]:
    conditions = list(thing.conditions)
    if thing.table == "objects":
        topic = _quoted(thing.topic) if thing.topic else _USUAL.format(one=thing.name)
        conditions.insert(0, f"{thing.name}.topic = {topic}")
    if thing.silence:
        conditions.append(f"{thing.name}.silent_s >= {thing.silence}")
    return conditions or ["true"]


def _source(thing: _Thing) -> str:
    """What follows FROM."""
    if not thing.silence:
        return f"{thing.table} {thing.name}"
    return ("(SELECT m.*, (lead(m.time_ns, 1, d.end_ns) OVER (PARTITION BY m.drive, m.publisher ORDER BY m.time_ns) - m.time_ns)"
            f" / 1e9 AS silent_s FROM messages m JOIN drives d ON d.drive = m.drive) {thing.name}")


def _select(thing: _Thing) -> str:
    one = thing.name
    value = f"{one}.{thing.value}" if thing.value else "NULL"
    track = f"{one}.track_id" if thing.table == "objects" else "-1"
    lasts = f"{one}.silent_s" if thing.silence else "CAST(0 AS DOUBLE)"
    return (f"SELECT {one}.drive, {one}.time_ns, {one}.t_s, {lasts} AS lasts_s, {thing.what.format(one=one)} AS what, "
            f"{track} AS track_id, {_quoted(thing.value)} AS quantity, CAST({value} AS DOUBLE) AS value\nFROM {_source(thing)}")


def _closer(a: str, b: str, metres: str) -> str:
    """That two objects' centres lie within so many metres."""
    return f"({b}.x_m - {a}.x_m) ** 2 + ({b}.y_m - {a}.y_m) ** 2 <= {metres} ** 2"


def _exists(first: _Thing, other: _Thing) -> str:
    """That another thing is there at the time of the first."""
    a, b = first.name, other.name
    lasts = f" + CAST({b}.silent_s * 1e9 AS BIGINT)" if other.silence else f" + {SAME_TIME_NS}"
    conditions = "".join(f" AND {condition}" for condition in _all_conditions(other))
    return (f"EXISTS (SELECT 1 FROM {_source(other)} WHERE {b}.drive = {a}.drive AND {a}.time_ns BETWEEN {b}.time_ns"
            f"{'' if other.silence else f' - {SAME_TIME_NS}'} AND {b}.time_ns{lasts}{conditions})")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
