"""Phrases such as "pedestrian within 2 m of ego and ttc < 1.5", read into what they ask for; search_sql.py makes SQL of that.

The grammar, with examples, is data_specs/search.md. The first thing that a phrase names is what is found; things named after
an `and` must be there at the same time; a condition without a thing belongs to the thing named last. `or` joins two classes,
the conditions on its two sides, or, before a thing, two phrases.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from replay.search_words import CLASSES, EGO_QUANTITIES, MESSAGE_QUANTITIES, OBJECT_QUANTITIES, Words

BRAKES_FROM_MPS2 = 3.0  # where a phrase does not say
STANDS_BELOW_MPS = 0.5
_QUANTITIES = {"objects": OBJECT_QUANTITIES, "ego": EGO_QUANTITIES, "messages": MESSAGE_QUANTITIES}
_NAMES = {"objects": {"class": "class", "source": "source", "topic": "topic"}, "ego": {},
          "messages": {"kind": "kind", "format": "wire_format", "publisher": "publisher", "topic": "topic"}}
_SIDES = {"ahead": ("ahead_m", ">"), "behind": ("ahead_m", "<"), "left": ("left_m", ">"), "right": ("left_m", "<")}


@dataclass(frozen=True, slots=True)
class Compare:
    """A column of a thing against a number in the column's unit."""

    column: str
    sign: str
    number: float


@dataclass(frozen=True, slots=True)
class Between:
    """A column of a thing between two numbers, or at one of them."""

    column: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Holds:
    """A column that is true or false."""

    column: str


@dataclass(frozen=True, slots=True)
class Named:
    """One of the columns holds this name."""

    columns: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Near:
    """Another object of the same list, of one of the classes (none: any), with its centre this near."""

    classes: tuple[str, ...]
    metres: float


@dataclass(frozen=True, slots=True)
class Without:
    """No object of another topic this near, at a time at which that topic says something."""

    topic: str
    metres: float


@dataclass(frozen=True, slots=True)
class Either:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


Condition = Compare | Between | Holds | Named | Near | Without | Either | Not


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a phrase names: rows of a table that meet all conditions."""

    table: str  # objects, ego or messages
    classes: tuple[str, ...] = ()  # of objects; none: any
    topic: str = ""  # of objects; "": the drive's usual one
    conditions: tuple[Condition, ...] = ()
    silent_s: float | None = None  # of messages: not the messages, but the times without one, of at least this length

    @property
    def first_compared(self) -> str:
        """The column of the comparison named first, "" without one."""
        return next((c.column for one in self.conditions for c in _leaves(one) if isinstance(c, Compare | Between)), "")


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a phrase asks for: moments of the first thing of any alternative, while its other things are there."""

    alternatives: tuple[tuple[Thing, ...], ...]
    lasting_s: float = 0.0


def read_phrase(phrase: str) -> Phrase:
    """SpecError with a caret line where a word cannot stand."""
    words = Words(phrase)
    if not words.left:
        words.refuse(["a phrase such as 'pedestrian within 2 m of ego'"])
    alternatives = [_things(words)]
    while words.next("or"):
        alternatives.append(_things(words))
    lasting_s = 0.0
    if words.next("for"):
        words.next("at", "least")
        lasting_s = words.number("s")
    if words.left:
        words.refuse(["and", "or", "for"] if lasting_s == 0.0 else ["the end"])
    return Phrase(tuple(alternatives), lasting_s)


def _things(words: Words) -> tuple[Thing, ...]:
    things = [_thing(words, first=True)]
    while words.next("and"):
        if _starts_thing(words):
            things.append(_thing(words))
        else:
            things[-1] = _with_conditions(words, things[-1], at_least=1)
    return tuple(things)


def _starts_thing(words: Words) -> bool:
    return (words.class_ahead() is not None or words.peek() in ("no", "ego", "message", "messages", "hard") or _is_topic(words))


def _is_topic(words: Words) -> bool:
    return ("." in words.peek() and words.peek()[0].isalpha()) or words.peek() == "truth"


def _thing(words: Words, first: bool = False) -> Thing:
    if words.next("no"):
        return _silence(words)
    if words.next("ego"):
        return _with_conditions(words, Thing("ego"), at_least=1)
    if words.peek() == "hard" or (first and words.peek() in ("braking", "brakes")):
        return _with_conditions(words, Thing("ego"), at_least=1)
    if words.one_of(("message", "messages")):
        return _with_conditions(words, Thing("messages"))
    topic = words.name("a topic") if _is_topic(words) else ""
    classes = words.classes()
    if classes is None and not topic:
        words.refuse([*CLASSES, "ego", "message", "no message", "hard braking", "a topic such as fused.tracks"])
    return _with_conditions(words, Thing("objects", classes or (), topic))


def _silence(words: Words) -> Thing:
    if not words.one_of(("message", "messages")):
        words.refuse(["message"])
    who = (_publisher(words),) if words.next("from") else ()
    words.need("for")
    return Thing("messages", conditions=who, silent_s=words.number("s"))


def _with_conditions(words: Words, thing: Thing, at_least: int = 0) -> Thing:
    """The thing with the conditions that follow, as far as they go."""
    count = 0
    while count < at_least or (words.left and words.peek() not in ("and", "or", "for")):
        thing, condition = _condition(words, thing)
        while words.peek() == "or" and not _or_starts_thing(words):
            words.need("or")
            thing, other = _condition(words, thing)
            condition = Either((*(condition.conditions if isinstance(condition, Either) else (condition,)), other))
        thing = replace(thing, conditions=(*thing.conditions, condition))
        count += 1
    return thing


