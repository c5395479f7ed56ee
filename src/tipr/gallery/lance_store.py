"""The store on disk: one LanceDB table, searched exactly, shared by any number of processes.

True here: an addition is one commit, flushed to the disk before `add` returns; readers see the
newest commit; two writers may add at once and an id is kept once. The engine scans every row (no
approximate index), which is quicker than an index up to about 50,000 rows. Its float32 scores
choose the candidates; their order is settled in float64, as in `MemoryStore`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tipr.gallery.store import (
    Hit,
    Record,
    StoreError,
    Vectors,
    check_ids,
    check_k,
    check_records,
    cosines,
    unit_query,
    unit_rows,
)

if TYPE_CHECKING:
    import pyarrow

TABLE = "rows"
_RECORD = ["id", "path", "extra"]
_COLUMNS = ["order", "vector", *_RECORD]
_SPARE = 16  # candidates fetched beyond k, to see whether the k-th place is tied
_ROUNDING = 1e-5  # float32 scores this close may swap places in float64
_OLD_VERSIONS = timedelta(minutes=10)  # readers may still be using younger ones
_IDS_PER_DELETE = 500


class LanceStore:
    """Rows in `folder`, made if missing; `width` must be the one it was made with."""

    def __init__(self, folder: Path | str, width: int) -> None:
        import lancedb  # a second of CPU time, so only when a store is opened

        self.folder = Path(folder)
        self.width = width
        with self._named_errors("open"):
            database = lancedb.connect(self.folder, read_consistency_interval=timedelta(0))
            self._table: Any = (
                database.open_table(TABLE)
                if (self.folder / f"{TABLE}.lance").exists()
                else database.create_table(TABLE, schema=_schema(width))
            )
        there = self._table.schema.field("vector").type.list_size
        if there != width:
            raise ValueError(f"{self.folder} holds vectors of width {there}, not {width}")
        self._on_disk = set(self._files())

    def add(self, vectors: ArrayLike, records: Sequence[Record]) -> int:
        rows = unit_rows(vectors, self.width)
        check_records(rows, records)
        if not records:
            return 0
        insert = self._table.merge_insert("id").when_not_matched_insert_all()
        with self._named_errors("write"):
            result = insert.execute(_arrow(rows, records))
            self._flush()
        return result.num_inserted_rows

    def search(self, query: ArrayLike, k: int) -> list[Hit]:
        check_k(k)
        unit = unit_query(query, self.width)
        found = self._candidates(unit, k)
        if not found.num_rows:
            return []
        scores = cosines(_matrix(found, self.width), unit)
        best = np.lexsort((found["order"].to_numpy(), -scores))[:k]
        rows = found.select(_RECORD).take(best).to_pylist()
        return [
            Hit(float(score), _record(row)) for score, row in zip(scores[best], rows, strict=True)
        ]

    def _candidates(self, query: Vectors, k: int) -> pyarrow.Table:
        """Enough rows that no other can be among the `k` best, equal scores included."""
        limit = k + _SPARE
        while True:
            search = self._table.search(query, vector_column_name="vector").distance_type("dot")
            with self._named_errors("read"):
                found = search.select([*_COLUMNS, "_distance"]).limit(limit).to_arrow()
            distances = np.sort(found["_distance"].to_numpy())
            if len(distances) < limit or distances[-1] > distances[k - 1] + _ROUNDING:
                return found
            limit *= 4

    def get(self, id: str) -> Record | None:
        query = self._table.search().where(f"id = {_quoted(id)}")
        with self._named_errors("read"):
            rows = query.select(_RECORD).limit(1).to_list()
        return _record(rows[0]) if rows else None

    def ids(self) -> list[str]:
        return self._in_order(["id"])["id"].to_pylist()

    def records(self) -> list[Record]:
        return [_record(row) for row in self._in_order(_RECORD).to_pylist()]

    def _in_order(self, columns: list[str]) -> pyarrow.Table:
        with self._named_errors("read"):
            rows = self._table.search().select(["order", *columns]).limit(None).to_arrow()
        return rows.sort_by("order")

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        if not records:
            return 0
        update = self._table.merge_insert("id").when_matched_update_all()
        with self._named_errors("write"):
            result = update.execute(_record_columns(records, self.width))
            self._flush()
        return result.num_updated_rows

    def remove(self, ids: Sequence[str]) -> None:
        with self._named_errors("write"):
            for start in range(0, len(ids), _IDS_PER_DELETE):
                chosen = ", ".join(_quoted(id) for id in ids[start : start + _IDS_PER_DELETE])
                self._table.delete(f"id IN ({chosen})")
            self._flush()

    def maintain(self) -> None:
        """Joins the small files of many additions and drops versions nobody reads."""
        with self._named_errors("tidy"):
            self._table.optimize(cleanup_older_than=_OLD_VERSIONS)
            self._flush()

    def __len__(self) -> int:
        with self._named_errors("read"):
            return self._table.count_rows()

    def close(self) -> None:
        """Nothing is pending: every addition was safe when it returned."""

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())

    def _flush(self) -> None:
        """Forces new files and their folders to the disk; the engine itself leaves that to luck."""
        new = set(self._files()) - self._on_disk
        for path in [*new, *{path.parent for path in new}]:
            with suppress(FileNotFoundError, PermissionError):  # tidied away meanwhile
                _force_to_disk(path)
        self._on_disk |= new

    @contextmanager
    def _named_errors(self, verb: str) -> Generator[None]:
        """The engine's errors, which are of any type, in words that say what is safe."""
        try:
            yield
        except Exception as error:
            text = str(error)
            if "No space left" in text or "os error 28" in text:
                raise StoreError(
                    f"the disk that holds {self.folder} is full; what was stored before is safe. "
                    "Free some space and run the same command again: it goes on where it stopped"
                ) from error
            first = text.splitlines()[0] if text else type(error).__name__
            raise StoreError(f"cannot {verb} the rows in {self.folder}: {first}") from error


