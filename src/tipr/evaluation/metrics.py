"""The field's retrieval metrics, from a similarity matrix and two lists of identities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


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
    rows = [_row(s, q, gallery_ids) for s, q in zip(similarity, query_ids, strict=True)]
    scored = [row for row in rows if row is not None]
    if not scored:
        raise ValueError("no query shows a person of the gallery; check the split")
    r1, r5, r10, ap, inp = torch.tensor(scored, dtype=torch.float64).mean(dim=0).tolist()
    return RetrievalMetrics(
        R1=r1, R5=r5, R10=r10, mAP=ap, mINP=inp,
        queries=len(rows), gallery=len(gallery_ids), unmatched=len(rows) - len(scored),
    )  # fmt: skip


def _row(
    scores: Float[Tensor, " G"], query_id: Int[Tensor, ""], gallery_ids: Int[Tensor, " G"]
) -> tuple[float, float, float, float, float] | None:
    """One query's R@1, R@5, R@10, average precision and inverse negative penalty."""
    order = scores.argsort(descending=True, stable=True)
    ranks = (gallery_ids[order] == query_id).nonzero().flatten().double() + 1
    if len(ranks) == 0:
        return None
    first, last = float(ranks[0]), float(ranks[-1])
    found = torch.arange(1, len(ranks) + 1)
    precision = float((found / ranks).mean())
    return float(first <= 1), float(first <= 5), float(first <= 10), precision, len(ranks) / last
