# ruff: noqa: PLR0913
"""How much light reaches each vertex: from the sun, past the person's own body, and from the sky.

Whatever blocks light is found without rays: vertices are splatted into a depth map seen from the
light, the map is widened until the splats join, and a vertex lies in shade where the map is nearer
to the light than it is. Ambient occlusion is the same from five fixed directions, once per person.
"""

from __future__ import annotations

import math

import numpy as np

from tipr.data.synthetic.curves import product
from tipr.data.synthetic.jit import Floats, kernel

_CELL = np.float32(0.030)  # metres between texels of a light's depth map
_BIAS = np.float32(0.045)  # metres by which a vertex must be hidden to count
_SOFT = np.float32(0.05)  # metres from half to full shade

# The sky's directions: from above, from both sides, from behind and from the front.
_SKY = np.array(
    [(0, 1, 0), (0.8, 0.5, 0.33), (-0.8, 0.5, 0.33), (0, 0.45, -0.9), (0, 0.35, 0.94)], np.float64
)
_SKY_DIRECTIONS: Floats = (_SKY / np.sqrt((_SKY**2).sum(1, keepdims=True))).astype(np.float32)

# Columns of a lit vertex.
LIT_V = 0  # texture row
LIT_FACING = 1  # cosine between the normal and the sun
LIT_SUN = 2  # share of the sun that arrives
LIT_SKY = 3  # share of the sky that arrives
LIT_ALONG_U = 4  # the sun's direction in the surface, along the texture's u
LIT_ALONG_V = 5  # the same along v
LIT_SHINE = 6  # highlight
LIT_UPRIGHT = 7  # how far v points up
LIT_COLUMNS = 8


def sun_visibility(positions: Floats, direction: Floats) -> Floats:
    """Share of the sun (0 to 1) that arrives at each vertex: (V,)."""
    shares = np.empty((1, len(positions)), np.float32)
    _visibility(positions, direction[None], _CELL, _BIAS, _SOFT, shares)
    return shares[0]


def ambient_occlusion(positions: Floats, normals: Floats) -> Floats:
    """Share of the sky (0.3 to 1) that each vertex sees in the pose given: (V,)."""
    shares = np.empty((len(_SKY_DIRECTIONS), len(positions)), np.float32)
    _visibility(positions, _SKY_DIRECTIONS, _CELL, _BIAS, _SOFT, shares)
    weights = np.maximum(product(normals, _SKY_DIRECTIONS.T).T * 0.7 + 0.3, 0.02)
    return (0.30 + 0.70 * (shares * weights).sum(0) / weights.sum(0)).astype(np.float32)


@kernel
def _visibility(
    positions: Floats,
    directions: Floats,
    cell: np.float32,
    bias: np.float32,
    soft: np.float32,
    shares: Floats,
) -> None:
    """Soft visibility (D, V) of vertices towards each direction, from a splatted depth map."""
    count = positions.shape[0]
    column = np.empty(count, np.int32)
    row = np.empty(count, np.int32)
    near = np.empty(count, np.float32)
    for index in range(directions.shape[0]):
        dx, dy, dz = directions[index, 0], directions[index, 1], directions[index, 2]
        if abs(dy) < 0.9:
            ax, ay, az = -dz, np.float32(0), dx
        else:
            ax, ay, az = np.float32(0), dz, -dy
        size = np.float32(1) / np.float32(math.sqrt(ax * ax + ay * ay + az * az))
        ax, ay, az = ax * size, ay * size, az * size
        bx, by, bz = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
        low_a, low_b = np.float32(1e9), np.float32(1e9)
        high_a, high_b = np.float32(-1e9), np.float32(-1e9)
        for i in range(count):
            px, py, pz = positions[i, 0], positions[i, 1], positions[i, 2]
            a, b = px * ax + py * ay + pz * az, px * bx + py * by + pz * bz
            low_a, low_b = min(low_a, a), min(low_b, b)
            high_a, high_b = max(high_a, a), max(high_b, b)
        rows, columns = int((high_b - low_b) / cell) + 6, int((high_a - low_a) / cell) + 6
        splats = np.full((rows, columns), np.float32(-9))
        for i in range(count):
            px, py, pz = positions[i, 0], positions[i, 1], positions[i, 2]
            column[i] = int((px * ax + py * ay + pz * az - low_a) / cell) + 2
            row[i] = int((px * bx + py * by + pz * bz - low_b) / cell) + 2
            near[i] = px * dx + py * dy + pz * dz
            splats[row[i], column[i]] = max(splats[row[i], column[i]], near[i])
        blockers = _widened(splats)
        for i in range(count):
            r, c = row[i], column[i]
            share = _lit(blockers[r, c], near[i], bias, soft)
            share += _lit(blockers[r, c + 1], near[i], bias, soft)
            share += _lit(blockers[r, c - 1], near[i], bias, soft)
            share += _lit(blockers[r + 1, c], near[i], bias, soft)
            share += _lit(blockers[r - 1, c], near[i], bias, soft)
            shares[index, i] = share * np.float32(0.2)


