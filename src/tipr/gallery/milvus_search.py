"""Searching a Milvus collection so that the answer is the exact one.

The engine scores in float32 and gives no order to equal scores, so it only chooses candidates: more
than are wanted, until the last of them is surely too far away. Looking at all lists of the index is
a full scan, filtered or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tipr.gallery.milvus_client import Client, pieces
from tipr.gallery.milvus_rows import LISTS, Row, record
from tipr.gallery.record import Hit, Record
from tipr.gallery.store import Vectors, cosines

_SPARE = 16  # candidates fetched beyond k, to see whether the k-th place is tied
_ROUNDING = 1e-5  # float32 scores this close may swap places in float64
_MOST = 16_384  # results for one query, the most that Milvus gives
_RESULTS = 200_000  # of one request, over all its queries
_PROBES = (32, 64, 128, 256, 512)  # lists looked at, tried in this order
_RECALL = 0.99
_MEASURED = 200  # queries at most, and the results of each that must be found
_DEPTH = 10

Found = Sequence[Any]  # results of one query: `id` and `distance`, which is the cosine


def candidates(
    ask: Callable[[Vectors, int, int], list[Found]], queries: Vectors, k: int, probes: int
) -> dict[int, list[str]]:
    """By place of the query, ids that the `k` best are surely among, equal scores included.

    Queries are missing for which Milvus would have to give too many. `ask` takes queries, a limit
    and the number of lists to look at; few lists are given up where they hold fewer than `k` rows.
    """
    near: dict[int, list[str]] = {}
    limit = k + _SPARE
    while len(near) < len(queries) and limit <= _MOST:
        missing = [place for place in range(len(queries)) if place not in near]
        for some in pieces(missing, max(1, _RESULTS // limit)):
            for place, found in zip(some, ask(queries[some], limit, probes), strict=True):
                if _settled(found, k, limit, whole=probes == LISTS):
                    near[place] = _near(found, k)
        limit = limit + 1 if limit == _MOST else min(4 * limit, _MOST)
        probes = LISTS
    return near


def asking(
    client: Client, collection: str, where: str
) -> Callable[[Vectors, int, int], list[Found]]:
    def ask(queries: Vectors, limit: int, probes: int) -> list[Found]:
        return client.ask(
            "search",
            collection,
            data=list(queries),
            filter=where,
            limit=limit,
            output_fields=["id"],
            search_params={"metric_type": "IP", "params": {"nprobe": probes}},
            consistency_level="Strong",
        )

    return ask


def _settled(found: Found, k: int, limit: int, *, whole: bool) -> bool:
    if len(found) < limit:
        return whole or len(found) >= k
    return found[-1]["distance"] < found[k - 1]["distance"] - _ROUNDING


def _near(found: Found, k: int) -> list[str]:
    if len(found) <= k:
        return [one["id"] for one in found]
    least = found[k - 1]["distance"] - _ROUNDING
    return [one["id"] for one in found if one["distance"] >= least]


def best(query: Vectors, k: int, rows: Sequence[Row]) -> list[Hit]:
    """The `k` best of the candidates, in order."""
    if not rows:
        return []
    scores = cosines(np.stack([row["vector"] for row in rows]), query)
    order = np.lexsort(([row["number"] for row in rows], -scores))[:k]
    return [Hit(float(scores[place]), record(rows[place])) for place in order]


def scanned(query: Vectors, k: int, rows: Iterable[tuple[Vectors, list[Record]]]) -> list[Hit]:
    """The `k` best of all rows, which are read one after the other: slow, for any `k`."""
    hits: list[Hit] = []
    for vectors, records in rows:
        scores = cosines(vectors, query)
        hits += [Hit(float(score), one) for score, one in zip(scores, records, strict=True)]
        hits = sorted(hits, key=lambda hit: -hit.score)[:k]
    return hits


def measured(ask: Callable[[Vectors, int, int], list[Found]], queries: Vectors) -> dict[str, Any]:
    """The fewest lists in which enough of the true results are found, and how many those are."""
    some = queries[:_MEASURED]
    truth = list(_ids(ask, some, LISTS))
    for probes in _PROBES:
        found = _ids(ask, some, probes)
        shares = [len(a & b) / len(a) for a, b in zip(truth, found, strict=True) if a]
        recall = float(np.mean(shares)) if shares else 0.0
        if recall >= _RECALL:
            return {"probes": probes, "recall": recall}
    return {"probes": LISTS, "recall": 1.0}


def _ids(
    ask: Callable[[Vectors, int, int], list[Found]], queries: Vectors, probes: int
) -> Iterator[set[str]]:
    return ({one["id"] for one in found} for found in ask(queries, _DEPTH, probes))
