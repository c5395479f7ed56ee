"""Caps, beanies, sun hats, hoods and headscarves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.curves import Array, Array32, smoothstep
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.head import ON_HEAD, from_front, head_points
from tipr.data.synthetic.mesh import (
    FrameKind,
    Patch,
    Rings,
    RowFrame,
    column_angles,
    folded,
    loft,
    ramp,
    ring_u,
)

_COLUMNS = 32


@dataclass(frozen=True)
class Crown:
    """Lowest level on the head, thickness, and how much more of it between two levels."""

    lowest: float
    thickness: float
    rise: float = 0.0
    between: tuple[float, float] = (0.75, 0.95)


CROWNS = {
    "cap": Crown(0.70, 0.055, rise=0.02),
    "beanie": Crown(0.64, 0.075, rise=0.05, between=(0.85, 1.0)),
    "sunhat": Crown(0.70, 0.06),
}


def hats(figure: Figure) -> list[Patch]:
    """What the person wears on the head, if anything."""
    kind = figure.identity.hat
    if kind == "none":
        return []
    if kind in ("hood", "headscarf"):
        return [_hood(figure), _drape(figure)]
    crown = CROWNS[kind]
    extra = {"cap": _peak, "beanie": _cuff, "sunhat": _brim}[kind]
    return [_crown(figure, crown), extra(figure, crown)]


def _lower(figure: Figure, points: Array32, by: Array | float) -> Array32:
    """The points moved down the head by head heights, broadcast over (rows, columns)."""
    step = np.multiply(by, figure.body.head_height)[..., None]
    return (points - figure.skeleton.head.up * step).astype(np.float32)


def _backness(angles: Array) -> Array:
    """0 in front, 1 at the back of the head."""
    return (1 + np.cos(angles)) * 0.5


def _crown(figure: Figure, crown: Crown) -> Patch:
    """A close cap on the skull, lower at the back."""
    angles = column_angles(_COLUMNS)
    levels = np.concatenate([np.linspace(1, 0.93, 5), np.linspace(0.90, crown.lowest, 7)])
    off = crown.thickness + crown.rise * smoothstep(*crown.between, levels)
    points = head_points(figure, levels, angles, np.repeat(off[:, None], _COLUMNS, 1))
    low = smoothstep(0.95, crown.lowest, levels)[:, None] * _backness(angles)[None]
    points = _lower(figure, points, 0.16 * low)
    return Patch("hat", points, ring_u(angles), ramp(len(levels)), ON_HEAD)


def _cuff(figure: Figure, crown: Crown) -> Patch:
    """The turned-up edge of a beanie."""
    angles, levels = column_angles(_COLUMNS), np.array([0.80, 0.78, 0.70, 0.63, 0.615])
    off = np.array([0.07, 0.105, 0.112, 0.105, 0.06])[:, None]
    points = head_points(figure, levels, angles, np.repeat(off, _COLUMNS, 1))
    points = _lower(figure, points, 0.14 * _backness(angles)[None])
    return Patch("hat", points, ring_u(angles), ramp(5, 0.7, 1.0), ON_HEAD)


def _peak(figure: Figure, crown: Crown) -> Patch:
    """The peak of a cap, in front or, for a cap worn backwards, behind."""
    head, unit = figure.skeleton.head, figure.body.head_height
    backwards = figure.identity.cap_back
    turn = np.linspace(-1.25, 1.25, 15)
    angles = turn if backwards else turn + np.pi
    rim = head_points(figure, np.array([crown.lowest + 0.01]), angles, crown.thickness)[0]
    if backwards:
        rim = _lower(figure, rim, 0.14)
    k = np.linspace(0, 1, 5)[:, None]
    ahead = k * np.cos(turn) ** 0.8 * (0.36 * unit)
    forward = -head.front if backwards else head.front
    points = rim[None] + forward * ahead[..., None]
    points = _lower(figure, points, k**1.5 * 0.10 + k * np.abs(np.sin(turn)) * 0.06)
    u, v = ramp(15, 0.3, 0.7), ramp(5, 0.9, 1.0)
    return Patch("hat", points, u, v, ON_HEAD, closed=False, two_sided=True)


def _brim(figure: Figure, crown: Crown) -> Patch:
    """The wide brim of a sun hat."""
    head, unit = figure.skeleton.head, figure.body.head_height
    angles = column_angles(_COLUMNS)
    rim = head_points(figure, np.array([crown.lowest + 0.02]), angles, crown.thickness)[0]
    rim = _lower(figure, rim, 0.14 * _backness(angles))
    out = np.outer(np.sin(angles), head.side) - np.outer(np.cos(angles), head.front)
    k = np.linspace(0, 1, 5)[:, None]
    points = rim[None] + out[None] * (k * (0.42 * unit))[..., None]
    points = _lower(figure, points, k**1.6 * 0.11)
    v = ramp(5, 0.8, 1.0)
    return Patch("hat", points, ring_u(angles), v, ON_HEAD, closed=True, two_sided=True)


_OPENING_LEVELS = [0, 0.1, 0.3, 0.6, 0.78, 0.86, 1]
_OPENING = {  # half angle of the face's opening at the levels
    "hood": [0.55, 0.8, 0.95, 1.0, 0.9, 0.35, -0.5],
    "headscarf": [0.2, 0.65, 0.85, 0.95, 0.9, 0.3, -0.5],
}


def _hood(figure: Figure) -> Patch:
    """A hood or scarf around the head, dipping under the skin where the face looks out."""
    kind, angles = figure.identity.hat, column_angles(_COLUMNS)
    levels = np.concatenate([np.linspace(1, 0.9, 5), np.linspace(0.86, -0.02, 15)])
    thick = 0.12 if kind == "hood" else 0.06
    edge = np.interp(levels, _OPENING_LEVELS, _OPENING[kind])[:, None]
    covered = smoothstep(edge - 0.08, edge + 0.12, from_front(angles)[None])
    off = thick * covered - (1 - covered) * 0.06
    points = head_points(figure, np.clip(levels, 0, 1), angles, off)
    return Patch("hat", points, ring_u(angles), ramp(20), ON_HEAD)


def _drape(figure: Figure) -> Patch:
    """What falls from the hood to the shoulders."""
    head, chest = figure.skeleton.head, figure.skeleton.chest
    unit, height = figure.body.head_height, figure.body.height
    q = np.linspace(0, 1, 9)
    high, low = head.at(0, 0.22 * unit, 0), figure.torso_at(0.800 * height).origin
    shoulders = 0.075 if figure.identity.hat == "headscarf" else 0.062
    rings = Rings(
        high + (low - high) * q[:, None],
        np.tile(chest.side, (9, 1)),
        np.tile(chest.front, (9, 1)),
        np.interp(q, [0, 0.5, 1], [0.33 * unit, 0.30 * unit, shoulders * height]),
        np.interp(q, [0, 0.5, 1], [0.30 * unit, 0.27 * unit, 0.052 * height]),
        np.interp(q, [0, 0.5, 1], [0.40 * unit, 0.34 * unit, 0.062 * height]),
    )
    angles = column_angles(24)
    frame = RowFrame(FrameKind.NECK, 0, q)
    points, v = loft(rings, angles), ramp(9, 0.6, 1.0)
    patch = Patch("hat", points, ring_u(angles), v, frame, two_sided=True)
    return folded(patch, np.full(9, 0.008), figure.folds("headscarf"), texture=2)
