"""Intervals and tests by resampling people: nothing is assumed of how scores are distributed.

The captions of a person stand or fall together, so people are drawn, with all their captions
(cluster bootstrap; Davison & Hinkley, 1997, section 3.8). The interval lies between percentiles of
the redrawn means (Efron & Tibshirani, 1993, chapter 13); with fewer than about 20 people it is too
narrow. Two models are compared on the same drawn people, and tested by exchanging their names for
whole people at a time: were they alike, each person's difference could as well have had the other
sign (Good, Permutation Tests, 2000). All of it holds for these training runs; for what other seeds
would have given see `tipr.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

SAMPLES = 10_000
FEW = 20  # people: with fewer, intervals are too narrow
EXACT = 12  # so many people or fewer: every exchange of signs is tried
_CELLS = 1 << 21  # drawn at once


@dataclass(frozen=True)
class Resampled:
    """A mean over all queries, and where 95 (or `level`) of 100 means of redrawn people lie."""

    mean: Float64[Tensor, " M"]
    low: Float64[Tensor, " M"]
    high: Float64[Tensor, " M"]


@dataclass(frozen=True)
class Tested(Resampled):
    """A paired difference, and how likely one as large is when the two are alike."""

    p: Float64[Tensor, " M"]


def bootstrapped(
    values: Float64[Tensor, "Q M"],
    person_ids: Int[Tensor, " Q"],
    samples: int = SAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Resampled:
    """The interval of each column's mean. Queries whose values are NaN are left out.

    The same people and the same seed give the same draws, whatever the values and their order.

    Raises:
        ValueError: no query has values, or all are of one person.
    """
    sums, counts = _of_people(values, person_ids)
    means = [
        (drawn @ sums) / (drawn @ counts)[:, None]
        for drawn in _redrawn(len(counts), samples, seed)
    ]  # fmt: skip
    tail = (1 - level) / 2
    edges = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = torch.cat(means).quantile(edges, dim=0)
    return Resampled(sums.sum(dim=0) / counts.sum(), low, high)


def paired(
    a: Float64[Tensor, "Q M"],
    b: Float64[Tensor, "Q M"],
    person_ids: Int[Tensor, " Q"],
    samples: int = SAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """`a - b` on the same queries: the interval on the same drawn people, and the two-sided p.

    Raises:
        ValueError: no query has values, or all are of one person.
    """
    found = bootstrapped(a - b, person_ids, samples, level, seed)
    p = exchanged(a - b, person_ids, samples, seed)
    return Tested(found.mean, found.low, found.high, p)


def exchanged(
    differences: Float64[Tensor, "Q M"],
    person_ids: Int[Tensor, " Q"],
    samples: int = SAMPLES,
    seed: int = 0,
) -> Float64[Tensor, " M"]:
    """Two-sided p of no difference: how often random signs, one for each person, give as much.

    What was seen counts as one of the draws, so p is never 0 (Phipson & Smyth, 2010). With few
    people all exchanges are tried, and p is exact.
    """
    sums, _ = _of_people(differences, person_ids)
    seen = sums.sum(dim=0).abs()
    enough = seen - 1e-12 * sums.abs().sum(dim=0)  # what rounding takes off
    exact = len(sums) <= EXACT
    signs = [_all_signs(len(sums))] if exact else _random_signs(len(sums), samples, seed)
    hits = torch.stack([((drawn @ sums).abs() >= enough).sum(dim=0) for drawn in signs])
    reached = hits.sum(dim=0).double()
    return reached / 2 ** len(sums) if exact else (reached + 1) / (samples + 1)


def people_scored(values: Float64[Tensor, "Q M"], person_ids: Int[Tensor, " Q"]) -> int:
    """How many people a query with values asks for."""
    return len(person_ids[~values.isnan().any(dim=1)].unique())


def caveat(people: int) -> str:
    """What is to be said beside intervals over so few people; nothing where they are enough."""
    if not 1 < people < FEW:
        return ""
    return f"Only {people} people were scored: with fewer than {FEW}, intervals are too narrow."


def _of_people(
    values: Float64[Tensor, "Q M"], person_ids: Int[Tensor, " Q"]
) -> tuple[Float64[Tensor, "P M"], Float64[Tensor, " P"]]:
    """Each person's sum over their queries, and how many these are; people in order of id."""
    present = ~values.isnan().any(dim=1)
    if not present.any():
        raise ValueError("no query was scored, so there is no interval; check the split")
    values = values[present]
    people, owner = person_ids[present].unique(return_inverse=True)
    if len(people) < 2:
        raise ValueError("all queries are of one person; an interval needs two people or more")
    sums = values.new_zeros(len(people), values.shape[1]).index_add(0, owner, values)
    return sums, owner.bincount(minlength=len(people)).double()


def _redrawn(people: int, samples: int, seed: int) -> Iterator[Float64[Tensor, "B P"]]:
    """How often each person is drawn, for some samples at a time."""
    for rows, generator in _blocks(people, samples, seed):
        drawn = torch.randint(people, (rows, people), generator=generator)
        ones = torch.ones(1, 1, dtype=torch.float64).expand(rows, people)
        yield torch.zeros(rows, people, dtype=torch.float64).scatter_add_(1, drawn, ones)


def _random_signs(people: int, samples: int, seed: int) -> Iterator[Float64[Tensor, "B P"]]:
    for rows, generator in _blocks(people, samples, seed):
        yield torch.randint(2, (rows, people), generator=generator).double() * 2 - 1


def _all_signs(people: int) -> Float64[Tensor, "B P"]:
    numbers = torch.arange(2**people)[:, None]
    return ((numbers >> torch.arange(people)) & 1).double() * 2 - 1


def _blocks(people: int, samples: int, seed: int) -> Iterator[tuple[int, torch.Generator]]:
    generator = torch.Generator().manual_seed(seed)
    most = max(1, _CELLS // people)
    for start in range(0, samples, most):
        yield min(most, samples - start), generator
