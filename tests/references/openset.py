"""Open-set measures by their definitions, one pair and one threshold at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence


def auroc(present: Sequence[float], absent: Sequence[float]) -> float:
    wins = sum((p > a) + (p == a) / 2 for p in present for a in absent)
    return wins / len(present) / len(absent)


def detection(
    scores: Sequence[float], right: Sequence[bool], present: Sequence[bool], allowed: float
) -> float:
    """The best rate of any threshold that keeps to the allowed false alarms."""
    rows = list(zip(scores, right, present, strict=True))
    best = 0.0
    for threshold in scores:
        alarms = [row for row in rows if row[0] > threshold]
        false = sum(not there for _, _, there in alarms)
        if false <= allowed * (len(rows) - sum(present)) + 1e-9:
            found = sum(ok and there for _, ok, there in alarms)
            best = max(best, found / sum(present))
    return best


def calibration_error(p: Sequence[float], right: Sequence[bool], bins: int) -> float:
    """Bins of equal size in order of p; all p differ."""
    rows = sorted(zip(p, right, strict=True))
    size, more = divmod(len(rows), bins)
    error, start = 0.0, 0
    for number in range(bins):
        part = rows[start : start + size + (number < more)]
        start += len(part)
        said, was = (sum(row[i] for row in part) for i in (0, 1))
        error += abs(said - was) / len(rows)
    return error


def platt_loss(
    slope: float, offset: float, scores: Sequence[float], right: Sequence[bool]
) -> float:
    ups = sum(right)
    high, low = (ups + 1) / (ups + 2), 1 / (len(right) - ups + 2)
    total = 0.0
    for score, ok in zip(scores, right, strict=True):
        p = 1 / (1 + math.exp(-(slope * score + offset)))
        target = high if ok else low
        total -= target * math.log(p) + (1 - target) * math.log(1 - p)
    return total
