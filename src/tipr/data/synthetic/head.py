"""The surface of the head, on which faces, hair and hats lie; in head heights from the chin up."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.curves import TAU, Array, Array32, Curve, product, smoothstep
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.mesh import FrameKind, Patch, RowFrame, ring_u
from tipr.data.synthetic.skeleton import SIDES
from tipr.data.synthetic.solids import Finish, ellipsoid

_LEVELS = [0.0, 0.03, 0.10, 0.20, 0.33, 0.45, 0.54, 0.62, 0.74, 0.85, 0.93, 0.98, 1.0]
_WIDTH = Curve.through(
    _LEVELS,
    [0.07, 0.135, 0.205, 0.262, 0.300, 0.325, 0.333, 0.337, 0.328, 0.285, 0.215, 0.12, 0.0],
)
_FRONT = Curve.through(
    _LEVELS,
    [0.345, 0.385, 0.40, 0.395, 0.385, 0.380, 0.365, 0.388, 0.375, 0.315, 0.225, 0.12, 0.03],
)
_BACK = Curve.through(
    _LEVELS,
    [0.02, 0.05, 0.12, 0.25, 0.37, 0.43, 0.455, 0.465, 0.455, 0.395, 0.28, 0.15, 0.03],
)
ON_HEAD = RowFrame(FrameKind.HEAD)


def from_front(angles: Array) -> Array:
    """How far round from the face: 0 in front, pi at the back of the head."""
    return np.abs(np.arctan2(np.sin(angles - np.pi), np.cos(angles - np.pi)))


def head_points(figure: Figure, levels: Array, angles: Array, off: float | Array = 0.0) -> Array32:
    """Points (rows, columns, 3) on the head, lifted off its skin by `off` head heights."""
    body, head = figure.body, figure.skeleton.head
    width, front, back = _WIDTH(levels), _FRONT(levels), _BACK(levels)
    if body.female or body.child:
        width = width * np.interp(levels, [0, 0.2, 0.5, 1], [0.86, 0.93, 1, 1])
        front = front * np.interp(levels, [0, 0.1, 0.3], [0.96, 0.98, 1])
    middle, depth = (front - back)[:, None] / 2, (front + back)[:, None] / 2
    around, ahead = np.sin(angles)[None], -np.cos(angles)[None]
    x = width[:, None] * around
    y = np.repeat(levels[:, None], len(angles), 1)
    z = middle + depth * ahead + _features(x, y) * np.clip(ahead, 0, 1)
    lift = np.asarray(off, float)
    if lift.any():
        radius = np.sqrt(x * x + (z - middle) ** 2) + 1e-6
        up = smoothstep(0.72, 1.0, levels)[:, None]
        out = lift * np.sqrt(1 - up * up * 0.96) / radius
        x, z, y = x + x * out, z + (z - middle) * out, y + up * lift
    local = np.stack([x, y, z], -1) * body.head_height
    return (product(local, np.array(head[1:])) + head.origin).astype(np.float32)


def _features(x: Array, y: Array) -> Array:
    """How far the face stands out: nose, lips, eye sockets, cheeks, chin."""

    def bump(x0: float, y0: float, width: float, height: float) -> Array:
        return np.exp(-(((x - x0) / width) ** 2) - ((y - y0) / height) ** 2)

    bridge = np.interp(y, [0.30, 0.345, 0.37, 0.46, 0.56, 0.6], [0, 0.55, 1, 0.6, 0.12, 0])
    nose = 0.085 * np.exp(-((x / 0.045) ** 2)) * bridge
    sockets = bump(0.14, 0.52, 0.07, 0.05) + bump(-0.14, 0.52, 0.07, 0.05)
    cheeks = bump(0.15, 0.42, 0.08, 0.06) + bump(-0.15, 0.42, 0.08, 0.06)
    lips, chin = bump(0, 0.23, 0.10, 0.05), bump(0, 0.07, 0.08, 0.05)
    return nose + 0.02 * lips - 0.028 * sockets + 0.014 * cheeks + 0.012 * chin


def head(figure: Figure) -> list[Patch]:
    """The head and its ears; columns crowd towards the face."""
    levels = np.concatenate([np.linspace(1, 0.9, 5), np.linspace(0.86, 0, 22)])
    angles = np.linspace(0, TAU, 36, endpoint=False)
    angles = np.sort((angles + 0.30 * np.sin(angles)) % TAU)
    points = head_points(figure, levels, angles)
    v = (1 - levels).astype(np.float32)
    return [Patch("head", points, ring_u(angles), v, ON_HEAD), *_ears(figure)]


def _ears(figure: Figure) -> list[Patch]:
    axes, size = figure.skeleton.head, figure.body.head_height
    finish = Finish(tile="skin", frame=ON_HEAD, columns=8)
    radii = (0.035 * size, 0.115 * size, 0.06 * size)
    places = [axes.at(side * 0.335 * size, 0.46 * size, -0.03 * size) for side in SIDES]
    return [ellipsoid(axes._replace(origin=place), radii, 6, finish) for place in places]
