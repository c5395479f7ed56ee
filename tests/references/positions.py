"""Resizing a table of positions, one patch at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Grid = tuple[int, int]


def resized(table: Tensor, grid_from: Grid, grid_to: Grid, mode: str = "bilinear") -> Tensor:
    """Each new patch asks the old ones whose centres are around its own; the edge repeats."""
    rows = [table[0]]
    for down in range(grid_to[0]):
        for across in range(grid_to[1]):
            value = torch.zeros_like(table[0])
            for row, row_share in _shares(down, grid_from[0], grid_to[0], mode):
                for column, share in _shares(across, grid_from[1], grid_to[1], mode):
                    value += row_share * share * table[1 + row * grid_from[1] + column]
            rows.append(value)
    return torch.stack(rows)


def _shares(index: int, old: int, new: int, mode: str) -> list[tuple[int, float]]:
    weight = {"bilinear": _tent, "bicubic": _cubic}[mode]
    centre = (index + 0.5) * old / new - 0.5
    near = range(math.floor(centre) - 1, math.floor(centre) + 3)
    return [(min(max(place, 0), old - 1), weight(abs(place - centre))) for place in near]


def _tent(distance: float) -> float:
    return max(1 - distance, 0.0)


def _cubic(distance: float, a: float = -0.75) -> float:
    """Keys' kernel (IEEE Trans. ASSP 1981), at the sharpness that OpenCV and torch take."""
    x = distance
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0
