"""A person is a list of patches: grids of points whose rows each ride on one frame of the body.

A grid has shape (rows, columns, 3). Columns run around a limb or across a ribbon and give the
texture's u; rows run along it and give v. A closed grid joins its last column to its first.
Rows go down and columns go from the back over the left side to the front, so that the cross
product of the column direction with the row direction points outward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tipr.data.synthetic.curves import TAU, Array, Array32, fold_textures
from tipr.data.synthetic.rng import Rng


class FrameKind(IntEnum):
    """What part of the body a row of points follows, and what the frame's parameter means."""

    TORSO = 0  # height above the ground at rest, metres
    LEG = 1  # 0 hip, 0.5 knee, 1 ankle
    ARM = 2  # 0 shoulder, 0.5 elbow, 1 wrist
    HEAD = 3
    CHEST = 4
    HAND = 5
    FOOT = 6
    NECK = 7  # 0 turns with the head, 1 with the chest
    SKIRT = 8  # as TORSO, but below the hips it follows both legs
    UPRIGHT = 10  # at the wrist, level, facing where the chest faces


@dataclass(frozen=True)
class TileSlot:
    """Where a texture tile lies in the atlas: first texel, rows, columns."""

    base: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class RowFrame:
    """The frames that a patch's rows follow: one parameter for all rows, or one per row."""

    kind: FrameKind
    side: int = 0  # +1 the person's left, -1 the right, 0 neither
    parameter: float | Array = 0.0


@dataclass(frozen=True, eq=False)
class Patch:
    """A grid of points (rows, columns, 3), textured by the tile of that name."""

    tile: str
    points: Array32
    u: Array32
    v: Array32
    frame: RowFrame
    closed: bool = True
    two_sided: bool = False

    def moved(self, points: Array | Array32) -> Patch:
        return replace(self, points=points.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Rings:
    """A stack of elliptic rings: centres, side and front axes (rows, 3), three radii (rows,)."""

    centre: Array
    side: Array
    front_axis: Array
    width: Array
    front: Array
    back: Array

    def with_end(self, order: NDArray[np.intp], row: int, centre: Array, scale: float) -> Rings:
        """The rings taken in `order`, where the one at `row` gets a new centre and size."""
        rings = Rings(
            *(values[order] for values in (self.centre, self.side, self.front_axis)),
            *(values[order] for values in (self.width, self.front, self.back)),
        )
        rings.centre[row] = centre
        for radius in (rings.width, rings.front, rings.back):
            radius[row] *= scale
        return rings


def column_angles(columns: int) -> Array:
    """Angles of a closed ring's columns: 0 at the back, pi/2 at the left, pi at the front."""
    return np.linspace(0, TAU, columns, endpoint=False)


def superellipse(angles: Array, exponent: float) -> tuple[Array, Array]:
    """Side and front coordinates of a unit superellipse (2 is round, larger is squarer)."""
    side, front = np.sin(angles), -np.cos(angles)
    power = 2.0 / exponent
    return np.sign(side) * np.abs(side) ** power, np.sign(front) * np.abs(front) ** power


def loft(rings: Rings, angles: Array, exponent: float = 2.0) -> Array32:
    """Points of the rings at the angles, shape (columns,) for all rows or (rows, columns)."""
    side, front = superellipse(np.atleast_2d(angles), exponent)
    along = rings.width[:, None] * side
    ahead = np.where(front > 0, rings.front[:, None], rings.back[:, None]) * front
    points = rings.centre[:, None] + along[..., None] * rings.side[:, None]
    return (points + ahead[..., None] * rings.front_axis[:, None]).astype(np.float32)


def ring_u(angles: Array) -> Array32:
    return (angles / TAU).astype(np.float32)


def ramp(count: int, start: float = 0.0, stop: float = 1.0) -> Array32:
    """Evenly spaced texture coordinates."""
    return np.linspace(start, stop, count, dtype=np.float32)


def grid_tangents(points: Array32, closed: bool) -> tuple[Array32, Array32]:
    """Central differences along columns and along rows; one-sided at open edges."""
    across = np.empty_like(points)
    across[:, 1:-1] = points[:, 2:] - points[:, :-2]
    if closed:
        across[:, 0] = points[:, 1] - points[:, -1]
        across[:, -1] = points[:, 0] - points[:, -2]
    else:
        across[:, 0] = points[:, 1] - points[:, 0]
        across[:, -1] = points[:, -1] - points[:, -2]
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0] = points[1] - points[0]
    along[-1] = points[-1] - points[-2]
    return across, along


def outward(across: Array32, along: Array32) -> Array32:
    """Unit normals from the two tangents; zero where the grid has collapsed."""
    normal = np.empty_like(across)
    normal[..., 0] = across[..., 1] * along[..., 2] - across[..., 2] * along[..., 1]
    normal[..., 1] = across[..., 2] * along[..., 0] - across[..., 0] * along[..., 2]
    normal[..., 2] = across[..., 0] * along[..., 1] - across[..., 1] * along[..., 0]
    return normal / (np.sqrt((normal * normal).sum(-1, keepdims=True)) + np.float32(1e-12))


def pushed(patch: Patch, distance: Array | Array32) -> Patch:
    """The patch with its points moved outward; distances broadcast over (rows, columns)."""
    normal = outward(*grid_tangents(patch.points, patch.closed))
    return patch.moved(patch.points + normal * np.asarray(distance)[..., None])


def folded(patch: Patch, amplitude: Array, rng: Rng, texture: int, slant: float = 0.0) -> Patch:
    """The patch with folds: noise of the given amplitude per row (metres), slanted across rows."""
    rows, columns = patch.points.shape[:2]
    first_row, first_column = rng.below(64), rng.below(64)
    down, around = np.arange(rows) * (64 / rows), np.arange(columns) * (64 / columns)
    u = (around[None] + slant * down[:, None] + first_column).astype(int) % 64
    v = (down + first_row).astype(int) % 64
    return pushed(patch, fold_textures()[texture][v[:, None], u] * amplitude[:, None])


@lru_cache(maxsize=512)
def grid_faces(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """Triangles (n, 3) of a grid, wound so that their normals point outward."""
    row, column = np.meshgrid(
        np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij"
    )
    beside = (column + 1) % columns
    a, b = row * columns + column, row * columns + beside
    c, d = a + columns, b + columns
    corners = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], 2)
    faces = corners.reshape(-1, 3).astype(np.int32)
    faces.flags.writeable = False
    return faces
