"""What a phrase asks for, as SQL over the tables of a search: its moments, and which drives may hold any.

Hits of one thing that follow each other within JOIN_S are one moment. Which drives may hold hits is asked of their summaries
(search_index.py): the least and greatest value of every quantity by topic and class. It may err on the side of reading a drive.
"""
from __future__ import annotations

from replay.search_phrase import Between, Compare, Condition, Either, Holds, Named, Near, Not, Phrase, Thing, Without

JOIN_S = 0.6
SAME_TIME_NS = 100_000_000  # other things of a phrase are there this much before or after
NEAREST_NS = 50_000_000  # lists of two topics that speak of the same time
MOMENT_COLUMNS = ("drive", "from_s", "to_s", "what", "track_id", "quantity", "least", "most", "hits", "from_ns", "link")
_EGO_TOPIC = "ego.poses"


def moments_sql(phrase: Phrase) -> str:
    """SELECT of MOMENT_COLUMNS: the moments of a phrase by drive and time."""
    hits = "\n  UNION ALL\n".join(_hits(things) for things in phrase.alternatives)
    lasting = f"\nHAVING max(t_s + lasts_s) - min(t_s) >= {phrase.lasting_s:g}" if phrase.lasting_s else ""
    return f"""WITH hits AS (
{hits}
), begun AS (
  SELECT *, coalesce(t_s - lag(t_s + lasts_s) OVER one > {JOIN_S}, true) AS begins FROM hits
  WINDOW one AS (PARTITION BY drive, what, track_id, quantity ORDER BY time_ns)
), counted AS (
  SELECT *, sum(begins::INTEGER) OVER one AS moment FROM begun
  WINDOW one AS (PARTITION BY drive, what, track_id, quantity ORDER BY time_ns ROWS UNBOUNDED PRECEDING)
)
SELECT drive, min(t_s) AS from_s, max(t_s + lasts_s) AS to_s, what, track_id, quantity, min(value) AS least, max(value) AS most,
  count(*) AS hits, min(time_ns) AS from_ns,
  '/drive?drive=' || url_encode(regexp_extract(drive, '[^/]*$')) || printf('&t=%.2f', min(t_s)) AS link
FROM counted GROUP BY drive, what, track_id, quantity, moment{lasting}
ORDER BY drive, from_s, what, track_id"""


def candidates_sql(phrase: Phrase) -> str:
    """SELECT of the drives whose summaries do not rule a phrase out."""
    alternatives = [" AND ".join(f"({_may_hold(thing)})" for thing in things) for things in phrase.alternatives]
    return "SELECT drive FROM drives d WHERE " + " OR ".join(f"({one})" for one in alternatives)


def _hits(things: tuple[Thing, ...]) -> str:
    """SELECT of drive, time_ns, t_s, lasts_s, what, track_id, quantity, value of the first thing's rows."""
    first, *others = things
    conditions = [*_conditions(first, "a"), *(_beside(other, f"b{number}") for number, other in enumerate(others))]
    value = f"a.{first.first_compared}" if first.first_compared else "NULL"
    quantity = first.first_compared
    if first.silent_s is not None:
        value, quantity = "a.silent_s", "silent_s"
    return (f"  SELECT a.drive, a.time_ns, a.t_s, {'a.silent_s' if first.silent_s is not None else '0.0'} AS lasts_s, "
            f"{_what(first)} AS what,\n    {'a.track_id' if first.table == 'objects' else '-1'} AS track_id, "
            f"{_quoted(quantity)} AS quantity, CAST({value} AS DOUBLE) AS value\n  FROM {_source(first)} a\n"
            f"  WHERE " + "\n    AND ".join(conditions or ["true"]))


def _what(thing: Thing) -> str:
    if thing.silent_s is not None:
        return _quoted(" ".join(["no message", *(f"from {who.name}" for who in thing.conditions if isinstance(who, Named))]))
    return {"objects": "a.topic || ' ' || a.class", "ego": "'ego'", "messages": "a.kind || ' of ' || a.publisher"}[thing.table]


def _source(thing: Thing) -> str:
    """What stands behind FROM."""
    return thing.table if thing.silent_s is None else f"({_silences(thing)})"


def _silences(thing: Thing) -> str:
    """The times between messages, from the drive's start to its end, of drives with a roadside unit or a station so named."""
    heard = " AND ".join(["m.drive = d.drive", *(_condition(one, "m", thing) for one in thing.conditions)])
    names = [_quoted(one.name) for one in thing.conditions if isinstance(one, Named)]
    known = f"list_has_any(d.units, [{', '.join(names)}])" if names else "len(d.units) > 0"
    return f"""SELECT drive, time_ns, (time_ns - start_ns) / 1e9 AS t_s,
      (lead(time_ns) OVER (PARTITION BY drive ORDER BY time_ns) - time_ns) / 1e9 AS silent_s
    FROM (SELECT d.drive, d.start_ns, unnest(list_concat([d.start_ns, d.end_ns],
        (SELECT coalesce(list(m.time_ns), []) FROM messages m WHERE {heard}))) AS time_ns
      FROM drives d WHERE {known} OR EXISTS (SELECT 1 FROM messages m WHERE {heard}))"""


