"""Re-ranking the slow and obvious way."""

from __future__ import annotations

import math
from collections.abc import Sequence


def reranked_order(first: Sequence[float], second: Sequence[float], depth: int) -> list[int]:
    """The columns, best first; Python's sort keeps the order of equals."""
    order = sorted(range(len(first)), key=lambda column: -first[column])
    return sorted(order[:depth], key=lambda column: -second[column]) + order[depth:]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))
