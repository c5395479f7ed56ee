"""Distances between student and teacher by the book, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from references.matching import Vectors, cosine


def unit(row: Sequence[float]) -> list[float]:
    return [x / math.hypot(*row) for x in row]


def unit_distance(student: Vectors, teacher: Vectors) -> float:
    total = 0.0
    for a, b in zip(student, teacher, strict=True):
        total += sum((x - y) ** 2 for x, y in zip(unit(a), unit(b), strict=True))
    return total / len(student)


def raw_distance(student: Vectors, teacher: Vectors) -> float:
    errors = [
        (x - y) ** 2
        for a, b in zip(student, teacher, strict=True)
        for x, y in zip(a, b, strict=True)
    ]
    return sum(errors) / len(errors)


def relation_distance(student: tuple[Vectors, Vectors], teacher: tuple[Vectors, Vectors]) -> float:
    rows, total = len(student[0]), 0.0
    for i in range(rows):
        for j in range(rows):
            learnt = cosine(student[0][i], student[1][j])
            wanted = cosine(teacher[0][i], teacher[1][j])
            total += (learnt - wanted) ** 2
    return total / rows