def _beside(thing: Thing, name: str) -> str:
    """That another thing is there at the time of row `a`."""
    conditions = "".join(f" AND {one}" for one in _conditions(thing, name))
    if thing.silent_s is not None:
        return (f"EXISTS (SELECT 1 FROM {_source(thing)} {name} WHERE {name}.drive = a.drive AND a.time_ns >= {name}.time_ns "
                f"AND a.t_s <= {name}.t_s + {name}.silent_s{conditions})")
    return f"EXISTS (SELECT 1 FROM {_around(thing.table, name)} WHERE {_same_time(name, SAME_TIME_NS)}{conditions})"


def _around(table: str, name: str) -> str:
    """A table whose rows stand in their own slot of time and both beside it, so that a join by time is one of equal slots."""
    return f"(SELECT *, time_ns // {SAME_TIME_NS} + unnest([-1, 0, 1]) AS slot FROM {table}) {name}"


def _same_time(name: str, within_ns: int) -> str:
    return (f"{name}.drive = a.drive AND {name}.slot = a.time_ns // {SAME_TIME_NS} "
            f"AND {name}.time_ns BETWEEN a.time_ns - {within_ns} AND a.time_ns + {within_ns}")


def _conditions(thing: Thing, name: str) -> list[str]:
    """Everything that a row of a thing must meet."""
    if thing.silent_s is not None:
        return [f"{name}.silent_s >= {thing.silent_s:.10g}"]
    return [*_rows_meant(thing, name), *(_condition(one, name, thing) for one in thing.conditions)]


def _rows_meant(thing: Thing, name: str) -> list[str]:
    """Which topic and which classes; `name` is a row of objects or of summaries."""
    if thing.table != "objects":
        return []
    topic = _quoted(thing.topic) if thing.topic else f"(SELECT usual_topic FROM drives u WHERE u.drive = {name}.drive)"
    classes = [f"{name}.class IN ({', '.join(map(_quoted, thing.classes))})"] if thing.classes else []
    return [f"{name}.topic = {topic}", *classes]


def _condition(condition: Condition, name: str, thing: Thing) -> str:
    match condition:
        case Compare(column, sign, number):
            return f"{name}.{column} {sign} {number:.10g}"
        case Between(column, low, high):
            return f"{name}.{column} BETWEEN {low:.10g} AND {high:.10g}"
        case Holds(column):
            return f"{name}.{column}"
        case Named(columns, text):
            return _any([f"{name}.{column} = {_quoted(text)}" if column != "wire_format" else
                         f"contains({name}.{column}, {_quoted(text.lower())})" for column in columns])
        case Near(classes, metres):
            of_class = f" AND n.class IN ({', '.join(map(_quoted, classes))})" if classes else ""
            return (f"EXISTS (SELECT 1 FROM objects n WHERE n.drive = {name}.drive AND n.topic = {name}.topic "
                    f"AND n.time_ns = {name}.time_ns{of_class} AND n.row <> {name}.row AND {_apart('n', name)} <= {metres:.10g})")
        case Without(topic, metres):
            told = _same_time("n", NEAREST_NS).replace("a.", f"{name}.")
            return (f"EXISTS (SELECT 1 FROM {_around('events', 'n')} WHERE {told} AND n.topic = {_quoted(topic)})\n    AND "
                    f"NOT EXISTS (SELECT 1 FROM {_around('objects', 'n')} WHERE {told} AND n.topic = {_quoted(topic)} "
                    f"AND {_apart('n', name)} <= {metres:.10g})")
        case Either(conditions):
            return _any([_condition(one, name, thing) for one in conditions])
        case Not(inner):
            return f"NOT ({_condition(inner, name, thing)})"


def _apart(one: str, other: str) -> str:
    return f"sqrt(pow({one}.x_m - {other}.x_m, 2) + pow({one}.y_m - {other}.y_m, 2))"


def _any(conditions: list[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "true"


def _may_hold(thing: Thing) -> str:
    """Whether drive `d` may hold rows of a thing."""
    if thing.table == "messages":
        return "true"
    meant = _rows_meant(thing, "s") if thing.table == "objects" else [f"s.topic = '{_EGO_TOPIC}'"]
    bounds = [bound for one in thing.conditions if (bound := _may_meet(one))]
    return f"EXISTS (SELECT 1 FROM summaries s WHERE {' AND '.join(['s.drive = d.drive', *meant, *bounds])})"


def _may_meet(condition: Condition) -> str:
    """What a summary `s` says when a row under it may meet the condition; "" where it cannot tell."""
    match condition:
        case Compare(column, ("<" | "<=") as sign, number):
            return f"s.least_{column} {sign} {number:.10g}"
        case Compare(column, (">" | ">=") as sign, number):
            return f"s.most_{column} {sign} {number:.10g}"
        case Compare(column, "=", number):
            return f"s.least_{column} <= {number:.10g} AND s.most_{column} >= {number:.10g}"
        case Between(column, low, high):
            return f"s.least_{column} <= {high:.10g} AND s.most_{column} >= {low:.10g}"
        case Holds(column):
            return f"s.most_{column} > 0"
        case Either(conditions):
            bounds = [_may_meet(one) for one in conditions]
            return _any([f"({one})" for one in bounds]) if all(bounds) else ""
    return ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


