"""One token of a filter: camera:lobby,gate or -time:15:00-16:00; `filter_text` joins them."""

from __future__ import annotations

import re
from datetime import datetime, time
from math import isfinite
from typing import Any

from tipr.gallery.fields import TEXTS, FilterError, Value, zone_named
from tipr.gallery.filters import Among, AnyOf, Filter, Known, Range, TimeOfDay

_QUOTED = r'"(?:[^"]|"")*+"'
_NAME = r"[^\W\d][\w.-]*"
_VALUE = rf'(?!//)(?:{_QUOTED}|\([^\s()"]*\)|[^\s()"])+'  # // follows in addresses
TOKEN = rf"-?{_NAME}:{_VALUE}(?=[\s()]|$)"

_PIECE = re.compile(rf'((?:{_QUOTED}|[^",])*)(?:,|$)')
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,99})")
_NUMBER = re.compile(rf"{_WHOLE.pattern}(?:\.\d+)?(?:[eE][+-]?\d{{1,3}})?")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?")


def token(text: str, zone: str) -> Filter:
    """The text matches `TOKEN`, or has spaces in its value besides."""
    name, _, value = text.removeprefix("-").partition(":")
    try:
        filter = _one_of([_part(name, piece, zone) for piece in _pieces(name, value)])
    except FilterError as error:
        raise FilterError(f"{text}: {error}") from None
    return ~filter if text.startswith("-") else filter


def _pieces(name: str, value: str) -> list[str]:
    """What stands between commas, quotes still on."""
    pieces, at = [], 0
    while at <= len(value):
        match = _PIECE.match(value, at)
        if not match:
            raise FilterError(f'a quote is not closed; write {name}:"north door"')
        if match[1] in ("", '""'):
            raise FilterError(
                f"a value is missing; write {name}:VALUE or {name}:VALUE,VALUE, "
                f"and -has:{name} for records without"
            )
        pieces.append(match[1])
        at = match.end() + (not match[0].endswith(","))
    if len(pieces) > 1 and name in ("after", "before"):
        raise FilterError(f"{name}: takes one date, as {name}:2026-11-01")
    return pieces


def _one_of(parts: list[Filter]) -> Filter:
    """Values of the same field as one condition."""
    named = [part for part in parts if isinstance(part, Among)]
    others: list[Filter] = [part for part in parts if not isinstance(part, Among)]
    if named:
        values = tuple(value for part in named for value in part.values)
        others.insert(0, Among(named[0].field, values))
    return others[0] if len(others) == 1 else AnyOf(tuple(others))


def _part(name: str, piece: str, zone: str) -> Filter:
    text = re.sub(_QUOTED, lambda quoted: quoted[0][1:-1].replace('""', '"'), piece)
    match name:
        case "after":
            return Range("time", at_least=_moment(text, zone))
        case "before":
            return Range("time", below=_moment(text, zone))
        case "has":
            return Known(text)
        case "time" | "indexed":
            return _timed(name, text, zone)
    quoted = text != piece
    return Among(name, (text,)) if quoted or name in TEXTS else _valued(name, text)


def _valued(name: str, text: str) -> Filter:
    sides = text.split("..")
    if len(sides) == 2 and any(sides) and all(_NUMBER.fullmatch(side or "0") for side in sides):
        return _range(name, *(_number(side) if side else None for side in sides))
    if name != "frame":
        return Among(name, _readings(text))
    if not _WHOLE.fullmatch(text):
        raise FilterError("a frame is a whole number: frame:100 or frame:100..200")
    return Among(name, (int(text),))


def _readings(text: str) -> tuple[Value, ...]:
    """Text, and what JSON would read: 7 finds both the number and the text."""
    if text in ("true", "false"):
        return text, text == "true"
    if _NUMBER.fullmatch(text) and isfinite(_number(text)):
        return text, _number(text)
    return (text,)


def _number(text: str) -> float:
    return int(text) if _WHOLE.fullmatch(text) else float(text)


def _timed(name: str, text: str, zone: str) -> Filter:
    start, dots, end = text.partition("..")
    if dots and (start or end):
        sides = (_moment(side, zone) if side else None for side in (start, end))
        return _range(name, *sides)
    start, _, end = text.partition("-")
    if name == "indexed" or not (_CLOCK.fullmatch(start) and _CLOCK.fullmatch(end)):
        clock = "" if name == "indexed" else "a time of day, time:15:00-16:00, or "
        raise FilterError(f"write {clock}a range of dates, {name}:2026-11-01..2026-11-02")
    window = TimeOfDay(_clock(start), _clock("0" if end in ("24", "24:00") else end), zone)
    if window.start == window.end:
        raise FilterError("nothing lies between equal times; leave the token out for all day")
    return window


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(re.sub(r"^(?=\d(:|$))", "0", text))
    except ValueError:
        raise FilterError(f"a clock does not show {text}; write 00:00 to 23:59") from None


def _moment(text: str, zone: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise FilterError(
            f"{text} is no date; write 2026-11-01, 2026-11-01T15:00 or 2026-11-01T15:00+01:00"
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=zone_named(zone))


def _range(name: str, low: Any, high: Any) -> Range:
    if low is not None and high is not None and low >= high:
        raise FilterError("the second must be greater; it does not belong to the range: 30..41")
    return Range(name, low, high)
