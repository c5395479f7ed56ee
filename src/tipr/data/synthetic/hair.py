"""Hair: a shell over the head, and for some styles a curtain, a tail or a bun."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.curves import Array, smoothstep
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import draped
from tipr.data.synthetic.garments_upper import clearance, outermost
from tipr.data.synthetic.head import ON_HEAD, from_front, head_points
from tipr.data.synthetic.mesh import (
    FrameKind,
    Patch,
    RowFrame,
    column_angles,
    fold_textures,
    folded,
    ring_u,
)
from tipr.data.synthetic.solids import Finish, cord, ellipsoid

THICKNESS = {
    "buzz": 0.018,
    "short": 0.05,
    "bob": 0.07,
    "long": 0.06,
    "ponytail": 0.045,
    "bun": 0.045,
    "curly": 0.11,
    "afro": 0.20,
}
_UNDER_HAT = 0.035
_SKULL = np.concatenate([np.linspace(1, 0.9, 5), np.linspace(0.86, 0.12, 15)])
_COLUMNS = 36


def hair(figure: Figure) -> list[Patch]:
    """The hair of the person; a hood or headscarf hides all but the shell."""
    style, hat = figure.identity.hair, figure.identity.hat
    if style == "bald":
        return []
    shell = _shell(figure)
    if hat in ("hood", "headscarf"):
        return [shell]
    if style == "bob":
        return [shell, _bob(figure)]
    if style == "long":
        return [shell, _curtain(figure)]
    if style == "ponytail":
        return [shell, _ponytail(figure)]
    return [shell, _bun(figure)] if style == "bun" else [shell]


def _hairline(figure: Figure, angles: Array) -> Array:
    """The level on the head below which there is skin, per angle."""
    bang, round_ = figure.identity.bang, from_front(angles)
    line = np.interp(
        round_,
        [0, 0.5, 0.85, 1.15, 1.45, 1.75, 2.2, np.pi],
        [0.80 - bang, 0.785 - bang * 0.9, 0.72 - bang * 0.5, 0.50, 0.42, 0.40, 0.24, 0.17],
    )
    if figure.identity.hair in ("bob", "long"):
        line = np.minimum(line, np.where(round_ > 1.0, 0.05, line))
    return line


def _shell(figure: Figure) -> Patch:
    """The hair on the skull; below the hairline it dips under the skin."""
    identity, angles, levels = figure.identity, column_angles(_COLUMNS), _SKULL[:, None]
    thick = THICKNESS[identity.hair]
    if identity.hat != "none":
        thick = min(thick, _UNDER_HAT)
    line = _hairline(figure, angles)[None]
    grown = smoothstep(line - 0.05, line + 0.05, levels)
    off = thick * grown - (1 - grown) * 0.035
    if identity.hair == "short" and identity.sex == "male":
        quiff = smoothstep(0.75, 1, levels) * np.clip(-np.cos(angles), 0, 1)
        off = off * (1 + 0.8 * quiff) * np.where(levels < 0.55, 0.6, 1)
    points = head_points(figure, _SKULL, angles, off + grown * _texture(identity.hair))
    v = (1 - _SKULL).astype(np.float32)
    return Patch("hair", points, ring_u(angles), v, ON_HEAD)


def _texture(style: str) -> Array:
    """Curls or strands, in head heights over the shell's grid."""
    curly = style in ("curly", "afro")
    depth = {"curly": 0.022, "afro": 0.044}.get(style, 0.010)
    row = np.arange(len(_SKULL)) * (7 if curly else 3) % 64
    column = np.arange(_COLUMNS) * 64 // _COLUMNS
    return depth * fold_textures()[2 if curly else 1][row[:, None], column[None]]


def _fall(figure: Figure, drop: Array, spread: Array, size: tuple[Array, Array]) -> Array:
    """Points of hair that falls around the head and, further down, around the chest.

    `drop` (rows,) is the way down in metres, `spread` the half angle from the back, `size` the
    half width and the depth.
    """
    head, chest = figure.skeleton.head, figure.skeleton.chest
    q = np.linspace(0, 1, len(drop))
    w = smoothstep(0.1, 0.5, q)[:, None]
    side, up, front = (a * (1 - w) + b * w for a, b in zip(head[1:], chest[1:], strict=True))
    crown = head.at(0, 0.62 * figure.body.head_height, -0.03 * figure.body.head_height)
    centre = crown - np.cumsum(up * np.gradient(drop)[:, None], 0)
    angles = np.linspace(-1, 1, 24)[None] * spread[:, None]
    x, z = size[0][:, None] * np.sin(angles), -size[1][:, None] * np.cos(angles)
    z = np.where(z > 0, z * 0.75, z)
    return centre[:, None] + x[..., None] * side[:, None] + z[..., None] * front[:, None]


