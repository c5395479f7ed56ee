"""The field's retrieval metrics, from the ranks of each query's matches.

R@k         is a match among the first k? The share of queries where one is.
mAP         the precision at each match's rank, averaged (the step form; IRRA, RDE, TBPS-CLIP)
trapezoid   the mean of the precisions at and before each match, averaged (IVT, TIPCB)
mINP        matches over the rank of the last one (Ye et al., TPAMI 2021)
R-precision the share of matches among the first R, where R is the number of matches

Every row of the gallery that shows the query's person is a match. A query without a match has no
score: its values are NaN, and it is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from tipr.evaluation.ranks import Items, Ranks, ranks, rows_of

COLUMNS = ("R1", "R5", "R10", "mAP", "mINP")  # of what `per_query` gives


@dataclass(frozen=True, kw_only=True)
class RetrievalMetrics:
    """Fractions in [0, 1] over the queries that have a match in the gallery.

    `unmatched` queries show a person who is not in the gallery; they are counted, not scored.
    `mAP_trapezoid` is the mean of `trapezoid`, `R_precision` that of `r_precision`; None, and so
    never compared, where only the columns of `per_query` are known.
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
    R_precision: float | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """What is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Scores:
    """How well each query finds its matches; NaN where it has none."""

    values: Float64[Tensor, "Q 5"]  # the columns of `COLUMNS`
    areas: Float64[Tensor, " Q"]  # `trapezoid`
    r_precisions: Float64[Tensor, " Q"]

    def averaged(self, gallery: int) -> RetrievalMetrics:
        """The metrics of all. Raises ValueError when no query has a match."""
        return averaged(self.values, gallery, self.areas, self.r_precisions)


def retrieval_metrics(
    similarity: Float[Tensor, "Q G"], query_ids: Int[Tensor, " Q"], gallery_ids: Int[Tensor, " G"]
) -> RetrievalMetrics:
    """The metrics of all queries; equal scores are ranked in gallery order.

    Raises:
        ValueError: no query has a match in the gallery, or a score is NaN.
    """
    found = measured(ranks(rows_of(similarity), Items(query_ids), Items(gallery_ids)))
    return found.averaged(len(gallery_ids))


def averaged(
    rows: Float64[Tensor, "Q 5"],
    gallery: int,
    areas: Float64[Tensor, " Q"] | None = None,
    r_precisions: Float64[Tensor, " Q"] | None = None,
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
        R_precision=None if r_precisions is None else r_precisions.nanmean().item(),
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
    found = measured(ranks(rows_of(similarity), Items(query_ids), Items(gallery_ids)))
    return found.values, found.areas


def measured(parts: Iterable[Ranks]) -> Scores:
    """What all queries score, block after block, so that no more than a block's ranks are held."""
    rows = [torch.zeros(0, len(COLUMNS), dtype=torch.float64)]
    areas, r_precisions = ([torch.zeros(0, dtype=torch.float64)] for _ in range(2))
    for part in parts:
        rows.append(_rows(part.ranks, part.counts))
        areas.append(trapezoid(part.ranks, part.counts))
        r_precisions.append(r_precision(part.ranks, part.counts))
    return Scores(torch.cat(rows), torch.cat(areas), torch.cat(r_precisions))


def r_precision(ranks: Int[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, " B"]:
    """The share of each query's R matches that is among the first R. NaN without a match."""
    return _summed((ranks <= counts.repeat_interleave(counts)).double(), counts) / counts


def trapezoid(ranks: Int[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, " B"]:
    """Average precision as the Oxford buildings evaluation has it (Philbin et al., CVPR 2007).

    A match weighs the mean of the precision at its rank and at the rank before (1 before the
    first), never more than the former alone. IVT's and TIPCB's evaluators report this as mAP. NaN
    without a match.
    """
    found, ranks = _places(counts), ranks.double()
    before = torch.where(ranks > 1, (found - 1) / (ranks - 1).clamp(min=1), 1.0)
    return _summed((before + found / ranks) / 2, counts) / counts


def _summed(values: Float64[Tensor, " N"], counts: Int[Tensor, " B"]) -> Float64[Tensor, " B"]:
    """The sum of each query's values."""
    owner = torch.arange(len(counts)).repeat_interleave(counts)
    return values.new_zeros(len(counts)).index_add(0, owner, values)


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
