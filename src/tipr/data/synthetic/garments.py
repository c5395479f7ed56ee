"""Cloth around the torso: tops, coats, dresses and skirts are one tube with different cuts.

The tube keeps the body's outline plus ease, may hang straight from the chest, flare, open at the
front, and below the hips wraps the box around both legs, so that a stride carries a skirt along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.body import HIP_HEIGHT, Outline
from tipr.data.synthetic.curves import TAU, Array, Array32, bell, smoothstep
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.frames import SKIRT_FREE, SKIRT_TOP, SQUARENESS
from tipr.data.synthetic.mesh import (
    FrameKind,
    Patch,
    Rings,
    RowFrame,
    column_angles,
    folded,
    loft,
    pushed,
    ramp,
    ring_u,
)
from tipr.data.synthetic.skeleton import Frame

CHEST = 0.745  # height from which straight cloth hangs, in body heights
_QUILT_DEPTH = 0.018
_FOLD_HEIGHTS = [0.3, 0.44, 0.52, 0.58, 0.63, 0.70, 0.78, 0.82, 0.85]
_FOLD_SHARE = [1.3, 1.0, 0.7, 1.0, 1.1, 0.7, 0.45, 0.15, 0.0]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a garment is cut. Heights are in body heights, everything else in metres.

    `straight` is 0 for a waisted and 1 for a box shape, `gap` the half angles (top, bottom) of a
    front opening, `waves` the number of pleats below the hips, `quilt` the height of a channel.
    Flare and pleats begin at `free_from`, where no other garment holds the cloth down any more.
    """

    tile: str
    top: float
    bottom: float
    ease: float
    neck_ease: float = 0.25
    flare: float = 0.0
    free_from: float = 0.60
    straight: float = 0.0
    waist: float = 0.0
    gap: tuple[float, float] | None = None
    waves: int = 0
    quilt: float = 0.0
    fold: float = 0.0
    folds: str = ""
    rows: int = 24
    columns: int = 34

    @property
    def relief(self) -> float:
        """How far folds and quilting may stand out from the outline."""
        return 0.8 * self.fold + (_QUILT_DEPTH if self.quilt else 0.0)


def garment(figure: Figure, cut: Cut) -> Patch:
    """The garment's torso part."""
    height = figure.body.height
    share = np.linspace(0, 1, cut.rows) ** 1.15  # denser at the shoulders
    y = (cut.top + (cut.bottom - cut.top) * share) * height
    rows, outline = hang(figure, cut, y)
    angles, u = _columns(cut)
    patch = Patch(
        tile=cut.tile,
        points=loft(Rings(rows.origin, rows.side, rows.front, *outline), angles, SQUARENESS),
        u=u,
        v=share.astype(np.float32),
        frame=RowFrame(FrameKind.SKIRT, 0, y),
        closed=cut.gap is None,
        two_sided=cut.gap is not None,
    )
    if cut.fold > 0:
        amplitude = cut.fold * np.interp(y / height, _FOLD_HEIGHTS, _FOLD_SHARE)
        patch = folded(patch, amplitude, figure.folds(cut.folds), texture=0, slant=0.25)
    if cut.waves:
        top, bottom = min(SKIRT_TOP, cut.free_from) * height, cut.bottom * height
        hanging = np.clip((top - y) / (top - bottom + 1e-6), 0, 1)
        wave = np.cos(u * TAU * cut.waves + 0.6 * np.sin(u * TAU * 3))
        depth = (0.012 + 0.3 * cut.flare) * 0.6
        patch = pushed(patch, wave[None] * (hanging * depth)[:, None])
    if cut.quilt:
        channel = np.abs(np.sin((cut.top * height - y) * np.pi / cut.quilt)) ** 0.6
        patch = pushed(patch, (channel * _QUILT_DEPTH)[:, None])
    return patch


def _columns(cut: Cut) -> tuple[Array, Array32]:
    """Angles, shape (columns,) or (rows, columns), and u of the columns."""
    if cut.gap is None:
        angles = column_angles(cut.columns)
        return angles, ring_u(angles)
    half = np.pi - np.linspace(*cut.gap, cut.rows)
    return np.linspace(-1, 1, cut.columns)[None] * half[:, None], ramp(cut.columns)