@kernel
def _widened(splats: Floats) -> Floats:
    """The largest value in each 3 x 3 neighbourhood; -9 at the rim."""
    rows, columns = splats.shape
    wide = np.full((rows, columns), np.float32(-9))
    for r in range(1, rows - 1):
        for c in range(1, columns - 1):
            most = splats[r, c]
            for i in range(-1, 2):
                for j in range(-1, 2):
                    most = max(most, splats[r + i, c + j])
            wide[r, c] = most
    return wide


@kernel
def _lit(blocker: np.float32, near: np.float32, bias: np.float32, soft: np.float32) -> np.float32:
    share = np.float32(1) - (blocker - near - bias) / soft
    return min(max(share, np.float32(0)), np.float32(1))


@kernel
def light_vertices(
    positions: Floats,
    normals: Floats,
    tangents: Floats,
    bitangents: Floats,
    texture_rows: Floats,
    sunlit: Floats,
    occlusion: Floats,
    sun: Floats,
    eye: Floats,
    lit: Floats,
) -> None:
    """Fill `lit` (V, LIT_COLUMNS) for a sun direction and a camera at `eye`, both person-centred.

    The sky is dimmer below knee height, where the ground is near, and on what faces down.
    """
    half, one, zero = np.float32(0.5), np.float32(1), np.float32(0)
    sx, sy, sz = sun[0], sun[1], sun[2]
    for i in range(positions.shape[0]):
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        ground = np.float32(0.55) + np.float32(0.9) * positions[i, 1]
        ground = min(max(ground, half), one)
        vx, vy, vz = eye[0] - positions[i, 0], eye[1] - positions[i, 1], eye[2] - positions[i, 2]
        size = one / np.float32(math.sqrt(vx * vx + vy * vy + vz * vz))
        hx, hy, hz = vx * size + sx, vy * size + sy, vz * size + sz
        size = one / np.float32(math.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-9)))
        shine = max((nx * hx + ny * hy + nz * hz) * size, zero)
        shine = shine * shine
        shine = shine * shine
        shine = shine * shine
        hemisphere = np.float32(0.45) + np.float32(0.55) * (half + half * ny)
        lit[i, LIT_V] = texture_rows[i]
        lit[i, LIT_FACING] = nx * sx + ny * sy + nz * sz
        lit[i, LIT_SUN] = sunlit[i]
        lit[i, LIT_SKY] = occlusion[i] * hemisphere * ground
        lit[i, LIT_ALONG_U] = tangents[i, 0] * sx + tangents[i, 1] * sy + tangents[i, 2] * sz
        lit[i, LIT_ALONG_V] = bitangents[i, 0] * sx + bitangents[i, 1] * sy + bitangents[i, 2] * sz
        lit[i, LIT_SHINE] = shine * shine * shine * sunlit[i]
        lit[i, LIT_UPRIGHT] = bitangents[i, 1]
