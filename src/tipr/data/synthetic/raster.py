# ruff: noqa: PLR0913
"""Which triangle is nearest at each sample of the picture: a z-buffer over projected triangles.

Samples lie at half-integers, y grows downwards, and a triangle faces the camera when its projected
area is positive. The picture is sampled 2 x 2 per pixel elsewhere; here a sample is a sample.
"""

from __future__ import annotations

import math

import numpy as np

from tipr.data.synthetic.jit import Flags, Floats, Ints, kernel

NOTHING = -1


@kernel
def rasterise(
    x: Floats,
    y: Floats,
    depth: Floats,
    faces: Ints,
    two_sided: Flags,
    nearest: Ints,
    buffer: Floats,
) -> None:
    """Write into `nearest` (rows, columns) the index of the triangle in front at each sample.

    `buffer` holds its depth. Both must come in filled: with `NOTHING` and with infinity.
    """
    half, one, zero, tiny = np.float32(0.5), np.float32(1), np.float32(0), np.float32(1e-9)
    rows, columns = nearest.shape
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        xa, xb, xc, ya, yb, yc = x[a], x[b], x[c], y[a], y[b], y[c]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area <= tiny and not (two_sided[face] and area < -tiny):
            continue
        top = max(0, math.ceil(min(ya, min(yb, yc)) - half))
        bottom = min(rows - 1, math.floor(max(ya, max(yb, yc)) - half))
        left = max(0, math.ceil(min(xa, min(xb, xc)) - half))
        right = min(columns - 1, math.floor(max(xa, max(xb, xc)) - half))
        if left > right or top > bottom:
            continue
        # Barycentric weights of b and c are planes over the picture: step along them.
        scale = one / area
        step_b, step_c = (yc - ya) * scale, (ya - yb) * scale
        down_b, down_c = (xa - xc) * scale, (xb - xa) * scale
        step_a = -(step_b + step_c)
        deeper_b, deeper_c = depth[b] - depth[a], depth[c] - depth[a]
        step_depth = deeper_b * step_b + deeper_c * step_c
        dx = np.float32(left) + half - xa
        for row in range(top, bottom + 1):
            dy = np.float32(row) + half - ya
            weight_b = step_b * dx + down_b * dy
            weight_c = step_c * dx + down_c * dy
            weight_a = one - weight_b - weight_c
            here = depth[a] + deeper_b * weight_b + deeper_c * weight_c
            for column in range(left, right + 1):
                inside = weight_a >= zero and weight_b >= zero and weight_c >= zero
                if inside and here < buffer[row, column]:
                    buffer[row, column] = here
                    nearest[row, column] = face
                weight_a += step_a
                weight_b += step_b
                weight_c += step_c
                here += step_depth
