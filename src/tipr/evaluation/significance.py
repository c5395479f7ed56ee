"""How likely a difference is by chance, told from its intervals; and among several of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor

LEVEL = 0.95
_HALVINGS = 60
_MOST_FREEDOM = 1e9  # as good as the normal distribution


@runtime_checkable
class Spread(Protocol):
    """A mean and where it may lie, for each metric."""

    @property
    def mean(self) -> Tensor: ...
    @property
    def low(self) -> Tensor: ...
    @property
    def high(self) -> Tensor: ...


def holm(p: Sequence[float]) -> list[float]:
    """Corrected for being several: the smallest times their number, and so on, never falling."""
    order = sorted(range(len(p)), key=p.__getitem__)
    corrected, highest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = highest
    return corrected


def p_of(around: Callable[[float], Spread]) -> Float64[Tensor, " M"]:
    """One minus the level whose interval just reaches 0, where `around` gives that of a level.

    The intervals are Student's, so two of them tell the degrees of freedom: the fewer, the wider
    is the wide one beside the narrow one.
    """
    from scipy.stats import t as student

    wide, narrow = around(LEVEL), around(0.5)
    reach = (wide.high - wide.low) / 2
    ratio = (reach / ((narrow.high - narrow.low) / 2)).numpy()
    low, high = torch.zeros_like(reach), torch.full_like(reach, math.log(_MOST_FREEDOM))
    for _ in range(_HALVINGS):
        freedom = ((low + high) / 2).exp().numpy()
        usual = student.ppf((1 + LEVEL) / 2, freedom) / student.ppf(0.75, freedom)
        more = torch.from_numpy(usual > ratio)
        middle = (low + high) / 2
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    freedom = high.exp().numpy()
    quantile = torch.from_numpy(student.ppf((1 + LEVEL) / 2, freedom))
    p = 2 * torch.from_numpy(student.sf((wide.mean.abs() * quantile / reach).numpy(), freedom))
    return torch.where(reach > 0, p, (wide.mean == 0).double())
