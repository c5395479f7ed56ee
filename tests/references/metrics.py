"""Retrieval metrics by their definitions: sort, walk down the ranking, count. Slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence

Scores = dict[str, float]


def ranking(scores: Sequence[float]) -> list[int]:
    """The gallery, best first; equal scores in gallery order."""
    return sorted(range(len(scores)), key=lambda row: (-scores[row], row))


def walked(
    scores: Sequence[float],
    person: int,
    people: Sequence[int],
    camera: int = -1,
    cameras: Sequence[int] = (),
) -> list[bool]:
    """Whether each place of the ranking is a match, without what the query's camera saw of its
    person."""
    found = []
    for row in ranking(scores):
        match = people[row] == person
        if match and cameras and camera >= 0 and cameras[row] == camera:
            continue
        found.append(match)
    return found


def scored(ranked: Sequence[bool]) -> Scores | None:
    """Every metric of one ranking; None without a match."""
    total = sum(ranked)
    if not total:
        return None
    hits, last, steps, area, before = 0, 0, 0.0, 0.0, 1.0
    for rank, match in enumerate(ranked, 1):
        hits += match
        precision = hits / rank
        if match:
            last = rank
            steps += precision / total
            area += (before + precision) / 2 / total
        before = precision
    return {
        "R1": float(any(ranked[:1])),
        "R5": float(any(ranked[:5])),
        "R10": float(any(ranked[:10])),
        "mAP": steps,
        "mINP": total / last,
        "mAP_trapezoid": area,
        "R_precision": sum(ranked[:total]) / total,
    }


def averaged(queries: Sequence[Scores | None]) -> Scores:
    matched = [scores for scores in queries if scores is not None]
    return {name: sum(s[name] for s in matched) / len(matched) for name in matched[0]}
