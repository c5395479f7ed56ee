"""What a store of vectors is, and the exact one in memory that defines the right answers.

A store knows vectors and records, no pictures and no models. Rows are made unit length on the way
in, so a score is a cosine. Equal scores keep the order of insertion, and an id that is already
there keeps its record until `update`: adding twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tipr.gallery.filters import Filter
from tipr.gallery.record import Hit, Record

Vectors = NDArray[np.float32]
Thumbnails = Sequence[bytes | None]


class StoreError(OSError):
    """The store could not be read or written; says what is safe and what to do."""


class Store(Protocol):
    """Vectors (N, D) with one record each, and small notes about them."""

    @property
    def width(self) -> int: ...

    def add(
        self, vectors: ArrayLike, records: Sequence[Record], thumbnails: Thumbnails | None = None
    ) -> int:
        """Keeps the rows whose id is new and says how many; once it returns they are safe."""
        ...

    def search(
        self, query: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Hit]:
        """The `k` best rows for a query (D,) among those the filter lets through, best first.

        `exact` passes by an approximate index, where there is one.
        """
        ...

    def search_many(
        self, queries: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        """`search` for each query of (Q, D), cheaper than one by one."""
        ...

    def get(self, id: str) -> Record | None: ...

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there."""
        ...

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """(N, D) at unit length, in the order asked; KeyError names the first that is not there."""
        ...

    def thumbnail(self, id: str) -> bytes | None:
        """A small JPEG, where one was stored."""
        ...

    def ids(self, where: Filter | None = None) -> list[str]:
        """In order of insertion."""
        ...

    def records(self, where: Filter | None = None) -> Iterator[Record]:
        """In order of insertion."""
        ...

    def scan(
        self, batch: int = 1000, where: Filter | None = None
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        """Vectors (N, D) with their records, N <= batch, in order of insertion."""
        ...

    def count(self, where: Filter | None = None) -> int: ...

    def update(self, records: Sequence[Record]) -> int:
        """Gives rows that are there these records and says how many; vectors and order stay."""
        ...

    def change(self, ids: Sequence[str], how: Callable[[Record], Record]) -> int:
        """Gives those of the rows that are there the records that `how` makes of theirs."""
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """How many of them were there; they are found no more."""
        ...

    def note(self, name: str) -> str | None: ...

    def put_note(self, name: str, text: str | None) -> None:
        """Keeps a small text with the rows; None removes it."""
        ...

    def maintain(self, queries: ArrayLike | None = None) -> None:
        """Builds or extends the index and tidies up; the answers stay the same.

        `queries` (Q, D) are typical ones, where there are any: an index is measured with them.
        """
        ...

    def compact(self) -> None:
        """Rewrites the files, so that nothing of what was removed is left in them."""
        ...

    def facts(self) -> dict[str, Any]:
        """What this store is and how large, as JSON values."""
        ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class MemoryStore:
    """Exact and plain; forgets everything when closed."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._records: dict[str, Record] = {}
        self._vectors = np.empty((0, width), np.float32)
        self._thumbnails: dict[str, bytes] = {}
        self._notes: dict[str, str] = {}

    def add(
        self, vectors: ArrayLike, records: Sequence[Record], thumbnails: Thumbnails | None = None
    ) -> int:
        rows = unit_rows(vectors, self.width)
        check_records(rows, records, thumbnails)
        new = [row for row, record in enumerate(records) if record.id not in self._records]
        self._vectors = np.concatenate([self._vectors, rows[new]])
        for row in new:
            self._records[records[row].id] = records[row]
            small = thumbnails[row] if thumbnails else None
            if small is not None:
                self._thumbnails[records[row].id] = small
        return len(new)

    def search(
        self, query: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Hit]:
        return self.search_many(unit_query(query, self.width)[None], k, where, exact=exact)[0]

    def search_many(
        self, queries: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        check_k(k)
        records = list(self._records.values())
        rows = np.asarray([r for r, one in enumerate(records) if _let_through(one, where)], int)
        found = []
        for query in unit_rows(queries, self.width):
            scores = cosines(self._vectors[rows], query)
            best = np.argsort(-scores, kind="stable")[:k]
            found.append([Hit(float(scores[place]), records[rows[place]]) for place in best])
        return found

    def get(self, id: str) -> Record | None:
        return self._records.get(id)

    def known(self, ids: Sequence[str]) -> set[str]:
        return {id for id in ids if id in self._records}

    def vectors(self, ids: Sequence[str]) -> Vectors:
        rows = {id: row for row, id in enumerate(self._records)}
        return self._vectors[[rows[id] for id in ids]].reshape(-1, self.width)

    def thumbnail(self, id: str) -> bytes | None:
        return self._thumbnails.get(id)

    def ids(self, where: Filter | None = None) -> list[str]:
        return [record.id for record in self.records(where)]

    def records(self, where: Filter | None = None) -> Iterator[Record]:
        return iter([r for r in self._records.values() if _let_through(r, where)])

    def scan(
        self, batch: int = 1000, where: Filter | None = None
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        chosen = list(self.records(where))
        for start in range(0, len(chosen), batch):
            some = chosen[start : start + batch]
            yield self.vectors([record.id for record in some]), some

    def count(self, where: Filter | None = None) -> int:
        return sum(1 for _ in self.records(where))

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        there = {record.id: record for record in records if record.id in self._records}
        self._records.update(there)
        return len(there)

    def change(self, ids: Sequence[str], how: Callable[[Record], Record]) -> int:
        return self.update([how(self._records[id]) for id in dict.fromkeys(ids) if self.get(id)])

    def remove(self, ids: Sequence[str]) -> int:
        gone = self.known(ids)
        keep = [row for row, id in enumerate(self._records) if id not in gone]
        self._vectors = self._vectors[keep]
        self._records = {id: r for id, r in self._records.items() if id not in gone}
        self._thumbnails = {id: t for id, t in self._thumbnails.items() if id not in gone}
        return len(gone)

    def note(self, name: str) -> str | None:
        return self._notes.get(name)

    def put_note(self, name: str, text: str | None) -> None:
        self._notes.pop(name, None)
        if text is not None:
            self._notes[name] = text

    def maintain(self, queries: ArrayLike | None = None) -> None:
        """Nothing to tidy."""

    def compact(self) -> None:
        """What was removed is gone already."""

    def facts(self) -> dict[str, Any]:
        size = self._vectors.nbytes + sum(map(len, self._thumbnails.values()))
        return {"engine": "memory", "rows": len(self), "index": "exact", "bytes": size}

    def __len__(self) -> int:
        return len(self._records)

    def close(self) -> None:
        self._records, self._vectors = {}, np.empty((0, self.width), np.float32)
        self._thumbnails, self._notes = {}, {}


def unit_rows(vectors: ArrayLike, width: int) -> Vectors:
    """The vectors (N, D) at unit length; an error names the first one without a direction."""
    rows = np.ascontiguousarray(vectors, np.float32)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"this store holds vectors (N, {width}), these have shape {rows.shape}")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] < 1e-6))
    if bad.size:
        raise ValueError(f"vector {bad[0]} of {len(rows)} is zero or has values that are no number")
    return (rows / lengths).astype(np.float32)


def unit_query(query: ArrayLike, width: int) -> Vectors:
    row = np.asarray(query, np.float32)
    if row.shape != (width,):
        raise ValueError(f"this store is searched with a vector ({width},), this has {row.shape}")
    return unit_rows(row[None], width)[0]


def cosines(vectors: Vectors, query: Vectors) -> NDArray[np.float64]:
    """(N,) in float64, each row summed alike, so that equal vectors tie exactly."""
    return (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)


def check_records(
    rows: Vectors, records: Sequence[Record], thumbnails: Thumbnails | None = None
) -> None:
    if len(rows) != len(records):
        raise ValueError(f"{len(rows)} vectors but {len(records)} records")
    if thumbnails is not None and len(thumbnails) != len(records):
        raise ValueError(f"{len(thumbnails)} thumbnails but {len(records)} records")
    check_ids(records)


def check_ids(records: Sequence[Record]) -> None:
    if len({record.id for record in records}) != len(records):
        raise ValueError("the same id stands twice among the records of one call")


def check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is the number of results, at least 1; this is {k}")


def _let_through(record: Record, where: Filter | None) -> bool:
    return where is None or where.matches(record)
