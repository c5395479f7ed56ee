"""Filters as conditions of SQL, for SQLite 3.38 and later.

The columns: id, path, camera, track, source and model are TEXT NOT NULL ('' where not known);
frame, time and indexed are INTEGER or NULL (times in microseconds since 1970, UTC); extra is TEXT,
the JSON object that `extra_text` writes.

Names and values travel as parameters only. Lists go in as one JSON array, for parameters are
limited in number. Numbers of `extra` are compared with parameters that are JSON too: SQLite's
reading of decimals may differ from Python's in the last bit, but not from itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tipr.gallery.clock import DAY, of_day, offsets
from tipr.gallery.fields import TEXTS, keys, zone_named
from tipr.gallery.filters import All, Among, AnyOf, Filter, Known, Not, Range, TimeOfDay
from tipr.gallery.record import microseconds

Condition = tuple[str, list[Any]]

_TRUE: Condition = ("1", [])
_FALSE: Condition = ("0", [])
_WIDEST = 64  # SQLite refuses conditions of which a thousand hang on one another
_NUL = (
    "\\u0000",
    "\\ufdd0",
)  # SQLite before 3.45 ends a text at its NUL; the other is no character
_READ = f"json_each(replace(extra, '{_NUL[0]}', '{_NUL[1]}'))"


def condition(filter: Filter, first: datetime | None, last: datetime | None) -> Condition:
    """True for exactly the rows that `filter.matches`, false (never NULL) for the others.

    The rows' times must lie in [first, last]; None says that no row has a time.
    """
    match filter:
        case All(parts):
            return _joined([condition(part, first, last) for part in parts], "AND")
        case AnyOf(parts):
            return _joined([condition(part, first, last) for part in parts], "OR")
        case Not(part):
            text, values = condition(part, first, last)
            return f"NOT {text}", values
        case TimeOfDay():
            return _time_of_day(filter, first, last)
        case Among(field) | Range(field) | Known(field):
            return _of_extra(filter) if keys(field) else _of_column(filter)
    raise TypeError(f"{filter!r} is no filter")


def extra_text(extra: Mapping[str, Any]) -> str:
    """As the conditions read it; ValueError for NaN and infinities, which JSON has not."""
    return json.dumps(extra, allow_nan=False, separators=(",", ":"))


def _joined(conditions: list[Condition], word: str) -> Condition:
    """In brackets, in groups of groups where there are many."""
    while len(conditions) > _WIDEST:
        groups = range(0, len(conditions), _WIDEST)
        conditions = [_joined(conditions[at : at + _WIDEST], word) for at in groups]
    if not conditions:
        return _TRUE if word == "AND" else _FALSE
    text = f" {word} ".join(text for text, _ in conditions)
    return f"({text})", [value for _, values in conditions for value in values]


def _of_column(filter: Among | Range | Known) -> Condition:
    column = filter.field
    there = f"{column} <> ''" if column in TEXTS else f"{column} IS NOT NULL"
    match filter:
        case Among(_, values):
            chosen = f"{column} IN (SELECT value FROM json_each(?))"
            return f"({there} AND {chosen})", [json.dumps(values)]
        case Range(_, at_least, below):
            sides = [(f"{column} >= ?", at_least), (f"{column} < ?", below)]
            given = [(text, [_stored(side)]) for text, side in sides if side is not None]
            return _joined([(there, []), *given], "AND")
    return f"({there})", []


def _stored(bound: float | datetime) -> float:
    return microseconds(bound) if isinstance(bound, datetime) else bound


def _of_extra(filter: Among | Range | Known) -> Condition:
    """Walks from object to object along the keys and puts the question to the last value."""
    way = keys(filter.field)
    tables = [
        f"{_READ} AS e0",
        *(f"{_inside(f'e{n}', 'object')} AS e{n + 1}" for n in range(len(way) - 1)),
    ]
    asked = " AND ".join(f"e{n}.key = ?" for n in range(len(way)))
    test, values = _test(filter, f"e{len(way) - 1}")
    names = [json.loads(_json(key)) for key in way]
    return f"EXISTS (SELECT 1 FROM {', '.join(tables)} WHERE {asked} AND {test})", names + values


def _test(filter: Among | Range | Known, here: str) -> Condition:
    match filter:
        case Among(_, chosen):
            test, values = _equals(chosen, here)
            element, _ = _equals(chosen, "element")
            listed = f"EXISTS (SELECT 1 FROM {_inside(here, 'array')} AS element WHERE {element})"
            return f"({test} OR {listed})", values + values
        case Range(_, at_least, below):
            sides = [
                (f"{here}.value >= json_extract(?, '$')", at_least),
                (f"{here}.value < json_extract(?, '$')", below),
            ]
            given = [(text, [_json(side)]) for text, side in sides if side is not None]
            return _joined([(_number(here), []), *given], "AND")
    return f"{here}.value <> ''", []


def _equals(chosen: tuple[Any, ...], here: str) -> Condition:
    texts = [value for value in chosen if isinstance(value, str) and value]
    numbers = [value for value in chosen if not isinstance(value, str | bool)]
    among = f"{here}.value IN (SELECT value FROM json_each(?))"
    tests = [
        (f"{here}.type = '{str(v).lower()}'", [])
        for v in (True, False)
        if any(v is c for c in chosen)
    ]
    if texts:
        tests.append((f"({here}.type = 'text' AND {among})", [_json(texts)]))
    if numbers:
        tests.append((f"({_number(here)} AND {among})", [_json(numbers)]))
    return _joined(tests, "OR")


def _number(here: str) -> str:
    return f"{here}.type IN ('integer', 'real')"


def _inside(here: str, kind: str) -> str:
    """What lies in the value if it is of this kind ('object', 'array'), otherwise nothing."""
    return f"json_each(CASE {here}.type WHEN '{kind}' THEN {here}.value END)"


def _json(value: Any) -> str:
    """As it stands in `_READ`."""
    return json.dumps(value).replace(*_NUL)


def _time_of_day(filter: TimeOfDay, first: datetime | None, last: datetime | None) -> Condition:
    if first is None or last is None:
        return _FALSE
    held = offsets(zone_named(filter.zone), microseconds(first), microseconds(last))
    if not held:
        return _FALSE
    later = "".join(f" WHEN time >= {since} THEN {ahead}" for since, ahead in reversed(held[1:]))
    ahead = f"CASE{later} ELSE {held[0][1]} END" if later else str(held[0][1])
    start = of_day(filter.start)
    length = (of_day(filter.end) - start) % DAY
    since_start = f"((time + {ahead} - {start}) % {DAY} + {DAY}) % {DAY}"
    return f"(time IS NOT NULL AND {since_start} < {length})", []
