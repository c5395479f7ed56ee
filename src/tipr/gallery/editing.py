"""New facts for rows that are there; their vectors and thumbnails stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tipr.gallery.facts import GIVEN, FactError, fact, json_or_text, placed
from tipr.gallery.filters import Filter
from tipr.gallery.record import Record
from tipr.gallery.store import Store

_BATCH = 1000
_TEXTS = ("camera", "track", "source", "path")


def edited(record: Record, assignments: Mapping[str, Any]) -> Record:
    """The record with these values of its fields or of `extra`; None or "" clears one.

    Raises:
        FactError: a value that the field cannot have, or a field that is not set by hand.
    """
    changed: dict[str, Any] = {"extra": record.extra}
    for name, value in assignments.items():
        kept = fact(name, value)
        if name in GIVEN:
            changed[name] = "" if kept is None and name in _TEXTS else kept
        else:
            changed["extra"] = placed(changed["extra"], name, kept)
    return replace(record, **changed)


def edit(
    store: Store,
    where: Filter | None,
    assignments: Mapping[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Gives the rows that the filter lets through these values and says how many they are.

    Which rows is settled first: they change even where they match no more afterwards.
    """
    edited(Record(""), assignments)  # mistakes show before anything is written
    ids = store.ids(where)
    done = 0
    for start in range(0, len(ids), _BATCH):
        some = tuple(ids[start : start + _BATCH])
        done += store.change(some, lambda record: _edited(record, assignments))
        if progress is not None:
            progress(start + len(some), len(ids))
    return done


def assignment(text: str, zone: str | None = None) -> tuple[str, Any]:
    """From "camera=lobby": the name and the value, None after "camera=".

    A time without a zone is of `zone`. The value of a name that is no field is read as JSON where
    it is JSON (age=31, hat=true), and is text elsewhere.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise FactError(f"{text!r} gives no field a value; write camera=lobby, or camera= for none")
    try:
        return name, fact(name, value if name in GIVEN else json_or_text(value), zone)
    except FactError as error:
        raise FactError(f"{text}: {error}") from None


def _edited(record: Record, assignments: Mapping[str, Any]) -> Record:
    try:
        return edited(record, assignments)
    except FactError as error:
        raise FactError(f"record {record.id} stays as it is: {error}") from None
