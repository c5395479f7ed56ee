"""The field's retrieval metrics, from a similarity matrix and two lists of identities."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
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
    `mAP_trapezoid` is the mean of `trapezoid`; None, and so never compared, where only the columns
    of `per_query` are known.
    """

    R1: float
    R5: float
    R10: float
    mAP: float
    mINP: float
    queries: int
    gallery: int
    unmatched: int
    mAP_trapezoid: float | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """What is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def retrieval_metrics(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> RetrievalMetrics:
    """R@k, mean average precision and mean inverse negative penalty (Ye et al., TPAMI 2021).

    Equal scores are ranked in gallery order.

    Raises:
        ValueError: no query has a match in the gallery.
    """
    rows, areas = scored(similarity, query_ids, gallery_ids)
    return averaged(rows, len(gallery_ids), areas)


def averaged(
    rows: Float64[Tensor, "Q 5"], gallery: int, areas: Float64[Tensor, " Q"] | None = None
) -> RetrievalMetrics:
    """The metrics of a split from those of its queries. Raises ValueError when none has a match."""
    matched = rows[~rows[:, 0].isnan()]
    if not len(matched):
        raise ValueError("no query shows a person of the gallery; check the split")
    r1, r5, r10, ap, inp = matched.mean(dim=0).tolist()
    return RetrievalMetrics(
        R1=r1, R5=r5, R10=r10, mAP=ap, mINP=inp,
        queries=len(rows), gallery=gallery, unmatched=len(rows) - len(matched),
        mAP_trapezoid=None if areas is None else areas.nanmean().item(),
    )  # fmt: skip


def per_query(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> Float64[Tensor, "Q 5"]:
    """Each query's R@1, R@5, R@10, average precision and inverse negative penalty.

    Equal scores are ranked in gallery order. The row of a query without a match is NaN.
    """
    return scored(similarity, query_ids, gallery_ids)[0]


def scored(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> tuple[Float64[Tensor, "Q 5"], Float64[Tensor, " Q"]]:
    """`per_query`, and each query's `trapezoid`."""
    rows = [torch.zeros(0, len(COLUMNS), dtype=torch.float64)]
    areas = [torch.zeros(0, dtype=torch.float64)]
    for scores, ids in zip(similarity.split(BLOCK), query_ids.split(BLOCK), strict=True):
        order = scores.argsort(dim=1, descending=True, stable=True)
        found = gallery_ids[order] == ids[:, None]
        ranks, counts = found.nonzero()[:, 1] + 1, found.sum(dim=1)
        rows.append(_rows(ranks, counts))
        areas.append(trapezoid(ranks, counts))
    return torch.cat(rows), torch.cat(areas)


def trapezoid(ranks: Int[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, " B"]:
    """Average precision as the Oxford buildings evaluation has it (Philbin et al., CVPR 2007).

    A match weighs the mean of the precision at its rank and at the rank before (1 before the
    first), never more than the former alone. IVT's and TIPCB's evaluators report this as mAP. NaN
    without a match.
    """
    found, ranks = _places(counts), ranks.double()
    before = torch.where(ranks > 1, (found - 1) / (ranks - 1).clamp(min=1), 1.0)
    owner = torch.arange(len(counts)).repeat_interleave(counts)
    sums = ranks.new_zeros(len(counts)).index_add(0, owner, (before + found / ranks) / 2)
    return sums / counts


def _rows(ranks: Int[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, "B 5"]:
    """The five scores of each query from the ranks of its matches."""
    ends, ranks = counts.cumsum(dim=0), ranks.double()
    precisions = (_places(counts) / ranks).split(counts.tolist())
    matched = counts > 0
    first, last = ranks[(ends - counts)[matched]], ranks[ends[matched] - 1]
    within = [(first <= k).double() for k in (1, 5, 10)]
    average = ranks.new_tensor([p.mean().item() for p in precisions])[matched]
    rows = ranks.new_full((len(counts), len(COLUMNS)), torch.nan)
    rows[matched] = torch.stack([*within, average, counts[matched] / last], dim=1)
    return rows


def _places(counts: Int[Tensor, " B"]) -> Int[Tensor, " N"]:
    """The number of each match among those of its query, from 1."""
    starts = counts.cumsum(dim=0) - counts
    return torch.arange(int(counts.sum())) - starts.repeat_interleave(counts) + 1