def hang(figure: Figure, cut: Cut, y: Array) -> tuple[Frame, Outline]:
    """Frames and outline of the garment at heights, without folds."""
    body, height = figure.body, figure.body.height
    outline = _straightened(figure, cut, y)
    neckward = np.interp(y / height, [0.60, 0.80, 0.83, 0.86], [1, 0.8, 0.45, cut.neck_ease])
    outline = outline.eased(cut.ease * neckward)
    rows = figure.torso(y)
    low = y < SKIRT_TOP * body.height
    if low.any():
        rows, outline = _over_legs(figure, cut, y, (rows, outline))
    if cut.bottom < cut.free_from:
        room = cut.free_from - cut.bottom
        down = (cut.free_from * height - y) / (room * height + 1e-6)
        reach = cut.flare * min(room / (0.60 - cut.bottom), 1.0)
        outline = outline.eased(reach * np.clip(down, 0, 1) ** 1.2)
    return rows, outline.eased(-cut.waist * bell(y / height, 0.62, 0.03))


def _straightened(figure: Figure, cut: Cut, y: Array) -> Outline:
    """The body's outline, its waist filled up as far as the cut is straight."""
    body, height = figure.body, figure.body.height
    bare = body.outline(np.maximum(y, 0.47 * height))
    if cut.straight == 0:
        return bare
    chest = body.outline(CHEST * height)
    share = cut.straight * (y < CHEST * height)
    filled = (
        now + (np.maximum(now, widest * part) - now) * share
        for now, widest, part in zip(bare, chest, (0.97, 0.96, 1.0), strict=True)
    )
    return Outline(*filled)


def _over_legs(
    figure: Figure, cut: Cut, y: Array, shape: tuple[Frame, Outline]
) -> tuple[Frame, Outline]:
    """Below the hips the rings pass over to the box around both legs.

    The full depth of the torso stays down to the crotch, or trousers would show through.
    """
    rows, outline = shape
    height = figure.body.height
    low = y < SKIRT_TOP * height
    x, z, legs = figure.around_legs(y, cut.ease * 0.9 + 0.006)
    w = smoothstep(SKIRT_TOP * height, SKIRT_FREE * height, y)
    origin = rows.origin.copy()
    origin[:, 0] += np.where(low, (x - origin[:, 0]) * w, 0)
    origin[:, 2] += np.where(low, (z - origin[:, 2]) * w, 0)
    keep = np.interp(y / height, [0.38, 0.465], [0.65, 1.0])
    width = np.where(low, np.maximum(outline.width * keep, legs.width), outline.width)
    front, back = (
        np.where(low, now * (1 - w) + np.maximum(leg, now * keep) * w, now)
        for now, leg in ((outline.front, legs.front), (outline.back, legs.back))
    )
    return rows._replace(origin=origin), Outline(width, front, back)


def on_surface(
    figure: Figure, cut: Cut, x: Array, y: Array, margin: Array | float
) -> tuple[Array, Array]:
    """World points in front of and behind the garment at lateral places x and heights y."""
    rows, outline = hang(figure, cut, y)
    width, front, back = outline.eased(margin)
    room = np.clip(1 - np.abs(x / width) ** SQUARENESS, 0, 1) ** (1 / SQUARENESS)
    spine = rows.origin + rows.side * x[:, None]
    ahead, behind = (front * room)[:, None], (back * room)[:, None]
    return spine + rows.front * ahead, spine - rows.front * behind


def draped(figure: Figure, cut: Cut, points: Array, margin: float) -> Array:
    """World points (n, 3) with those inside the back of the garment moved back to lie on it."""
    body, skeleton = figure.body, figure.skeleton
    rise = (points[:, 1] - skeleton.pelvis[1]) / np.cos(0.62 * skeleton.bend[3])
    y = np.clip(rise + HIP_HEIGHT * body.height, cut.bottom * body.height, cut.top * body.height)
    rows, outline = hang(figure, cut, y)
    local = points - rows.origin
    x, z = (local * rows.side).sum(1), (local * rows.front).sum(1)
    width, _, back = outline.eased(margin)
    room = np.clip(1 - np.abs(x / width) ** SQUARENESS, 0, 1) ** (1 / SQUARENESS)
    surface = np.where(z < 0, np.minimum(z, -back * room), z)
    return points + rows.front * (surface - z)[:, None]
