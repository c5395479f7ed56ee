"""Objectives and metrics by the book, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vectors = Sequence[Sequence[float]]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    return [p / sum(powers) for p in powers]


def info_nce(image: Vectors, text: Vectors, temperature: float) -> float:
    total = 0.0
    for queries, gallery in ((text, image), (image, text)):
        for i, query in enumerate(queries):
            p = softmax([cosine(query, other) / temperature for other in gallery])
            total -= math.log(p[i]) / len(queries)
    return total / 2


def sdm(image: Vectors, text: Vectors, ids: Sequence[int], tau: float, epsilon: float) -> float:
    total = 0.0
    for queries, gallery in ((text, image), (image, text)):
        for i, query in enumerate(queries):
            p = softmax([cosine(query, other) / tau for other in gallery])
            same = [ids[i] == j for j in ids]
            q = [s / sum(same) for s in same]
            total += sum(a * math.log(a / (b + epsilon)) for a, b in zip(p, q, strict=True))
    return total / len(ids)


def cmpm(image: Vectors, text: Vectors, ids: Sequence[int], norm: str, epsilon: float) -> float:
    total = 0.0
    for queries, gallery in ((text, image), (image, text)):
        for i, query in enumerate(queries):
            length = math.hypot(*query)
            p = softmax([length * cosine(query, other) for other in gallery])
            same = [ids[i] == j for j in ids]
            size = sum(same) if norm == "l1" else math.hypot(*same)
            for a, match in zip(p, same, strict=True):
                total += a * (math.log(a) - math.log(match / size + epsilon))
    return total / len(ids)


def hardest_triplet(image: Vectors, text: Vectors, ids: Sequence[int], margin: float) -> float:
    total = 0.0
    for queries, gallery in ((text, image), (image, text)):
        for i, query in enumerate(queries):
            others = [cosine(query, g) for g, j in zip(gallery, ids, strict=True) if j != ids[i]]
            if others:
                total += max(0.0, max(others) - cosine(query, gallery[i]) + margin)
    return total / len(ids)


def average_precision(ranked: Sequence[bool]) -> float:
    hits, total = 0, 0.0
    for rank, match in enumerate(ranked, 1):
        if match:
            hits += 1
            total += hits / rank
    return total / hits
