"""Rows of facts as CSV, JSON and Parquet: the same columns, the owner's `extra` as JSON in one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Facts = Mapping[str, Any]

COLUMNS = (
    *("rank", "group", "score", "probability"),
    *("id", "camera", "time", "track", "source", "frame", "box", "path", "indexed", "model"),
    "extra",
)
_TIMES = ("time", "indexed")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Rows, facts: Facts | None = None, more: Sequence[str] = ()) -> str:
    """RFC 4180 with a header line and the columns in `more` at the end; no place for `facts`.

    Text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a carriage
    return) has an apostrophe before it.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*COLUMNS, *more])
    for row in rows:
        table.writerow([_cell(row[name]) for name in (*COLUMNS, *more)])
    return text.getvalue()


def json_text(rows: Rows, facts: Facts) -> str:
    whole = {"header": dict(facts), "rows": list(rows)}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def parquet_bytes(rows: Rows, facts: Facts) -> bytes:
    """Times as timestamps in UTC; the facts are in the schema's metadata, as JSON under `tipr`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'tipr[export]'") from error
    kinds = dict.fromkeys(COLUMNS, pa.string())
    kinds |= dict.fromkeys(("rank", "group", "frame"), pa.int64())
    kinds |= dict.fromkeys(("score", "probability"), pa.float64())
    kinds |= dict.fromkeys(_TIMES, pa.timestamp("us", "UTC"))
    kinds["box"] = pa.list_(pa.int64())
    told = [
        {
            **row,
            **{name: row[name] and datetime.fromisoformat(row[name]) for name in _TIMES},
            "extra": _packed(row["extra"]),
        }
        for row in rows
    ]
    schema = pa.schema(kinds.items(), {"tipr": json.dumps(dict(facts))})
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(told, schema), sink)
    return sink.getvalue().to_pybytes()


WRITERS: dict[str, Callable[[Rows, Facts], str | bytes]] = {
    ".csv": csv_text,
    ".json": json_text,
    ".parquet": parquet_bytes,
}


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return _packed(value) if isinstance(value, dict | list) else value


def _packed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