def _or_starts_thing(words: Words) -> bool:
    following = words.peek(1)
    return (words.class_ahead(1) is not None or following in ("no", "ego", "message", "messages", "hard", "truth")
            or ("." in following and following[:1].isalpha()))


def _condition(words: Words, thing: Thing) -> tuple[Thing, Condition]:
    """One condition, and the thing, whose topic it may say."""
    if words.next("not"):
        if words.peek() in ("in", "class", "topic"):  # they say which rows are meant at all
            words.refuse(["hidden", "crossing", "standing", "a quantity"])
        thing, condition = _condition(words, thing)
        return thing, Not(condition)
    if thing.table != "messages" and (found := _of_motion(words)) is not None:
        return thing, found
    if thing.table == "objects" and (placed := _of_place(words, thing)) is not None:
        return placed
    if words.next("from"):
        return thing, _publisher(words) if thing.table == "messages" else Named(("source",), words.name("a source"))
    quantities, names = _QUANTITIES[thing.table], _NAMES[thing.table]
    if words.peek() in names:
        return _named(words, thing, names)
    if words.peek() not in quantities:
        words.refuse([*quantities, *names, "from", "not", *_more(thing.table), "and", "or", "for"])
    column, unit = quantities[words.one_of(quantities)]
    if words.next("between"):
        low = words.number(unit)
        words.need("and")
        return thing, Between(column, low, words.number(unit))
    sign = words.comparison()
    return thing, Compare(column, sign, words.number(unit))


def _of_motion(words: Words) -> Condition | None:
    """How an object or the ego moves."""
    if faster := words.one_of(("faster", "slower")):
        words.need("than")
        return Compare("speed_mps", ">" if faster == "faster" else "<", words.number("m/s"))
    if words.next("standing"):
        return Compare("speed_mps", "<", STANDS_BELOW_MPS)
    if words.next("moving"):
        return Compare("speed_mps", ">=", STANDS_BELOW_MPS)
    hard = words.next("hard")
    if words.one_of(("braking", "brakes")):
        over_mps2 = words.number("m/s2") if words.next("over") else BRAKES_FROM_MPS2
        return Compare("acceleration_mps2", "<", -over_mps2)
    if hard:
        words.refuse(["braking"])
    return None


def _of_place(words: Words, thing: Thing) -> tuple[Thing, Condition] | None:
    """Where an object is, to the ego or to others; who saw it."""
    if near := words.one_of(("within", "beyond")):
        return thing, _near(words, near)
    if words.next("hidden"):
        _from_ego(words, "from")
        return replace(thing, topic=thing.topic or "truth"), Holds("hidden")  # nobody else knows
    if words.next("crossing"):
        return thing, Holds("crossing")
    if words.next("approaching"):
        words.next("ego")
        return thing, Compare("closing_mps", ">", 0.0)
    if side := words.one_of(_SIDES):
        if words.peek() in ("<", "<=", ">", ">=", "=", "!="):
            words.refuse(["of"])
        if not words.next("ego"):
            _from_ego(words, "of")
        return thing, Compare(*_SIDES[side], 0.0)
    if words.next("in"):
        topic = words.name("a topic, such as truth")
        return replace(thing, topic=topic), Named(("topic",), topic)
    if words.next("without"):
        topic = words.name("a topic, such as truth")
        words.need("within")
        return replace(thing, topic=thing.topic or "fused.tracks"), Without(topic, words.number("m"))
    return None


def _from_ego(words: Words, link: str) -> None:
    if words.next(link):
        words.need("ego")


def _near(words: Words, near: str) -> Condition:
    metres = words.number("m")
    words.need("of")
    if words.next("ego"):
        return Compare("gap_m", "<=" if near == "within" else ">", metres)
    classes = words.classes() if near == "within" else None
    if classes is None:
        words.refuse(["ego", *CLASSES] if near == "within" else ["ego"])
    return Near(classes, metres)


def _publisher(words: Words) -> Named:
    return Named(("publisher", "unit"), words.name("a publisher, or a unit of the site"))


def _named(words: Words, thing: Thing, names: Mapping[str, str]) -> tuple[Thing, Condition]:
    column = names[words.one_of(names)]
    words.need("=")
    if column == "class":
        classes = words.classes()
        if classes is None:
            words.refuse(CLASSES)
        return replace(thing, classes=classes), Either(tuple(Named(("class",), title) for title in classes))
    name = words.name("a name")
    topic = name if column == "topic" and thing.table == "objects" else thing.topic
    return replace(thing, topic=topic), Named((column,), name)


def _more(table: str) -> tuple[str, ...]:
    motion = () if table == "messages" else ("faster than", "slower than", "standing", "moving", "braking")
    place = ("within", "beyond", "hidden", "crossing", "approaching", "ahead", "behind", "left", "right", "in", "without")
    return (*motion, *(place if table == "objects" else ()))


def _leaves(condition: Condition) -> Iterator[Condition]:
    match condition:
        case Either(conditions):
            for one in conditions:
                yield from _leaves(one)
        case Not(inner):
            yield from _leaves(inner)
        case _:
            yield condition
