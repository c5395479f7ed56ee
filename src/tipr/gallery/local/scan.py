"""The best rows for a query, by looking at every row or at every candidate: exact.

Scores are taken in float32, the order among the best is settled in float64, where equal vectors
score exactly alike and keep the order of their slots.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tipr.gallery.local.vectors import Slots, VectorFile, Vectors
from tipr.gallery.store import cosines

Scored = tuple[Slots, NDArray[np.float64]]

_ROUNDING = 1e-5  # float32 scores this close may swap places in float64
_CHUNK = 2048  # rows gathered at once: 4 MB at width 512, which stays in the cache
_SCORES = 2**24  # of one block of queries: 64 MB


def best(
    file: VectorFile, count: int, chosen: Slots | None, queries: Vectors, k: int
) -> Iterator[Scored]:
    """For each query (D,) the `k` best slots among `chosen` (all `count`, if None), best first."""
    rows = file.rows(count)
    size = count if chosen is None else len(chosen)
    block = max(1, _SCORES // max(size, 1))
    for start in range(0, len(queries), block):
        some = queries[start : start + block]
        scores = _all(rows, some) if chosen is None else _gathered(rows, chosen, some)
        file.let_go()
        for query, row in zip(some, scores, strict=True):
            yield _settled(rows, chosen, query, row, k)


def _all(rows: Vectors, queries: Vectors) -> Vectors:
    """(Q, N); one query at a time where there are few, which is the quicker product."""
    if len(queries) < 4:
        return np.stack([rows @ query for query in queries])
    return (rows @ queries.T).T


def _gathered(rows: Vectors, chosen: Slots, queries: Vectors) -> Vectors:
    """(Q, N) of the chosen rows, through a buffer that stays in the cache."""
    scores = np.empty((len(queries), len(chosen)), np.float32)
    buffer = np.empty((min(_CHUNK, len(chosen)), rows.shape[1]), np.float32)
    columns = np.ascontiguousarray(queries.T) if len(queries) > 1 else queries[0]
    for start in range(0, len(chosen), _CHUNK):
        slots = chosen[start : start + _CHUNK]
        np.take(rows, slots, axis=0, out=buffer[: len(slots)], mode="clip")
        scores[:, start : start + _CHUNK] = (buffer[: len(slots)] @ columns).T
    return scores


def _settled(
    rows: Vectors, chosen: Slots | None, query: Vectors, scores: Vectors, k: int
) -> Scored:
    if len(scores) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k] - _ROUNDING
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    slots = places if chosen is None else chosen[places]
    exact = cosines(rows[slots], query)
    order = np.lexsort((slots, -exact))[:k]
    return slots[order], exact[order]
