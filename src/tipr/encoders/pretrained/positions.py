"""Position embeddings of one grid of patches, made to fit another."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tipr.encoders.pretrained.faults import WeightsError

Grid = tuple[int, int]  # patches (down, across)


def resized_positions(
    table: Float[Tensor, "N D"],
    grid_from: Grid,
    grid_to: Grid,
    mode: Literal["bilinear", "bicubic"] = "bilinear",
) -> Float[Tensor, "M D"]:
    """The class token's row as it is, the patches' rows interpolated between their centres.

    Bilinear without antialiasing is IRRA's choice (Jiang and Ye, CVPR 2023, as released).
    """
    down, across = grid_from
    if len(table) != 1 + down * across:
        raise WeightsError(f"{len(table)} position embeddings are not a class token's and "
                           f"{down}x{across} patches'; name their own grid")  # fmt: skip
    if grid_from == grid_to:
        return table
    patches = table[1:].view(1, down, across, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(patches, size=grid_to, mode=mode, align_corners=False)
    return torch.cat([table[:1], resized.flatten(2)[0].T])


def grid_of(count: int, wanted: Grid) -> Grid:
    """The grid that `count` patches were: a square, or the one that is wanted anyway."""
    side = round(count**0.5)
    if side * side == count:
        return side, side
    if count == wanted[0] * wanted[1]:
        return wanted
    raise WeightsError(f"{count} patches are neither a square nor {wanted[0]}x{wanted[1]}; choose "
                       "the image size and stride that the weights were trained with")  # fmt: skip
