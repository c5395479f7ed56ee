"""Conditions on records: four kinds of leaves, joined by All, AnyOf and Not, or & | ~.

`matches` defines what a filter means; the engines translate filters and must agree with it. A
record that lacks a field matches no condition on it, and so matches their negation: there is no
third truth value. Numbers compare by value (3 == 3.0; whole numbers beyond 64 bits as floating
point), True is not 1, text is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from typing import Any

from tipr.gallery.clock import DAY, of_day, offset
from tipr.gallery.fields import (
    DEEPEST,
    TIMES,
    FilterError,
    Value,
    atom,
    checked_bound,
    checked_value,
    keys,
    number,
    value_of,
    zone_named,
)
from tipr.gallery.record import Record, microseconds


class Filter(ABC):
    """A condition on records."""

    depth = 0  # how deep & | ~ nest in it

    @abstractmethod
    def matches(self, record: Record) -> bool: ...

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What `filter_from_json` reads."""

    def __and__(self, other: Filter) -> Filter:
        return All((*_parts(self, All), *_parts(other, All)))

    def __or__(self, other: Filter) -> Filter:
        return AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __invert__(self) -> Filter:
        return self.part if isinstance(self, Not) else Not(self)


@dataclass(frozen=True)
class Among(Filter):
    """The field equals one of the values; of a JSON list, one element does."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        keys(self.field)
        if isinstance(self.values, str):
            raise FilterError(f"the values of {self.field} are a tuple: ({self.values!r},)")
        chosen = tuple(checked_value(self.field, value) for value in self.values)
        object.__setattr__(self, "values", chosen)

    def matches(self, record: Record) -> bool:
        value = value_of(record, self.field)
        elements = value if isinstance(value, list | tuple) else (value,)
        return any(atom(element) in self._atoms for element in elements)

    @cached_property
    def _atoms(self) -> frozenset[Any]:
        return frozenset(atom(value) for value in self.values) - {None}

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "among": list(self.values)}


@dataclass(frozen=True)
class Range(Filter):
    """at_least <= value < below, of a number or, for `time` and `indexed`, of a moment."""

    field: str
    at_least: float | datetime | None = None
    below: float | datetime | None = None

    def __post_init__(self) -> None:
        keys(self.field)
        for side in ("at_least", "below"):
            object.__setattr__(self, side, checked_bound(self.field, getattr(self, side)))

    def matches(self, record: Record) -> bool:
        value: Any = value_of(record, self.field)
        if self.field not in TIMES:
            value = number(value)
        if value is None:
            return False
        low: Any = self.at_least
        high: Any = self.below
        return (low is None or low <= value) and (high is None or value < high)

    def to_json(self) -> dict[str, Any]:
        low, high = (
            side.isoformat() if isinstance(side, datetime) else side
            for side in (self.at_least, self.below)
        )
        return {"field": self.field, "at_least": low, "below": high}


@dataclass(frozen=True)
class TimeOfDay(Filter):
    """Clocks in the IANA zone show [start, end) at the record's `time`; it may cross midnight.

    An hour that clocks repeat counts both times, one that they skip never. Nothing matches when
    start and end are equal.
    """

    start: time
    end: time
    zone: str
    depth = 1  # engines without clocks take it as many ranges: `filters.moments`

    def __post_init__(self) -> None:
        zone_named(self.zone)
        for side in (self.start, self.end):
            if not isinstance(side, time) or side.tzinfo is not None:
                raise FilterError(
                    f"a time of day is a datetime.time without a zone, not {side!r}; "
                    "the zone is named apart"
                )

    def matches(self, record: Record) -> bool:
        if record.time is None:
            return False
        moment, start = microseconds(record.time), of_day(self.start)
        shown = moment + offset(zone_named(self.zone), moment)
        return (shown - start) % DAY < (of_day(self.end) - start) % DAY

    def to_json(self) -> dict[str, Any]:
        start, end = self.start.isoformat(), self.end.isoformat()
        return {"time_of_day": {"start": start, "end": end, "zone": self.zone}}


@dataclass(frozen=True)
class Known(Filter):
    """The field has a value: not missing, not None, not empty text."""

    field: str

    def __post_init__(self) -> None:
        keys(self.field)

    def matches(self, record: Record) -> bool:
        return value_of(record, self.field) is not None

    def to_json(self) -> dict[str, Any]:
        return {"known": self.field}


@dataclass(frozen=True)
class All(Filter):
    """Every part matches; without parts, every record does."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts(self, self.parts)

    def matches(self, record: Record) -> bool:
        return all(part.matches(record) for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        return {"all": [part.to_json() for part in self.parts]}


@dataclass(frozen=True)
class AnyOf(Filter):
    """Some part matches; without parts, no record does."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts(self, self.parts)

    def matches(self, record: Record) -> bool:
        return any(part.matches(record) for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        return {"any": [part.to_json() for part in self.parts]}


@dataclass(frozen=True)
class Not(Filter):
    """The part does not match."""

    part: Filter

    def __post_init__(self) -> None:
        _check_parts(self, (self.part,))

    def matches(self, record: Record) -> bool:
        return not self.part.matches(record)

    def to_json(self) -> dict[str, Any]:
        return {"not": self.part.to_json()}


def _parts(filter: Filter, kind: type[All] | type[AnyOf]) -> tuple[Filter, ...]:
    return filter.parts if isinstance(filter, kind) else (filter,)


def _check_parts(whole: Filter, parts: tuple[Filter, ...]) -> None:
    """Also counts the depth of the whole."""
    if not isinstance(parts, tuple) or not all(isinstance(part, Filter) for part in parts):
        raise FilterError(f"{type(whole).__name__} joins filters, not {parts!r}")
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > DEEPEST:
        raise FilterError(f"filters nest {DEEPEST} deep at most; join many with one All or AnyOf")
    object.__setattr__(whole, "depth", depth)
