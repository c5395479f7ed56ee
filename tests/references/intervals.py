"""Two-way clustered variance by the book, one cell at a time."""

from __future__ import annotations

from collections.abc import Sequence


def variances(
    runs: Sequence[Sequence[float]], people: Sequence[int]
) -> tuple[float, float, float, float]:
    """Of the mean: over people, over seeds, over cells, and all told."""
    total, everyone = len(runs) * len(people), sorted(set(people))
    mean = sum(sum(run) for run in runs) / total
    error = [
        [sum(v - mean for v, who in zip(run, people, strict=True) if who == p) for p in everyone]
        for run in runs
    ]
    seeds, persons = len(runs), len(everyone)
    of_people = sum(sum(row[p] for row in error) ** 2 for p in range(persons))
    of_people *= persons / (persons - 1) / total**2
    if seeds == 1:
        return of_people, 0.0, 0.0, of_people
    of_seeds = sum(sum(row) ** 2 for row in error) * seeds / (seeds - 1) / total**2
    cells = seeds * persons
    of_cells = sum(e**2 for row in error for e in row) * cells / (cells - 1) / total**2
    joint = max(of_people + of_seeds - of_cells, of_people, of_seeds)
    return of_people, of_seeds, of_cells, joint


def degrees_of_freedom(of_people: float, joint: float, seeds: int, persons: int) -> float:
    """Satterthwaite's: what people explain has theirs, the rest that of the seeds."""
    if seeds == 1:
        return persons - 1.0
    parts = (joint - of_people) ** 2 / (seeds - 1) + of_people**2 / (persons - 1)
    return joint**2 / parts
