"""All tiles of one person, packed end to end: the one texture that the shading reads.

Texel `base + row * width + column` of a slot belongs to its tile; there is no padding, so whoever
reads must keep rows and columns inside the slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tipr.data.synthetic.accessories import (
    bag_tiles,
    carried_tiles,
    hat_tiles,
    skin_tiles,
    worn_tiles,
)
from tipr.data.synthetic.clothes import lower_tiles, outer_tiles, shoe_tiles, upper_tiles
from tipr.data.synthetic.faces import hair_tile, head_tile
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.mesh import TileSlot
from tipr.data.synthetic.textures import Plane, Tile


@dataclass(frozen=True, eq=False)
class Atlas:
    """Per texel: linear colour (N, 3), slope of the relief (N, 2), gloss (N,) and tag (N,)."""

    slots: Mapping[str, TileSlot]
    colour: NDArray[np.float32]
    slope: NDArray[np.float32]
    gloss: NDArray[np.float32]
    tags: NDArray[np.uint8]


def paint_atlas(identity: Identity) -> Atlas:
    """The textures of everything this person wears; what is not worn is not painted."""
    tiles = {"head": head_tile(identity)} | skin_tiles(identity)
    if identity.hair != "bald":
        tiles["hair"] = hair_tile(identity)
    tiles |= upper_tiles(identity) | lower_tiles(identity) | shoe_tiles(identity)
    if identity.outer != "none":
        tiles |= outer_tiles(identity)
    tiles |= hat_tiles(identity) | bag_tiles(identity)
    tiles |= carried_tiles(identity) | worn_tiles(identity)
    return pack(tiles)


def pack(tiles: Mapping[str, Tile]) -> Atlas:
    slots: dict[str, TileSlot] = {}
    end = 0
    for name, tile in tiles.items():
        height, width = tile.tags.shape
        slots[name] = TileSlot(end, height, width)
        end += height * width
    parts = list(tiles.values())
    colour = np.concatenate([tile.colour.reshape(-1, 3) for tile in parts])
    gloss = np.concatenate([np.full(tile.tags.size, tile.gloss, np.float32) for tile in parts])
    return Atlas(
        slots,
        np.clip(colour, 0.002, 0.95).astype(np.float32),
        np.concatenate([_slope(tile.relief) for tile in parts]),
        gloss,
        np.concatenate([tile.tags.reshape(-1) for tile in parts]),
    )


def _slope(relief: Plane) -> NDArray[np.float32]:
    """Change of the relief per whole tile, along u (which wraps) and along v: (h * w, 2)."""
    height, width = relief.shape
    slope = np.empty((height, width, 2), np.float32)
    slope[..., 0] = (np.roll(relief, -1, 1) - np.roll(relief, 1, 1)) * (width * 0.5)
    slope[..., 1] = np.gradient(relief, axis=0) * height
    return slope.reshape(-1, 2)
