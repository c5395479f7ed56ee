"""Rows of every process, so that a loss over N processes is that of their batches together.

A formula that compares rows with one another begins with `everyone`: each process then computes the
loss of the global batch, whose rows stand in the order of the processes. What each row is to other
processes' losses comes back to it in the backward pass, summed, and data parallel averages over
processes: gradients are those of one process with the global batch.

All processes compute such a loss, and its gradients, or none does: each waits for the others' rows.

Exact, also where processes hold different numbers of rows: `info_nce`, `sdm`, `cmpm`,
`hardest_triplet`, `relation_distance`, and supports from the batch (`inbatch_pool`, `person_means`,
`SupportBank`).

Means over a process's own rows, exact where processes hold equally many of what is averaged:
identities, feature distances and matched pairs (rows), restored patches (patches), masked words
(hidden words, so their mean is that of the processes' means).

Of the rows at hand alone, so another formula on more processes: what needs every text with every
picture's tokens, `TextGuidedExtraction.scores` with `sdm_of` and `mutual_guidance` on them; wrong
partners of `hard_negatives`; `strangers`. Random choices are each process's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

Counts = tuple[int, ...]  # rows of each process, in their order


def gathered(x: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "G ..."]:
    """The rows of every process, in their order; `x` itself where there is one process."""
    return everyone(x)[0]


def everyone(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Each tensor's rows of every process; all have as many rows as the others on this process.

    Gradients reach each process's own rows. Numbers stay as they are, to the bit.
    """
    if processes() == 1:
        return tensors
    counts = row_counts(tensors[0])
    if any(len(x) != len(tensors[0]) for x in tensors):
        raise ValueError(f"rows to gather together are {[len(x) for x in tensors]}, not as many")
    return tuple(_Gathering.apply(x, counts) for x in tensors)


def own_rows(x: Tensor) -> slice:
    """Where this process's rows stand among everybody's."""
    if processes() == 1:
        return slice(0, len(x))
    start = sum(row_counts(x)[: dist.get_rank()])
    return slice(start, start + len(x))


def processes() -> int:
    """How many processes train together; 1 where nobody started any."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def row_counts(x: Tensor) -> Counts:
    """How many rows each process holds."""
    own = torch.tensor([len(x)], device=x.device)
    counts = [torch.zeros_like(own) for _ in range(processes())]
    dist.all_gather(counts, own)
    return tuple(torch.cat(counts).tolist())


class _Gathering(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: Counts) -> Tensor:
        ctx.counts = counts
        return _all_rows(x, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        exact = torch.promote_types(gradient.dtype, torch.float32)  # halves would lose in summing
        total = gradient.to(exact, copy=True).contiguous()
        dist.all_reduce(total)
        own = total.split(ctx.counts)[dist.get_rank()]
        return own.to(gradient.dtype), None


def _all_rows(x: Tensor, counts: Counts) -> Tensor:
    """As bytes, since not every number can be sent; short ones padded, since lengths must agree."""
    rows = x.detach().contiguous().reshape(len(x), math.prod(x.shape[1:])).view(torch.uint8)
    padded = rows.new_zeros(max(counts), rows.shape[1])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    whole = torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
    return whole.view(x.dtype).reshape(sum(counts), *x.shape[1:])
