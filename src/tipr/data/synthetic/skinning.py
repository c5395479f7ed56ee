# ruff: noqa: PLR0913
"""A person is built once and posed many times: points keep their place in their row's frame.

`bind` builds the patches in the resting pose and stores every point, normal and tangent in the
coordinates of its row's frame. `Bound.posed` finds the frames in another pose and carries them
along, which costs a few hundred frames and one pass over the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tipr.data.synthetic.body import Body, measure
from tipr.data.synthetic.curves import Array, Array32
from tipr.data.synthetic.dressing import dress
from tipr.data.synthetic.figure import Figure, leg_radii
from tipr.data.synthetic.frames import row_frames
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.jit import kernel
from tipr.data.synthetic.mesh import Patch, TileSlot, grid_faces, grid_tangents, outward
from tipr.data.synthetic.pose import Pose, resting_pose
from tipr.data.synthetic.skeleton import TOWARDS_LEFT, Skeleton, stand

Ints = NDArray[np.int32]
SKIRT_MARGIN = 0.02  # metres around the legs that a skirt's rings follow


@dataclass(frozen=True, eq=False)
class Posed:
    """Points and their unit normals, tangents (along u) and bitangents (along v), all (V, 3)."""

    positions: Array32
    normals: Array32
    tangents: Array32
    bitangents: Array32


@dataclass(frozen=True, eq=False)
class Rows:
    """What each row of points follows (`FrameKind`, side, parameter), all of shape (rows,)."""

    kinds: Ints
    sides: Ints
    stations: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Bound:
    """A person ready to be posed and drawn.

    Points have shape (V, ...), triangles (F, ...). `corner_u` (F, 3) is in texels and continuous
    within a triangle: across a seam it runs beyond the tile's width. `v` (V,) is in texel rows.
    """

    identity: Identity
    body: Body
    positions: Array32
    normals: Array32
    faces: Ints
    corner_u: Array32
    v: Array32
    tile_base: Ints
    tile_height: Ints
    tile_width: Ints
    two_sided: NDArray[np.bool_]
    rows: Rows
    row_of: Ints
    local: Posed
    radii: Array
    built: Array

    def posed(self, pose: Pose) -> Posed:
        """The person in the pose, on the ground y = 0, in float32."""
        skeleton = stand(self.body, pose)
        frames, _ = _frames(self.rows, skeleton, self.radii, self.built)
        local = self.local
        out = np.empty((4, *local.positions.shape), np.float32)
        _carry(
            local.positions,
            local.normals,
            local.tangents,
            local.bitangents,
            self.row_of,
            frames.astype(np.float32),
            out,
        )
        return Posed(*out)


def bind(identity: Identity, slots: Mapping[str, TileSlot]) -> Bound:
    """The person's patches, textured from the slots and tied to the frames of their rows."""
    body = measure(identity)
    skeleton = stand(body, resting_pose(identity))
    patches = dress(Figure(identity, body, skeleton))
    surface = _surface(patches)
    rows, row_of = _rows(patches)
    radii = leg_radii(body, SKIRT_MARGIN)
    unknown = np.zeros((len(rows.kinds), 2))
    frames, built = _frames(rows, skeleton, radii, unknown)
    return Bound(
        identity=identity,
        body=body,
        positions=surface.positions,
        normals=surface.normals,
        rows=rows,
        row_of=row_of,
        local=_local(surface, frames, row_of),
        radii=radii,
        built=built,
        **_texturing(patches, slots),
    )


def _frames(rows: Rows, skeleton: Skeleton, radii: Array, built: Array) -> tuple[Array, Array]:
    return row_frames(
        rows.kinds,
        rows.sides,
        rows.stations,
        skeleton.pelvis,
        skeleton.bend,
        skeleton.lift,
        skeleton.limbs,
        np.array([TOWARDS_LEFT, skeleton.arm_side]),
        skeleton.rigid(),
        skeleton.neck,
        radii,
        built,
    )


def _surface(patches: Sequence[Patch]) -> Posed:
    """All points in the pose in which they were built."""
    tangents = [grid_tangents(patch.points, patch.closed) for patch in patches]
    normals = [outward(*pair).reshape(-1, 3) for pair in tangents]
    return Posed(
        np.concatenate([patch.points.reshape(-1, 3) for patch in patches]),
        np.concatenate(normals),
        _unit(np.concatenate([across.reshape(-1, 3) for across, _ in tangents])),
        _unit(np.concatenate([along.reshape(-1, 3) for _, along in tangents])),
    )


