"""The fields that filters read: their names, where their values lie, when two values are equal.

Fields are those of a record; any other name is a key of its `extra`, dots lead into nested objects
("vehicle.colour"), and "extra.camera" is a key that has a field's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tipr.gallery.record import Record, utc

TEXTS = ("id", "path", "camera", "track", "source", "model")
TIMES = ("time", "indexed")
FIELDS = (*TEXTS, "frame", *TIMES)
Value = str | int | float | bool
DEEPEST = 12  # names in a name, filters in a filter: engines parse with stacks of fixed height
_INT64 = range(-(2**63), 2**63)


class FilterError(ValueError):
    """A filter that cannot be meant; says what to write instead."""


def keys(field: str) -> tuple[str, ...]:
    """The way to the field's value in `extra`, () for a field of records; refuses what is none."""
    if field in FIELDS:
        return ()
    if not isinstance(field, str):
        raise FilterError(f"a field's name is text, not {field!r}")
    _check_text(field)
    way = tuple(field.split("."))
    if not all(way) or len(way) > DEEPEST:
        raise FilterError(
            f"{field!r} names no field; dots stand between names, {DEEPEST} at most: vehicle.colour"
        )
    return way[1:] if way[0] == "extra" and len(way) > 1 else way


def value_of(record: Record, field: str) -> Any:
    """None where it is not known."""
    way = keys(field)
    value: Any = record.extra if way else getattr(record, field)
    for key in way:
        value = value.get(key) if isinstance(value, dict) else None
    return None if isinstance(value, str) and not value else value


def number(value: object) -> float | None:
    """The value of a number; None for anything else, True and False too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) or value in _INT64:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def atom(value: object) -> Hashable:
    """Equal for equal values of a field; None for what no value equals."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, str):
        return value or None
    return number(value)


def checked_value(field: str, value: object) -> Value:
    """As it is kept; refuses what the field can never hold."""
    if field in TIMES:
        raise FilterError(
            f"{field} is a moment, so it lies in a range: Range({field!r}, at_least, below)"
        )
    if isinstance(value, str) and field != "frame":
        _check_text(value)
        return value
    if isinstance(value, bool) and field not in FIELDS:
        return value
    if field in TEXTS:
        raise FilterError(f"{field} is text; write {str(value)!r} instead of {value!r}")
    return _checked_number(field, value)


def checked_bound(field: str, bound: object) -> float | datetime | None:
    """As it is kept: moments in UTC."""
    if field in TEXTS:
        raise FilterError(f"{field} is text, which has no range; name the values: Among")
    if bound is None:
        return None
    if field not in TIMES:
        return _checked_number(field, bound)
    if not isinstance(bound, datetime):
        raise FilterError(f"a range of {field} is of datetimes with a zone, not {bound!r}")
    try:
        return utc(bound, f"a limit of {field}")
    except ValueError as error:
        raise FilterError(str(error)) from None
    except OverflowError:
        raise FilterError(f"{bound.isoformat()} has no date in UTC; leave the end open") from None


def zone_named(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise FilterError(
            f"there is no time zone {name!r}; write an IANA name: UTC, Europe/Berlin, Asia/Tokyo"
        ) from None


def _checked_number(field: str, value: object) -> float:
    compared = number(value)
    if compared is None or not math.isfinite(compared):
        allowed = "a number" if field == "frame" else "text, a finite number or true or false"
        raise FilterError(f"{field} is compared with {allowed}, not {value!r}")
    return compared


def _check_text(text: str) -> None:
    """Engines cannot be asked for what is no Unicode or has a NUL."""
    if re.search("[\0\ud800-\udfff]", text):
        raise FilterError(f"{text!r} has characters that no field can be searched for")
