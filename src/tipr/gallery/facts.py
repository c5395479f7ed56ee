"""What a person says about a crop, as the values of a record's fields.

Times are ISO 8601 or seconds since 1970; boxes are left, top, width, height; any name that is no
field is a key of `extra`, named as filters name it: dots lead into objects ("vehicle.colour").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from tipr.gallery.clock import EPOCH
from tipr.gallery.fields import FilterError, keys, zone_named
from tipr.gallery.record import Box, utc

GIVEN = ("camera", "time", "track", "box", "frame", "source", "path")
_MADE = ("id", "indexed", "model", "extra")
_SECONDS = re.compile(r"-?\d{9,}(\.\d+)?")  # eight digits are a date: 20261101
_WHOLE = re.compile(r"-?\d{1,18}")


class FactError(ValueError):
    """A value that the field cannot have; says what to write instead."""


def fact(name: str, value: Any, zone: str | None = None) -> Any:
    """The value as the record keeps it; None where it is None or empty text, which is not known.

    A time that names no zone is of the IANA `zone`.
    """
    if name in _MADE:
        raise FactError(
            f"{name} is not given by hand; other names are kept beside the fields, as colour=red"
        )
    way = _way(name)
    if value is None or value == "":
        return None
    if way:
        return _of_json(name, value)
    if name == "time":
        return moment(value, zone)
    if name == "box":
        return _box(value)
    return _frame(value) if name == "frame" else _text(name, value)


def zone_of(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except FilterError as error:
        raise FactError(str(error)) from None


def placed(extra: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy of `extra` with the value where the name leads; None takes the key out."""
    return _placed(extra, _way(name), name, value)


def json_or_text(text: str) -> Any:
    """12 is a number, true is true, [1, 2] a list; what is no JSON, as 007 or red, is text."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return text
    return value


def moment(value: Any, zone: str | None = None) -> datetime:
    """From a datetime, ISO 8601, or seconds since 1970, in UTC."""
    try:
        if isinstance(value, str) and _SECONDS.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return EPOCH + timedelta(seconds=value)
        when = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        return utc(_zoned(when, zone)) if isinstance(when, datetime) else _no_time(value)
    except FactError:
        raise
    except (ValueError, OverflowError):
        _no_time(value)


def _zoned(when: datetime, zone: str | None) -> datetime:
    if when.tzinfo is not None:
        return when
    if zone is None:
        raise FactError(
            f"{when.isoformat()} is in no time zone; write {when.isoformat()}+01:00, or say which "
            "zone such times are of, as Europe/Berlin"
        )
    return when.replace(tzinfo=zone_of(zone))


def _no_time(value: Any) -> NoReturn:
    raise FactError(
        f"time is {value!r}; write 2026-11-01T15:00:00+01:00, or seconds since 1970"
    ) from None


def _way(name: str) -> tuple[str, ...]:
    if name in GIVEN:
        return ()
    try:
        return keys(name)
    except FilterError as error:
        raise FactError(str(error)) from None


def _placed(extra: Any, way: tuple[str, ...], name: str, value: Any) -> dict[str, Any]:
    if not isinstance(extra, dict):
        raise FactError(f"{name} leads into {extra!r}, which is no object; set that anew first")
    first, *rest = way
    changed = dict(extra)
    if rest and (value is not None or first in extra):
        changed[first] = _placed(extra.get(first, {}), tuple(rest), name, value)
    elif value is not None:
        changed[first] = value
    elif not rest:
        changed.pop(first, None)
    return changed


def _of_json(name: str, value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise FactError(f"{name} is {value!r}, which JSON cannot hold; give text, a number, true "
                        "or false, a list or an object of these") from None  # fmt: skip
    return value


def _box(value: Any) -> Box:
    sides = value.split(",") if isinstance(value, str) else value
    if isinstance(sides, Iterable) and not isinstance(sides, dict):
        try:
            left, top, width, height = (round(float(side)) for side in sides)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if width > 0 and height > 0:
                return left, top, width, height
    raise FactError(
        f"box is {value!r}; write left,top,width,height in pixels, as 40,12,64,128, "
        "with a width and a height above 0"
    )


def _frame(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    raise FactError(f"frame is {value!r}; write a whole number, as 151")


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FactError(f"{name} is {value!r}; write text, as {name}=lobby")
    text = str(value)
    if "\0" in text or text != text.encode("utf-8", "ignore").decode():
        raise FactError(f"{name} is {value!r}, which has characters that are no text")
    return text
