"""Rows of a generation: written inside a transaction, read by id or by slot."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence

from tipr.gallery.local.database import RECORD, columns, record
from tipr.gallery.local.files import Generation
from tipr.gallery.local.vectors import Slots, Vectors
from tipr.gallery.record import Record
from tipr.gallery.store import Thumbnails

PAGE = 1000  # rows read from the database at once


def append(
    now: Generation, vectors: Vectors, added: Sequence[Record], thumbnails: Thumbnails | None
) -> None:
    """Inside a transaction: the vectors first, since only the records make them count."""
    slot = int(now.database.state("next") or 0)
    now.file.write(slot, vectors)
    now.database.many(
        f"INSERT INTO rows(slot, {RECORD}, checksum) VALUES ({', '.join('?' * 13)})",
        (
            (slot + place, *columns(one), zlib.crc32(vectors[place].tobytes()))
            for place, one in enumerate(added)
        ),
    )
    if thumbnails:
        now.database.many(
            "INSERT INTO thumbnails VALUES (?, ?)",
            [(slot + place, jpeg) for place, jpeg in enumerate(thumbnails) if jpeg is not None],
        )
    now.database.put_state("next", slot + len(vectors))


def known(now: Generation, ids: Sequence[str]) -> dict[str, int]:
    rows = now.database.all(
        "SELECT id, slot FROM rows WHERE id IN (SELECT value FROM json_each(?))",
        [json.dumps(list(ids))],
    )
    return dict(rows)


def pages(slots: Slots, size: int = PAGE) -> Iterator[Slots]:
    return (slots[start : start + size] for start in range(0, len(slots), size))


def found(now: Generation, slots: Sequence[int] | Slots) -> tuple[list[int], list[Record]]:
    """Those of the slots that have a row, ascending, and their records."""
    wanted = json.dumps([int(slot) for slot in slots])
    rows = now.database.all(
        f"SELECT slot, {RECORD} FROM rows WHERE slot IN (SELECT value FROM json_each(?)) "
        "ORDER BY slot",
        [wanted],
    )
    return [slot for slot, *_ in rows], [record(values) for _, *values in rows]


def records(now: Generation, slots: Sequence[int] | Slots) -> list[Record]:
    """In ascending order of their slots."""
    return found(now, slots)[1]


def log_changes(now: Generation, slots: Sequence[int]) -> None:
    now.database.many("INSERT INTO changes(slot) VALUES (?)", [(slot,) for slot in slots])
