"""Does the index find what an exact scan finds? Asked with sentences, which lie off pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tipr.gallery.filters import Filter
from tipr.gallery.record import Hit
from tipr.gallery.store import Store

DEPTHS = (1, 10, 100)


def exactness(
    store: Store, queries: ArrayLike, where: Filter | None = None, depths: Sequence[int] = DEPTHS
) -> dict[str, Any]:
    """Recall@k of the index in use against an exact scan, for queries (Q, D), and the time it took.

    A hit counts as found too if its score equals that of the last true one.
    """
    deepest, rows = max(depths), np.asarray(queries, np.float32)
    store.search(rows[0], deepest, where)  # files are read, caches are warm
    quick, spent = _timed(store, rows, deepest, where, exact=False)
    truth, scanned = _timed(store, rows, deepest, where, exact=True)
    recall = {
        str(k): round(
            float(np.mean([_share(a[:k], b[:k]) for a, b in zip(quick, truth, strict=True)])), 5
        )
        for k in depths
    }
    return {
        "index": store.facts()["index"],
        "rows": store.count(where),
        "queries": len(rows),
        "recall": recall,
        "milliseconds": round(spent, 2),
        "exact_milliseconds": round(scanned, 2),
    }


def _timed(
    store: Store, queries: Any, k: int, where: Filter | None, exact: bool
) -> tuple[list[list[Hit]], float]:
    """The answers, one query at a time, and the median of their milliseconds."""
    answers, times = [], []
    for query in queries:
        start = time.perf_counter()
        answers.append(store.search(query, k, where, exact=exact))
        times.append(1000 * (time.perf_counter() - start))
    return answers, float(np.median(times))


def _share(found: Sequence[Hit], true: Sequence[Hit]) -> float:
    if not true:
        return 1.0
    least = true[-1].score - 1e-6
    ids = {hit.record.id for hit in true}
    good = sum(hit.record.id in ids or hit.score >= least for hit in found)
    return min(good, len(true)) / len(true)
