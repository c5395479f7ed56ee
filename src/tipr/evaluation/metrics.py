"""The field's retrieval metrics, from a similarity matrix and two lists of identities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

COLUMNS = ("R1", "R5", "R10", "mAP", "mINP")  # of what `per_query` gives
BLOCK = 256  # queries that are ranked at once


@dataclass(frozen=True, kw_only=True)
class RetrievalMetrics:
    """Fractions in [0, 1] over the queries that have a match in the gallery.

    `unmatched` queries show a person who is not in the gallery; they are counted, not scored.
    """

    R1: float
    R5: float
    R10: float
    mAP: float
    mINP: float
    queries: int
    gallery: int
    unmatched: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def retrieval_metrics(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> RetrievalMetrics:
    """R@k, mean average precision and mean inverse negative penalty (Ye et al., TPAMI 2021).

    Equal scores are ranked in gallery order.

    Raises:
        ValueError: no query has a match in the gallery.
    """
    return averaged(per_query(similarity, query_ids, gallery_ids), len(gallery_ids))


def averaged(rows: Float64[Tensor, "Q 5"], gallery: int) -> RetrievalMetrics:
    """The metrics of a split from those of its queries. Raises ValueError when none has a match."""
    scored = rows[~rows[:, 0].isnan()]
    if not len(scored):
        raise ValueError("no query shows a person of the gallery; check the split")
    r1, r5, r10, ap, inp = scored.mean(dim=0).tolist()
    return RetrievalMetrics(
        R1=r1, R5=r5, R10=r10, mAP=ap, mINP=inp,
        queries=len(rows), gallery=gallery, unmatched=len(rows) - len(scored),
    )  # fmt: skip


def per_query(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> Float64[Tensor, "Q 5"]:
    """Each query's R@1, R@5, R@10, average precision and inverse negative penalty.

    Equal scores are ranked in gallery order. The row of a query without a match is NaN.
    """
    rows = [torch.zeros(0, len(COLUMNS), dtype=torch.float64)]
    for scores, ids in zip(similarity.split(BLOCK), query_ids.split(BLOCK), strict=True):
        order = scores.argsort(dim=1, descending=True, stable=True)
        found = gallery_ids[order] == ids[:, None]
        rows.append(_rows(found.nonzero()[:, 1] + 1, found.sum(dim=1)))
    return torch.cat(rows)


def _rows(ranks: Int[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, "B 5"]:
    """The five scores of each query from the ranks of its matches."""
    ends, ranks = counts.cumsum(dim=0), ranks.double()
    found = torch.arange(len(ranks)) - (ends - counts).repeat_interleave(counts) + 1
    precisions = (found / ranks).split(counts.tolist())
    matched = counts > 0
    first, last = ranks[(ends - counts)[matched]], ranks[ends[matched] - 1]
    within = [(first <= k).double() for k in (1, 5, 10)]
    average = ranks.new_tensor([p.mean().item() for p in precisions])[matched]
    rows = ranks.new_full((len(counts), len(COLUMNS)), torch.nan)
    rows[matched] = torch.stack([*within, average, counts[matched] / last], dim=1)
    return rows