def _curtain(figure: Figure) -> Patch:
    """Long hair, that lies on the shoulders and on whatever is worn there."""
    identity, unit = figure.identity, figure.body.head_height
    q = np.linspace(0, 1, 14)
    drop = q * (0.62 * 0.62 * unit + identity.hair_len * figure.body.height / 1.7)
    at = drop / unit
    width = np.interp(at, [0, 0.3, 0.6, 0.9, 1.4, 2.5], [0.375, 0.40, 0.39, 0.42, 0.45, 0.36])
    back = np.interp(
        at, [0, 0.3, 0.5, 0.8, 1.1, 1.5, 2.5], [0.49, 0.50, 0.46, 0.44, 0.52, 0.56, 0.50]
    )
    stands_off = 0.022 + max(clearance(identity) - 0.016, 0)
    depth = back * unit + stands_off * smoothstep(0.6 * unit, 1.2 * unit, drop)
    spread = np.interp(q, [0, 0.25, 0.6, 1], [1.72, *(identity.hair_front * _NARROWING)])
    points = _fall(figure, drop, spread, (width * unit, depth))
    cut = outermost(identity)
    shape = points.shape
    points = draped(figure, cut, points.reshape(-1, 3), 0.012 + cut.relief).reshape(shape)
    return _hanging(figure, points, q, smoothstep(0.15, 0.6, q))


_NARROWING = np.array([1.0, 0.92, 0.8])


def _bob(figure: Figure) -> Patch:
    """Hair down to the jaw, which turns with the head."""
    identity, unit = figure.identity, figure.body.head_height
    q = np.linspace(0, 1, 14)
    stations = [0, 0.5, 0.85, 1]
    width = np.interp(q, stations, [0.375, 0.42, 0.42, 0.36]) * unit
    depth = np.interp(q, stations, [0.49, 0.52, 0.50, 0.42]) * unit
    spread = np.interp(q, [0, 0.25, 0.6, 1], [1.72, *(identity.hair_front * _NARROWING)])
    points = _fall(figure, q * (0.62 * 0.55 + 0.22) * unit, spread, (width, depth))
    return _hanging(figure, points, q, np.zeros(14))


def _hanging(figure: Figure, points: Array, q: Array, follows_chest: Array) -> Patch:
    patch = Patch(
        tile="hair",
        points=points.astype(np.float32),
        u=np.linspace(0, 1, points.shape[1], dtype=np.float32),
        v=(0.4 + 0.6 * q).astype(np.float32),
        frame=RowFrame(FrameKind.NECK, 0, follows_chest),
        closed=False,
        two_sided=True,
    )
    return folded(patch, np.full(len(q), 0.010), figure.folds("hair"), texture=1)


def _ponytail(figure: Figure) -> Patch:
    identity, head, unit = figure.identity, figure.skeleton.head, figure.body.head_height
    root = head.at(0, identity.pony_y * unit, -0.47 * unit)
    q = np.linspace(0, 1, 9)
    fall = 0.03 * np.sin(3.1 * q) - q**1.5 * (identity.pony_len * figure.body.height / 1.7)
    path = root - np.outer(np.sin(1.9 * q) * 0.055, head.front)
    path[:, 1] += fall
    radius = np.interp(q, [0, 0.15, 0.5, 1], [0.018, 0.032, 0.034, 0.010])
    finish = Finish(tile="hair", frame=ON_HEAD, columns=10)
    return cord(path, radius, figure.skeleton.chest.side, finish)


def _bun(figure: Figure) -> Patch:
    head, unit = figure.skeleton.head, figure.body.head_height
    place = head.at(0, figure.identity.bun_y * unit, -0.46 * unit)
    finish = Finish(tile="hair", frame=ON_HEAD, columns=14)
    radii = (0.19 * unit, 0.18 * unit, 0.17 * unit)
    return ellipsoid(head._replace(origin=place), radii, 9, finish)