def _force_to_disk(path: Path) -> None:
    """Windows does this only through a handle that may write, and not for folders."""
    windows = os.name == "nt"
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _schema(width: int) -> pyarrow.Schema:
    """`id` is declared the primary key: only then do two writers at once not store it twice."""
    import pyarrow as pa

    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("order", pa.int64()),
            pa.field("id", pa.string(), nullable=False, metadata=key),
            pa.field("vector", pa.list_(pa.float32(), width)),
            pa.field("path", pa.string()),
            pa.field("extra", pa.string()),
        ]
    )


def _arrow(rows: Vectors, records: Sequence[Record]) -> pyarrow.Table:
    """`order` is the clock in nanoseconds plus the row, so writers need not agree on a count."""
    import pyarrow as pa

    width = rows.shape[1]
    columns = {
        "order": pa.array(time.time_ns() + np.arange(len(rows), dtype=np.int64)),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), width),
        **_texts(records),
    }
    return pa.table(columns, schema=_schema(width))


def _record_columns(records: Sequence[Record], width: int) -> pyarrow.Table:
    """Without `order` and `vector`, which an update leaves as they are."""
    import pyarrow as pa

    schema = _schema(width)
    return pa.table(_texts(records), schema=pa.schema([schema.field(name) for name in _RECORD]))


def _texts(records: Sequence[Record]) -> dict[str, list[str]]:
    """The columns of `_RECORD`."""
    return {
        "id": [record.id for record in records],
        "path": [record.path for record in records],
        "extra": [json.dumps(record.extra) for record in records],
    }


def _matrix(found: pyarrow.Table, width: int) -> Vectors:
    return found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, width)


def _record(row: dict[str, Any]) -> Record:
    return Record(row["id"], row["path"], json.loads(row["extra"]))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
