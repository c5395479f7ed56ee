"""Materials as small square-texel tiles: colour, relief, gloss, and what each texel shows.

Colour is linear light. Relief is a height in no unit: only its slope reaches the shading. Noise is
made from uniform numbers alone, so that it has the same bits on every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tipr.data.synthetic.curves import value_noise
from tipr.data.synthetic.palette import Linear, linear
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.tags import TAG

Shape = tuple[int, int]
Picture = NDArray[np.float32]
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tile:
    """One material: colour (h, w, 3) linear, relief (h, w), gloss, tags (h, w) uint8."""

    colour: Picture
    relief: Plane
    gloss: float
    tags: NDArray[np.uint8]


@cache
def noise(shape: Shape, cells: Shape, octaves: int = 3, variant: int = 0) -> Plane:
    """A fixed noise plane; the same arguments give the same plane in every process."""
    plane = value_noise(Rng("noise", shape, cells, octaves, variant), shape, cells, octaves)
    plane.flags.writeable = False
    return plane


def centres(count: int) -> Plane:
    """The centres of `count` equal cells of the unit interval."""
    return ((np.arange(count, dtype=np.float32) + 0.5) / count).astype(np.float32)


def jittered(rgb: Sequence[float], rng: Rng, amount: float = 0.10) -> Linear:
    """A named colour as one person's garment has it: a little lighter, darker, or tinted."""
    brightness = 1 + rng.normal(0, amount)
    tint = np.array([1 + rng.normal(0, amount * share) for share in (0.35, 0.2, 0.35)])
    return np.clip(linear(rgb) * brightness * tint, 0.003, 0.92).astype(np.float32)


def fabric(shape: Shape, colour: Linear, weave: str, folds: int) -> tuple[Picture, Plane]:
    """Cloth of one colour: denim, knit, leather or plain weave; `folds` picks a fold pattern."""
    width = shape[1]
    broad = noise(shape, (8, 8), 3, 1)
    fine = noise(shape, (32, 32), 2, 2)
    relief = noise(shape, (6, 5), 3, folds % 4)
    if weave == "denim":
        shade, relief = 0.10 * fine + 0.06 * broad, 0.48 * relief + 0.10 * fine
    elif weave == "knit":
        rib = np.sin(np.arange(width) * (np.pi / 2)).astype(np.float32)[None]
        shade, relief = 0.05 * broad + 0.05 * rib, 0.36 * relief + 0.10 * rib
    elif weave == "leather":
        shade, relief = 0.05 * broad, 0.6 * relief
    else:
        shade, relief = 0.035 * broad + 0.02 * fine, 0.6 * relief
    picture = (1 + shade)[..., None] * np.asarray(colour, np.float32)
    return picture.astype(np.float32), relief.astype(np.float32)


def blend(picture: Picture, colour: Linear | Picture, cover: Plane | Mask) -> Picture:
    """`picture` with `colour` laid over it where `cover` (0 to 1) is high."""
    amount = np.clip(cover, 0, 1).astype(np.float32)[..., None]
    return (picture * (1 - amount) + np.asarray(colour, np.float32) * amount).astype(np.float32)


def tagged(shape: Shape, tag: str) -> NDArray[np.uint8]:
    """A plane of one tag."""
    return np.full(shape, TAG[tag], np.uint8)


def plain(
    colour: Linear,
    tag: str,
    *,
    shape: Shape = (64, 64),
    weave: str = "cloth",
    gloss: float = 0.04,
    depth: float = 1.0,
) -> Tile:
    """A tile of one cloth, with its relief scaled by `depth`."""
    picture, relief = fabric(shape, colour, weave, 0)
    return Tile(picture, relief * np.float32(depth), gloss, tagged(shape, tag))