def _unit(vectors: Array32) -> Array32:
    return vectors / (np.sqrt((vectors * vectors).sum(1, keepdims=True)) + np.float32(1e-9))


def _rows(patches: Sequence[Patch]) -> tuple[Rows, Ints]:
    """The frames that all rows follow, and for every point the row that it belongs to."""
    counts = [len(patch.points) for patch in patches]
    kinds = [np.full(n, p.frame.kind) for n, p in zip(counts, patches, strict=True)]
    sides = [np.full(n, p.frame.side) for n, p in zip(counts, patches, strict=True)]
    stations = [
        np.broadcast_to(np.asarray(p.frame.parameter, float), n)
        for n, p in zip(counts, patches, strict=True)
    ]
    columns = np.repeat([patch.points.shape[1] for patch in patches], counts)
    rows = Rows(
        np.concatenate(kinds).astype(np.int32),
        np.concatenate(sides).astype(np.int32),
        np.concatenate(stations),
    )
    return rows, np.repeat(np.arange(len(columns), dtype=np.int32), columns)


def _inverted(frames: Array) -> Array:
    """The inverses of (F, 3, 3) frames by cross products: alike on every processor."""
    side, up, front = frames[:, 0], frames[:, 1], frames[:, 2]
    columns = [np.cross(up, front), np.cross(front, side), np.cross(side, up)]
    volume = (side * columns[0]).sum(axis=1)
    return np.stack(columns, axis=2) / volume[:, None, None]


def _local(surface: Posed, frames: Array, row_of: Ints) -> Posed:
    """The surface in the coordinates of its rows' frames, be those askew or not."""
    into = _inverted(frames[:, 1:]).astype(np.float32)[row_of]

    def within(vectors: Array32) -> Array32:
        x, y, z = (vectors[:, k, None] * into[:, k] for k in range(3))
        return x + y + z

    offset = (surface.positions - frames[row_of, 0]).astype(np.float32)
    return Posed(
        within(offset),
        within(surface.normals),
        within(surface.tangents),
        within(surface.bitangents),
    )


def _texturing(patches: Sequence[Patch], slots: Mapping[str, TileSlot]) -> dict[str, np.ndarray]:
    """Triangles and where in the atlas they take their colour from."""
    faces, corners, v, places, first = [], [], [], [], 0
    for patch in patches:
        rows, columns = patch.points.shape[:2]
        slot = slots[patch.tile]
        grid = grid_faces(rows, columns, patch.closed)
        u = patch.u[grid % columns] * np.float32(slot.width)
        ahead = u - u[:, :1]
        half = slot.width * 0.5
        corners.append(u + slot.width * ((ahead < -half).astype(np.float32) - (ahead > half)))
        v.append(np.repeat(patch.v * np.float32(slot.height - 0.01), columns))
        place = (slot.base, slot.height, slot.width, patch.two_sided)
        places.append(np.tile(np.array(place, np.int32), (len(grid), 1)))
        faces.append(grid + first)
        first += rows * columns
    base, height, width, two_sided = np.concatenate(places).T.copy()
    return {
        "faces": np.concatenate(faces).astype(np.int32),
        "corner_u": np.concatenate(corners).astype(np.float32),
        "v": np.concatenate(v).astype(np.float32),
        "tile_base": base,
        "tile_height": height,
        "tile_width": width,
        "two_sided": two_sided.astype(bool),
    }


@kernel
def _carry(
    positions: Array32,
    normals: Array32,
    tangents: Array32,
    bitangents: Array32,
    row_of: Ints,
    frames: Array32,
    out: Array32,
) -> None:
    """Local coordinates to the world; normals come out at length one, even of stretched skirts."""
    for i in range(positions.shape[0]):
        row = row_of[i]
        total = np.float32(1e-12)
        for j in range(3):
            side, up, front = frames[row, 1, j], frames[row, 2, j], frames[row, 3, j]
            out[0, i, j] = (
                frames[row, 0, j]
                + positions[i, 0] * side
                + positions[i, 1] * up
                + positions[i, 2] * front
            )
            out[1, i, j] = normals[i, 0] * side + normals[i, 1] * up + normals[i, 2] * front
            out[2, i, j] = tangents[i, 0] * side + tangents[i, 1] * up + tangents[i, 2] * front
            out[3, i, j] = (
                bitangents[i, 0] * side + bitangents[i, 1] * up + bitangents[i, 2] * front
            )
            total += out[1, i, j] * out[1, i, j]
        scale = np.float32(1) / np.sqrt(total)
        for j in range(3):
            out[1, i, j] *= scale
