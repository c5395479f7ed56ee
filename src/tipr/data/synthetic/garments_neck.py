"""What lies around the neck: collars, a hood laid back, scarves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.curves import TAU, UP, Array, product
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import Cut, on_surface
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
from tipr.data.synthetic.skeleton import Frame
from tipr.data.synthetic.solids import Ribbon, ribbon

_STATURE = 1.7  # metres: the height at which sizes in metres are meant literally


@dataclass(frozen=True)
class Collar:
    """Height in metres at a stature of 1.7 m, flare and ease in metres, half angle of the gap."""

    height: float
    flare: float
    ease: float
    gap: float = 0.0


def collar(figure: Figure, shape: Collar, tile: str) -> Patch:
    """A turned-down collar, lower at the throat."""
    height, q = figure.body.height, np.linspace(0, 1, 5)
    scale = height / _STATURE
    rows = figure.torso(np.full(5, 0.836 * height))
    outline = figure.body.outline(np.full(5, 0.842 * height)).eased(
        shape.ease + np.array([0.0, 0.004, 0.012, 0.016, 0.020]) + shape.flare * q
    )
    rise = np.array([1.0, 1.05, 0.85, 0.5, 0.1]) * shape.height * scale
    centre = rows.origin + rows.up * rise[:, None]
    angles = column_angles(22)
    if shape.gap:
        angles = np.linspace(shape.gap - np.pi, np.pi - shape.gap, 22)
    points = loft(Rings(centre, rows.side, rows.front, *outline), angles)
    dip = np.clip(-np.cos(angles), 0, 1) ** 2 * (0.022 * scale)
    return Patch(
        tile=tile,
        points=(points - UP * dip[None, :, None]).astype(np.float32),
        u=ramp(22) if shape.gap else ring_u(angles),
        v=ramp(5),
        frame=RowFrame(FrameKind.TORSO, 0, 0.836 * height),
        closed=not shape.gap,
        two_sided=True,
    )


def hood_roll(figure: Figure, tile: str) -> Patch:
    """A hood lying on the back of the neck."""
    height = figure.body.height
    round_, along = np.linspace(0, TAU, 9)[:, None], np.linspace(-2.2, 2.2, 18)[None]
    thick = (0.012 + 0.026 * np.cos(along / 2.2 * 1.45)) * height
    out = np.cos(round_) * thick
    x = np.sin(along) * (0.062 * height + out)
    y = 0.004 * height * np.cos(along) + np.sin(round_) * thick * 0.9
    z = -np.cos(along) * (0.055 * height + out) - 0.006 * height
    patch = Patch(
        tile=tile,
        points=_in_frame(figure.torso_at(0.835 * height), x, y, z),
        u=ramp(18),
        v=ramp(9),
        frame=RowFrame(FrameKind.TORSO, 0, 0.835 * height),
        closed=False,
        two_sided=True,
    )
    return folded(patch, np.full(9, 0.006), figure.folds("hood"), texture=2)


def scarf(figure: Figure, over: Cut) -> list[Patch]:
    """A thick loop around the neck, and for some a tail down the chest of the garment `over`."""
    height = figure.body.height
    around = column_angles(22)[None]
    tube = np.linspace(TAU, 0, 9)[:, None]
    thick = 0.026 * height
    radius = 0.044 * height + thick * 0.75 * np.cos(tube)
    x = np.sin(around) * radius * 1.1
    y = np.sin(tube) * thick * 1.15 + 0.010 * height * np.cos(around)
    z = -np.cos(around) * radius + 0.004 * height
    loop = Patch(
        tile="scarf",
        points=_in_frame(figure.torso_at(0.848 * height), x, y, z),
        u=ring_u(around[0]),
        v=ramp(9),
        frame=RowFrame(FrameKind.TORSO, 0, 0.848 * height),
        two_sided=True,
    )
    loop = folded(loop, np.full(9, 0.010), figure.folds("scarf"), texture=1)
    return [loop, _scarf_tail(figure, over)] if figure.identity.scarf_tail else [loop]


def _scarf_tail(figure: Figure, over: Cut) -> Patch:
    height = figure.body.height
    y = np.linspace(0.835, 0.675, 10) * height
    front, _ = on_surface(figure, over, np.full(10, 0.022 * height), y, 0.02 + over.relief)
    strap = Ribbon(front, figure.torso_at(0.848 * height).side, 0.085, figure.skeleton.pelvis)
    return ribbon(strap, "scarf", RowFrame(FrameKind.TORSO, 0, y))


def _in_frame(frame: Frame, x: Array, y: Array, z: Array) -> np.ndarray:
    local = np.stack(np.broadcast_arrays(x, y, z), -1)
    return (product(local, np.array(frame[1:])) + frame.origin).astype(np.float32)
