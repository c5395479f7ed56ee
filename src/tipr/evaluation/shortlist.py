"""Rankings whose first `depth` places are ordered by a second score, and which stay whole.

Behind the re-ranked columns the others keep the first score's order, so every metric, mAP too, is
one of a whole ranking. Released code of other works scores everything behind the shortlist alike,
which leaves it in the order of files and makes mAP depend on that (RaSa, Bai et al., IJCAI 2023,
as released).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_ROWS = 1024  # sorted at once


def shortlist(similarity: Float[Tensor, "Q G"], depth: int) -> Bool[Tensor, "Q G"]:
    """The `depth` best columns of each row; equal scores are taken in gallery order."""
    _check(depth)
    asked = torch.zeros(similarity.shape, dtype=torch.bool)
    for rows, out in zip(similarity.split(_ROWS), asked.split(_ROWS), strict=True):
        out.scatter_(1, _ranked(rows)[:, :depth], True)
    return asked


def reranked(
    similarity: Float[Tensor, "Q G"], pairwise: Float[Tensor, "Q G"], depth: int
) -> Float[Tensor, "Q G"]:
    """Minus the rank (0 is best) after the `depth` best of each row are ordered by `pairwise`.

    The columns behind them keep the order of `similarity`, as do equal scores of `pairwise` and
    columns where it is NaN, which come last among the `depth`. Outside the `depth` best,
    `pairwise` is not read. A depth beyond the gallery orders all of it.
    """
    _check(depth)
    result = torch.empty(similarity.shape)
    blocks = zip(*(m.split(_ROWS) for m in (similarity, pairwise, result)), strict=True)
    for rows, scores, out in blocks:
        order = _ranked(rows)
        first = order[:, :depth]
        again = _ranked(scores.gather(1, first).nan_to_num(-torch.inf))
        order[:, :depth] = first.gather(1, again)
        out.scatter_(1, order, -torch.arange(order.shape[1]).float().expand(order.shape))
    return result


def _ranked(scores: Float[Tensor, "Q G"]) -> Int[Tensor, "Q G"]:
    return scores.argsort(dim=1, descending=True, stable=True)


def _check(depth: int) -> None:
    if depth < 0:
        raise ValueError(f"the depth is the number of pictures to re-rank, 0 or more; not {depth}")
