"""Filters as expressions of Milvus, and what a row must hold so that they mean the same.

Milvus compares columns well and JSON loosely: it tells 3 from 3.0, rounds whole numbers, and its
versions differ on values that are missing. So no owner's JSON is ever compared. Each row has a
`facts` column in a shape where every question is about what is surely there:

    {"known": ["age", "tags"], "is": ["age..n", "age..n31", "tags..sodd"],
     "number": {"616765": 31.0}, "rest": {}}

A name never holds two dots in a row, so a token can mean one thing only. Numbers from 2^53 on are
kept as the next lower floating point number and the whole `rest` above it; `age..n` says that the
age is a number, so that `number` is only looked into where there is one, by the name in hexadecimal
digits, which need no quoting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tipr.gallery.clock import DAY, of_day, offsets
from tipr.gallery.fields import DEEPEST, TEXTS, atom, keys, number, zone_named
from tipr.gallery.filters import All, Among, AnyOf, Filter, Known, Not, Range, TimeOfDay
from tipr.gallery.record import microseconds

LARGEST = 2**63 - 1
UNKNOWN = -LARGEST  # in place of a frame or time that is not known
TRUE, FALSE = "number >= 0", "number < 0"
Span = tuple[int, int] | None
_BEYOND = 2.0**53  # floating point numbers have gaps from here on


def facts(extra: dict[str, Any]) -> dict[str, Any]:
    """What filters ask about the owner's values; OverflowError for a number without end."""
    found: dict[str, Any] = {"known": [], "is": [], "number": {}, "rest": {}}
    for name, value in _named(extra):
        found["known"].append(name)
        elements = value if isinstance(value, list | tuple) else [value]
        found["is"] += sorted({_token(name, one) for one in elements if _askable(one)})
        whole = number(value)
        if whole is not None:
            found["is"].append(f"{name}..n")
            found["number"][_key(name)], rest = _split(whole)
            if abs(whole) >= _BEYOND:
                found["rest"][_key(name)] = rest
    return found


def expression(filter: Filter, span: Callable[[], Span]) -> str:
    """True for exactly the rows that `filter.matches`.

    `span` is asked only where a time of day is: the rows' times lie in it, both ends included;
    None says that no row has a time.
    """
    match filter:
        case All(parts):
            return _joined([expression(part, span) for part in parts], "and") or TRUE
        case AnyOf(parts):
            return _joined([expression(part, span) for part in parts], "or") or FALSE
        case Not(part):
            return f"not ({expression(part, span)})"
        case TimeOfDay():
            return _time_of_day(filter, span())
        case Among(field) | Range(field) | Known(field):
            return _of_extra(filter, ".".join(keys(field))) if keys(field) else _of_column(filter)
    raise TypeError(f"{filter!r} is no filter")


def quoted(text: str) -> str:
    """A literal of text in an expression."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in plain) + '"'


def among(column: str, texts: list[str]) -> str:
    return f"{column} in [{', '.join(map(quoted, texts))}]"


def _named(values: dict[str, Any], above: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Values that a field's name can lead to and that are known, objects and what lies in them."""
    for key, value in values.items():
        if key and "." not in key and _is_unicode(key) and value is not None and value != "":
            yield above + key, value
            if isinstance(value, dict) and depth < DEEPEST:
                yield from _named(value, f"{above}{key}.", depth + 1)


def _askable(value: Any) -> bool:
    return atom(value) is not None and (not isinstance(value, str) or _is_unicode(value))


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _token(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{name}..b{value}"
    if isinstance(value, str):
        return f"{name}..s{value}"
    exact = number(value)
    if isinstance(exact, float) and exact.is_integer() and abs(exact) <= LARGEST:
        exact = int(exact)  # the same token for 3 and 3.0
    return f"{name}..n{exact}"


def _key(name: str) -> str:
    return name.encode().hex()


def _split(value: float) -> tuple[float, int]:
    """The floating point number at or below, and what is left of a whole number."""
    if isinstance(value, float):
        if math.isinf(value):
            raise OverflowError("a whole number has more digits than can be compared")
        return value, 0
    below = float(value)
    if below > value:
        below = math.nextafter(below, -math.inf)
    return below, value - int(below)


def _joined(parts: list[str], word: str) -> str:
    """In brackets, halved again and again: the engine takes chains of many parts very long."""
    if len(parts) < 2:
        return "".join(parts)
    middle = len(parts) // 2
    return f"({_joined(parts[:middle], word)} {word} {_joined(parts[middle:], word)})"


def _of_column(filter: Among | Range | Known) -> str:
    column = filter.field
    there = f'{column} != ""' if column in TEXTS else f"{column} > {UNKNOWN}"
    match filter:
        case Among(_, values) if column in TEXTS:
            texts = [str(value) for value in values if value]
            return among(column, texts) if texts else FALSE
        case Among(_, values):
            numbers = [int(v) for v in values if v == int(v) and UNKNOWN < v <= LARGEST]
            return f"{column} in {numbers}" if numbers else FALSE
        case Range(_, at_least, below):
            low = max(UNKNOWN + 1, UNKNOWN if at_least is None else _whole(at_least))
            high = min(LARGEST, LARGEST if below is None else _whole(below) - 1)
            return f"({column} >= {low} and {column} <= {high})" if low <= high else FALSE
    return there


def _whole(bound: Any) -> int:
    """The least whole number that is not below the limit."""
    return microseconds(bound) if isinstance(bound, datetime) else math.ceil(bound)


def _of_extra(filter: Among | Range | Known, name: str) -> str:
    match filter:
        case Among(_, values):
            tokens = ", ".join(quoted(_token(name, value)) for value in values if value != "")
            return f'json_contains_any(facts["is"], [{tokens}])' if tokens else FALSE
        case Range(_, at_least, below):
            sides = ((">", at_least), ("<", below))
            given = [_compared(name, sign, side) for sign, side in sides if side is not None]
            return _joined([f'json_contains(facts["is"], {quoted(name + "..n")})', *given], "and")
    return f'json_contains(facts["known"], {quoted(name)})'


def _compared(name: str, sign: str, bound: Any) -> str:
    """At least (">") or below ("<") the bound."""
    here = f'facts["number"]["{_key(name)}"]'
    low, rest = _split(bound)
    equal = "=" if sign == ">" else ""
    if not rest:
        return f"{here} {sign}{equal} {low!r}"
    more = f'facts["rest"]["{_key(name)}"] {sign}{equal} {rest}'
    return f"({here} {sign} {low!r} or ({here} == {low!r} and {more}))"


def _time_of_day(filter: TimeOfDay, span: Span) -> str:
    """One window of the `clock` column, which is UTC, for each stretch between clock changes."""
    opens, length = of_day(filter.start), (of_day(filter.end) - of_day(filter.start)) % DAY
    if span is None or not length:
        return FALSE
    held = offsets(zone_named(filter.zone), *span)
    until = [since for since, _ in held[1:]] + [span[1] + 1]
    return _joined(
        [
            f"(time >= {since} and time < {stop} and {_clock((opens - ahead) % DAY, length)})"
            for (since, ahead), stop in zip(held, until, strict=True)
        ],
        "or",
    )


def _clock(low: int, length: int) -> str:
    high = low + length
    if high <= DAY:
        return f"clock >= {low} and clock < {high}"
    return f"(clock >= {low} or clock < {high - DAY})"
