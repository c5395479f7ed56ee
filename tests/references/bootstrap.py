"""Resampling people by the book, one sample and one person at a time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence


def by_person(values: Sequence[float], people: Sequence[int]) -> list[list[float]]:
    """The values of each person, people in order of id."""
    return [
        [v for v, who in zip(values, people, strict=True) if who == person]
        for person in sorted(set(people))
    ]


def mean_of(groups: Sequence[Sequence[float]]) -> float:
    flat = [value for group in groups for value in group]
    return sum(flat) / len(flat)


def redrawn_means(
    values: Sequence[float], people: Sequence[int], drawn: Sequence[Sequence[int]]
) -> list[float]:
    """The mean over all queries of the people of each draw."""
    groups = by_person(values, people)
    return [mean_of([groups[person] for person in sample]) for sample in drawn]


def percentile(values: Sequence[float], share: float) -> float:
    """Between the two nearest, as far as the share lies between their places."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def interval(
    values: Sequence[float], people: Sequence[int], samples: int, rng: random.Random
) -> tuple[float, float]:
    persons = len(set(people))
    drawn = [[rng.randrange(persons) for _ in range(persons)] for _ in range(samples)]
    means = redrawn_means(values, people, drawn)
    return percentile(means, 0.025), percentile(means, 0.975)


def exact_p(differences: Sequence[float], people: Sequence[int]) -> float:
    """Of all ways to exchange names for whole people, the share that differs as much."""
    sums = [sum(group) for group in by_person(differences, people)]
    ways = list(itertools.product((-1, 1), repeat=len(sums)))
    reached = [abs(sum(s * d for s, d in zip(way, sums, strict=True))) for way in ways]
    return sum(total >= abs(sum(sums)) - 1e-9 for total in reached) / len(ways)
