"""What a store of vectors is, and the exact one in memory that defines the right answers.

A store knows vectors and records, no pictures and no models. Rows are made unit length on the way
in, so a score is a cosine. Equal scores keep the order of insertion, and an id that is already
there keeps its record until `update`: adding twice is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float32]


class StoreError(OSError):
    """The store could not be read or written; says what is safe and what to do."""


@dataclass(frozen=True)
class Record:
    """What is stored beside a vector. `extra` is the owner's own, of JSON values."""

    id: str
    path: str
    extra: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Hit:
    """One result; the score is the cosine similarity, higher is better."""

    score: float
    record: Record


class Store(Protocol):
    """Vectors (N, D) with one record each."""

    width: int

    def add(self, vectors: ArrayLike, records: Sequence[Record]) -> int:
        """Keeps the rows whose id is new and says how many; once it returns they are safe."""
        ...

    def search(self, query: ArrayLike, k: int) -> list[Hit]:
        """The `k` best rows for a query (D,), best first; all rows if there are fewer."""
        ...

    def get(self, id: str) -> Record | None: ...

    def ids(self) -> list[str]:
        """In order of insertion."""
        ...

    def records(self) -> list[Record]:
        """In order of insertion."""
        ...

    def update(self, records: Sequence[Record]) -> int:
        """Gives rows that are there these records and says how many; vectors and order stay."""
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Ids that are not there are passed over."""
        ...

    def maintain(self) -> None:
        """Tidies up after many additions; the answers stay the same."""
        ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class MemoryStore:
    """Exact and plain; forgets everything when closed."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._records: dict[str, Record] = {}
        self._vectors = np.empty((0, width), np.float32)

    def add(self, vectors: ArrayLike, records: Sequence[Record]) -> int:
        rows = unit_rows(vectors, self.width)
        check_records(rows, records)
        new = [row for row, record in enumerate(records) if record.id not in self._records]
        self._vectors = np.concatenate([self._vectors, rows[new]])
        self._records.update((records[row].id, records[row]) for row in new)
        return len(new)

    def search(self, query: ArrayLike, k: int) -> list[Hit]:
        check_k(k)
        scores = cosines(self._vectors, unit_query(query, self.width))
        best = np.argsort(-scores, kind="stable")[:k]
        records = list(self._records.values())
        return [Hit(float(scores[row]), records[row]) for row in best]

    def get(self, id: str) -> Record | None:
        return self._records.get(id)

    def ids(self) -> list[str]:
        return list(self._records)

    def records(self) -> list[Record]:
        return list(self._records.values())

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        there = {record.id: record for record in records if record.id in self._records}
        self._records.update(there)
        return len(there)

    def remove(self, ids: Sequence[str]) -> None:
        gone = set(ids)
        keep = [row for row, id in enumerate(self._records) if id not in gone]
        self._vectors = self._vectors[keep]
        self._records = {id: r for id, r in self._records.items() if id not in gone}

    def maintain(self) -> None:
        """Nothing to tidy."""

    def __len__(self) -> int:
        return len(self._records)

    def close(self) -> None:
        self._records, self._vectors = {}, np.empty((0, self.width), np.float32)


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


def check_records(rows: Vectors, records: Sequence[Record]) -> None:
    if len(rows) != len(records):
        raise ValueError(f"{len(rows)} vectors but {len(records)} records")
    check_ids(records)


def check_ids(records: Sequence[Record]) -> None:
    if len({record.id for record in records}) != len(records):
        raise ValueError("the same id stands twice among the records of one call")


def check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is the number of results, at least 1; this is {k}")
