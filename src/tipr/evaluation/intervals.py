"""How far a number may be off: a bootstrap over people and over seeds.

The captions of one person stand or fall together, so people are drawn, not captions; a method is
trained with several seeds, so seeds are drawn too, crossed with the people (the pigeonhole
bootstrap: Owen, Annals of Applied Statistics 2007). Of S seeds S - 1 are drawn at a time, which
makes the spread of their mean unbiased for few seeds (Rao & Wu, JASA 1988). With one seed the
interval holds for that training run alone; with two or three, the luck of training is known only
roughly, and the intervals are somewhat short where it outweighs the choice of people.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """The mean over all queries and seeds, and where it may lie, for each metric."""

    mean: Float64[Tensor, " M"]
    low: Float64[Tensor, " M"]
    high: Float64[Tensor, " M"]


def interval(
    values: Float64[Tensor, "S Q M"],
    person_ids: Int[Tensor, " Q"],
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval of the mean; queries whose values are NaN are left out.

    The same arguments give the same interval, whatever was drawn from torch's generator before.

    Raises:
        ValueError: no query has values.
    """
    present = ~values.isnan().any(dim=2).any(dim=0)
    if not present.any():
        raise ValueError("no query was scored, so there is no interval; check the split")
    values, person_ids = values[:, present], person_ids[present]
    means = _resampled(*_by_person(values, person_ids), draws, seed)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = means.quantile(ends, dim=0)
    return Interval(values.mean(dim=(0, 1)), low, high)


def difference(
    a: Float64[Tensor, "S Q M"],
    b: Float64[Tensor, "S Q M"],
    person_ids: Int[Tensor, " Q"],
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The interval of `a - b`, paired: both are measured on the same draws of people and seeds."""
    return interval(a - b, person_ids, draws, level, seed)


def _by_person(
    values: Float64[Tensor, "S Q M"], person_ids: Int[Tensor, " Q"]
) -> tuple[Float64[Tensor, "S P M"], Float64[Tensor, " P"]]:
    """Each person's sum over their queries, and how many these are."""
    people, owner = person_ids.unique(return_inverse=True)
    sums = values.new_zeros(len(values), len(people), values.shape[2])
    return sums.index_add(1, owner, values), owner.bincount(minlength=len(people)).double()


def _resampled(
    sums: Float64[Tensor, "S P M"], counts: Float64[Tensor, " P"], draws: int, seed: int
) -> Float64[Tensor, "draws M"]:
    """The mean over queries in every draw of people and of seeds."""
    generator = torch.Generator().manual_seed(seed)
    people = _drawn(len(counts), len(counts), draws, generator)
    seeds = _drawn(len(sums), max(len(sums) - 1, 1), draws, generator)
    totals = torch.einsum("dp,spm->dsm", people, sums)
    queries = seeds.sum(dim=1) * (people @ counts)
    return torch.einsum("ds,dsm->dm", seeds, totals) / queries[:, None]


def _drawn(
    things: int, times: int, draws: int, generator: torch.Generator
) -> Float64[Tensor, "draws things"]:
    """How often each thing comes, when `times` of them are drawn with replacement."""
    chosen = torch.randint(things, (draws, times), generator=generator)
    weights = torch.zeros(draws, things, dtype=torch.float64)
    return weights.scatter_add(1, chosen, torch.ones_like(chosen, dtype=torch.float64))
