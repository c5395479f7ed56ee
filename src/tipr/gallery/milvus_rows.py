"""The collections of a gallery on a Milvus server: their columns, and records as rows of them.

A gallery NAME is three collections: NAME has the vectors and what is known of each picture;
NAME_thumbnails has the small pictures, which no search has to carry through memory; NAME_notes has
a few texts. Milvus wants a vector in every collection, so the latter two have one that says
nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tipr.gallery.clock import DAY, EPOCH
from tipr.gallery.fields import TEXTS, TIMES
from tipr.gallery.milvus_filters import LARGEST, UNKNOWN, facts
from tipr.gallery.record import Record, microseconds
from tipr.gallery.sql import extra_text

if TYPE_CHECKING:
    from pymilvus import CollectionSchema

Row = dict[str, Any]

RECORD = [*TEXTS, "frame", *TIMES, "box", "extra"]
LISTS = 1024  # that the index sorts the rows of a segment into; looking at all of them is exact
INDEX: dict[str, Any] = {"index_type": "IVF_FLAT", "metric_type": "IP", "params": {"nlist": LISTS}}
_LONGEST = 65_535  # bytes of a text, the most that Milvus takes
_MOST = 1000  # rows of one request
_HEAVIEST = 16_000_000  # bytes of one request; Milvus takes 64 MB
_NO_VECTOR = [1.0, 0.0]


def schemas(name: str, width: int) -> dict[str, CollectionSchema]:
    """The collection of the vectors last: once it is there, the others are."""
    import pymilvus as m

    def made(texts: Iterable[str], numbers: Iterable[str], wide: int) -> CollectionSchema:
        schema = m.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", m.DataType.VARCHAR, is_primary=True, max_length=_LONGEST)
        schema.add_field("vector", m.DataType.FLOAT_VECTOR, dim=wide)
        for column in texts:
            schema.add_field(column, m.DataType.VARCHAR, max_length=_LONGEST)
        for column in numbers:
            schema.add_field(column, m.DataType.INT64)
        return schema

    rows = made([*TEXTS[1:], "box", "extra"], ["number", "frame", *TIMES, "clock"], width)
    rows.add_field("facts", m.DataType.JSON)
    return {
        thumbnails_of(name): made(["jpeg"], [], 2),
        notes_of(name): made(["text"], [], 2),
        name: rows,
    }


def thumbnails_of(name: str) -> str:
    return f"{name}_thumbnails"


def notes_of(name: str) -> str:
    return f"{name}_notes"


def row(record: Record) -> Row:
    """Without `vector` and `number`; ValueError names what Milvus cannot keep."""
    what = f"record {record.id!r}"
    texts = {name: getattr(record, name) for name in TEXTS}
    texts["box"] = json.dumps(record.box) if record.box else ""
    if record.frame is not None and not UNKNOWN < record.frame <= LARGEST:
        raise ValueError(f"the frame of {what} is too large a number: {record.frame}")
    try:
        texts["extra"] = extra_text(record.extra)
        asked = facts(record.extra)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"the extra of {what} cannot be kept: {error}") from None
    texts["facts"] = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return {
        **{name: _checked(text, f"the {name} of {what}") for name, text in texts.items()},
        **{name: _number(getattr(record, name)) for name in ("frame", *TIMES)},
        "clock": UNKNOWN if record.time is None else microseconds(record.time) % DAY,
    }


def record(row: Row) -> Record:
    times = {name: _time(row[name]) for name in TIMES}
    return Record(
        **{name: row[name] for name in TEXTS},
        **times,
        frame=None if row["frame"] == UNKNOWN else row["frame"],
        box=tuple(json.loads(row["box"])) if row["box"] else None,
        extra=json.loads(row["extra"]),
    )


def thumbnail_row(id: str, jpeg: bytes) -> Row:
    text = base64.b64encode(jpeg).decode("ascii")
    if len(text) > _LONGEST:
        raise ValueError(
            f"the thumbnail of {id!r} has {len(jpeg)} bytes; Milvus keeps {_LONGEST // 4 * 3} at "
            "most, so make it smaller"
        )
    return {"id": id, "jpeg": text, "vector": _NO_VECTOR}


def jpeg(row: Row) -> bytes:
    return base64.b64decode(row["jpeg"])


def note_row(name: str, text: str) -> Row:
    return {"id": name, "text": _checked(text, f"the note {name!r}"), "vector": _NO_VECTOR}


def requests(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """In pieces that one request can carry."""
    some: list[Row] = []
    weight = 0
    for one in rows:
        size = sum(len(text) for text in one.values() if isinstance(text, str))
        size = 4 * (size + len(one["vector"]))
        if some and (len(some) == _MOST or weight + size > _HEAVIEST):
            yield some
            some, weight = [], 0
        some.append(one)
        weight += size
    if some:
        yield some


def _checked(text: str, what: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what} is no Unicode text: {text[:80]!r}") from None
    if size > _LONGEST:
        raise ValueError(f"{what} has {size} bytes; Milvus keeps {_LONGEST} at most")
    return text


def _number(value: int | datetime | None) -> int:
    if value is None:
        return UNKNOWN
    return microseconds(value) if isinstance(value, datetime) else value


def _time(at: int) -> datetime | None:
    return None if at == UNKNOWN else EPOCH + timedelta(microseconds=at)
