"""Which records a search looks at: conditions on them, as JSON and in words.

Among("camera", ("lobby", "gate")) & Range("time", at_least=monday) & ~Known("track")
"""

from __future__ import annotations

import json
import re
from datetime import datetime, time, timedelta
from typing import Any

from tipr.gallery.clock import EPOCH, windows
from tipr.gallery.conditions import (
    All,
    Among,
    AnyOf,
    Filter,
    Known,
    Not,
    Range,
    TimeOfDay,
)
from tipr.gallery.fields import DEEPEST, TIMES, FilterError, zone_named
from tipr.gallery.record import microseconds

__all__ = [
    "All",
    "Among",
    "AnyOf",
    "Filter",
    "FilterError",
    "Known",
    "Not",
    "Range",
    "TimeOfDay",
    "describe",
    "fields",
    "filter_from_json",
    "moments",
]

_EXAMPLES = (
    'Filters are {"field": "camera", "among": ["lobby"]}, {"field": "age", "at_least": 30, '
    '"below": 40}, {"known": "track"}, {"time_of_day": {"start": "15:00", "end": "16:00", '
    '"zone": "UTC"}}, {"all": [...]}, {"any": [...]} and {"not": ...}'
)
_SHOWN = 5  # values that are told one by one
_PLAIN = re.compile(r"[\w./-]+")


def fields(filter: Filter) -> set[str]:
    """The fields that it reads, as they are written in it."""
    match filter:
        case All(parts) | AnyOf(parts):
            return set().union(*(fields(part) for part in parts))
        case Not(part):
            return fields(part)
        case TimeOfDay():
            return {"time"}
        case Among(field) | Range(field) | Known(field):
            return {field}
    raise TypeError(f"{filter!r} is no filter")


def moments(filter: Filter, first: datetime | None, last: datetime | None) -> Filter:
    """The same for rows whose times lie in [first, last], without any time of day.

    Each one becomes ranges of `time`, one a day. None says that no row has a time.
    """
    match filter:
        case All(parts):
            return All(tuple(moments(part, first, last) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(moments(part, first, last) for part in parts))
        case Not(part):
            return Not(moments(part, first, last))
        case TimeOfDay(start, end, zone):
            if first is None or last is None:
                return AnyOf(())
            span = microseconds(first), microseconds(last)
            days = windows(zone_named(zone), start, end, *span)
            return AnyOf(tuple(Range("time", _moment(low), _moment(high)) for low, high in days))
    return filter


def filter_from_json(facts: Any) -> Filter:
    """What `to_json` wrote, or a person did; an error names the place of the mistake."""
    return _read(facts, "filter")


def _read(facts: Any, place: str) -> Filter:
    if place.count(".") > DEEPEST:
        raise FilterError(f"filters nest {DEEPEST} deep at most; {place} lies deeper")
    match facts:
        case {"all": list(parts), **rest} if not rest:
            return All(tuple(_read(part, f"{place}.all[{n}]") for n, part in enumerate(parts)))
        case {"any": list(parts), **rest} if not rest:
            return AnyOf(tuple(_read(part, f"{place}.any[{n}]") for n, part in enumerate(parts)))
        case {"not": part, **rest} if not rest:
            return Not(_read(part, f"{place}.not"))
    try:
        return _leaf(facts)
    except (FilterError, TypeError, ValueError) as error:
        raise FilterError(f"{place}: {error}") from None


def _leaf(facts: Any) -> Filter:
    match facts:
        case {"known": field, **rest} if not rest:
            return Known(field)
        case {"field": field, "among": list(values), **rest} if not rest:
            return Among(field, tuple(values))
        case {"field": field, **bounds} if bounds and bounds.keys() <= {"at_least", "below"}:
            return Range(field, **{side: _bound(field, bounds[side]) for side in bounds})
        case {"time_of_day": {"start": str(start), "end": str(end), "zone": zone}, **rest} if (
            not rest
        ):
            return TimeOfDay(time.fromisoformat(start), time.fromisoformat(end), zone)
    shown = json.dumps(facts, default=repr)
    raise FilterError(f"{shown[:80]} is no filter. {_EXAMPLES}")


def _bound(field: str, bound: Any) -> Any:
    return datetime.fromisoformat(bound) if field in TIMES and isinstance(bound, str) else bound


def describe(filter: Filter) -> str:
    """In English, short; times in UTC. A semicolon joins what must all hold."""
    match filter:
        case All(parts):
            return "; ".join(describe(part) for part in parts) or "everything"
        case AnyOf((part,)):
            return describe(part)
        case AnyOf(parts):
            return " or ".join(f"({describe(part)})" for part in parts) or "nothing"
        case Not(Among(field, values)) if values:
            return f"{field} is not {_listed(values)}"
        case Not(Known(field)):
            return f"{field} is not known"
        case Not(part):
            return f"not ({describe(part)})"
    return _described(filter)


def _described(leaf: Filter) -> str:
    match leaf:
        case Among(field, values):
            return f"{field} is {_listed(values)}" if values else "nothing"
        case Known(field):
            return f"{field} is known"
        case TimeOfDay(start, end, zone):
            return f"between {_shown(start)} and {_shown(end)} in {zone}"
        case Range(field, at_least, below):
            return _range(field, at_least, below)
    raise TypeError(f"{leaf!r} is no filter")


def _range(field: str, *sides: Any) -> str:
    timed = field in TIMES
    words = ("after", "before") if timed else ("at least", "below")
    given = [(word, side) for word, side in zip(words, sides, strict=True) if side is not None]
    said = " and ".join(f"{word} {_shown(side)}" for word, side in given)
    if not said:
        return f"{field} is known" if timed else f"{field} is a number"
    return said if field == "time" else f"{field} {said}"


def _listed(values: tuple[Any, ...]) -> str:
    told = list(dict.fromkeys(_shown(value) for value in values))
    more = len(told) - _SHOWN
    return " or ".join(told if more <= 1 else [*told[:_SHOWN], f"{more} others"])


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        clock = "minutes" if not value.second and not value.microsecond else "auto"
        return value.replace(tzinfo=None).isoformat(" ", clock) + " UTC"
    if isinstance(value, time):
        return value.isoformat("auto" if value.second or value.microsecond else "minutes")
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _moment(at: int) -> datetime | None:
    """None beyond the last year: a range with that end is open."""
    try:
        return EPOCH + timedelta(microseconds=at)
    except OverflowError:
        return None
