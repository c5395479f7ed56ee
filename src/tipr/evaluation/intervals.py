"""How far a number may be off: its variance over people and over training runs.

The captions of one person stand or fall together, and so do all captions in one training run, so
the mean varies with the people and with the seeds at once: two-way clustered variance (Cameron,
Gelbach & Miller, JBES 2011), each part with its correction for few people or few seeds. Student's
t has the degrees of freedom of the part that weighs most (Satterthwaite, Biometrics Bulletin 1946).

With one seed an interval holds for that training run alone. With three, simulated 95 % intervals
hold the truth in 89 to 97 of 100 cases: the fewest where the luck of training is most of the
variance but not all, the most where seeds and people matter less than their meeting in one run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

try:
    from scipy.stats import t as student
except ImportError as error:
    raise ImportError("intervals need scipy: pip install 'tipr[bench]'") from error


@dataclass(frozen=True)
class Interval:
    """The mean over all queries and seeds, and where it may lie, for each metric."""

    mean: Float64[Tensor, " M"]
    low: Float64[Tensor, " M"]
    high: Float64[Tensor, " M"]


def interval(
    values: Float64[Tensor, "S Q M"], person_ids: Int[Tensor, " Q"], level: float = 0.95
) -> Interval:
    """The interval of a mean of values in [0, 1], which it does not leave.

    Queries whose values are NaN are left out. With one seed the interval holds for that training
    run alone: it tells what other people would have changed, not what another seed would have.

    Raises:
        ValueError: no query has values, or all are of one person.
    """
    found = _around_mean(values, person_ids, level)
    return Interval(found.mean, found.low.clamp(0, 1), found.high.clamp(0, 1))


def difference(
    a: Float64[Tensor, "S Q M"],
    b: Float64[Tensor, "S Q M"],
    person_ids: Int[Tensor, " Q"],
    level: float = 0.95,
) -> Interval:
    """The interval of `a - b`, paired: the same seeds and the same queries in both.

    With one seed it holds for those two training runs alone. Raises ValueError as `interval` does.
    """
    return _around_mean(a - b, person_ids, level)


def _around_mean(
    values: Float64[Tensor, "S Q M"], person_ids: Int[Tensor, " Q"], level: float
) -> Interval:
    present = ~values.isnan().any(dim=2).any(dim=0)
    if not present.any():
        raise ValueError("no query was scored, so there is no interval; check the split")
    values, person_ids = values[:, present], person_ids[present]
    mean = values.mean(dim=(0, 1))
    cells = _by_person(values - mean, person_ids) / values[..., 0].numel()
    if cells.shape[1] < 2:
        raise ValueError("all queries are of one person; an interval needs two people or more")
    variance, freedom = _variance(cells)
    quantile = torch.from_numpy(student.ppf((1 + level) / 2, freedom.numpy()))
    reach = quantile * variance.sqrt()
    return Interval(mean, mean - reach, mean + reach)


def _by_person(
    values: Float64[Tensor, "S Q M"], person_ids: Int[Tensor, " Q"]
) -> Float64[Tensor, "S P M"]:
    """Each person's sum over their queries."""
    people, owner = person_ids.unique(return_inverse=True)
    sums = values.new_zeros(len(values), len(people), values.shape[2])
    return sums.index_add(1, owner, values)


def _variance(
    cells: Float64[Tensor, "S P M"],
) -> tuple[Float64[Tensor, " M"], Float64[Tensor, " M"]]:
    """The variance of the mean and its degrees of freedom.

    What a cell (one person in one run) adds by itself is in both parts, so it is taken off once.
    The degrees of freedom lie between those of the seeds and those of the people.
    """
    seeds, people = len(cells), cells.shape[1]
    of_people = _spread(cells.sum(dim=0))
    if seeds == 1:
        return of_people, torch.full_like(of_people, people - 1)
    of_seeds = _spread(cells.sum(dim=1))
    joint = of_people + of_seeds - _spread(cells.flatten(0, 1))
    variance = torch.stack([joint, of_people, of_seeds]).amax(dim=0)
    by_luck = variance - of_people  # what the choice of people does not explain
    doubt = by_luck.square() / (seeds - 1) + of_people.square() / (people - 1)
    freedom = torch.where(variance > 0, variance.square() / doubt, people - 1)
    return variance, freedom


def _spread(parts: Float64[Tensor, "N M"]) -> Float64[Tensor, " M"]:
    """The variance of a sum of N independent parts around 0."""
    return len(parts) / (len(parts) - 1) * parts.square().sum(dim=0)
