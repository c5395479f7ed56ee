"""Things in the hand: a phone, a cup, a bottle, a book or an umbrella."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.curves import TAU, UP, Array, cross, perpendicular, unit
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.mesh import (
    FrameKind,
    Patch,
    Rings,
    RowFrame,
    column_angles,
    loft,
    ramp,
    ring_u,
)
from tipr.data.synthetic.skeleton import Frame
from tipr.data.synthetic.solids import BoxShape, Finish, box, cylinder

_PHONE = BoxShape(size=(0.075, 0.15, 0.012), exponent=6, rows=8, columns=14)
_BOOK = BoxShape(size=(0.24, 0.30, 0.03), exponent=8, rows=8, columns=16, rounding=0.03)


def carried(figure: Figure) -> list[Patch]:
    """What the person holds, if anything."""
    item = figure.identity.carry
    if item == "none":
        return []
    shapes = {
        "phone": _phone, "cup": _cup, "bottle": _bottle, "book": _book, "umbrella": _umbrella,
    }  # fmt: skip
    return shapes[item](figure, figure.identity.carry_side)


def _grip(figure: Figure, side: int) -> tuple[Array, Array]:
    """The middle of the palm and the direction from the elbow to the hand."""
    _, elbow, wrist = figure.skeleton.arm(side)
    down = unit(wrist - elbow)
    return wrist + down * (0.05 * figure.body.height), down


def _rod(side: int, columns: int, tile: str = "obj") -> Finish:
    return Finish(tile=tile, frame=RowFrame(FrameKind.UPRIGHT, side), columns=columns)


def _phone(figure: Figure, side: int) -> list[Patch]:
    grip, down = _grip(figure, side)
    chest, height = figure.skeleton.chest, figure.body.height
    centre = grip + down * (0.03 * height) - chest.side * (side * 0.012 * height)
    axes = Frame(centre, chest.front, down, -chest.side)
    return [box(axes, _PHONE, "obj", RowFrame(FrameKind.HAND, side))]


def _cup(figure: Figure, side: int) -> list[Patch]:
    grip, _ = _grip(figure, side)
    height = figure.body.height
    base = grip + figure.skeleton.chest.front * (0.015 * height)
    top, bottom = base + UP * (0.055 * height), base - UP * (0.02 * height)
    return [cylinder(top, bottom, (0.042, 0.032), 5, _rod(side, 12))]


def _bottle(figure: Figure, side: int) -> list[Patch]:
    grip, _ = _grip(figure, side)
    height = figure.body.height
    base = grip + figure.skeleton.chest.front * (0.01 * height)
    lid, shoulder, bottom = (base + UP * (rise * height) for rise in (0.095, 0.07, -0.05))
    return [
        cylinder(shoulder, bottom, (0.034, 0.034), 6, _rod(side, 12)),
        cylinder(lid, shoulder, (0.014, 0.014), 3, _rod(side, 8)),
    ]


def _book(figure: Figure, side: int) -> list[Patch]:
    grip, down = _grip(figure, side)
    across = figure.skeleton.chest.side
    up = unit(cross(across, down))
    axes = Frame(grip + up * 0.02, down, up, cross(down, up))
    return [box(axes, _BOOK, "obj", RowFrame(FrameKind.HAND, side))]


def _umbrella(figure: Figure, side: int) -> list[Patch]:
    """A pole and a dome of eight ribs, a little towards the head."""
    grip, _ = _grip(figure, side)
    chest, height = figure.skeleton.chest, figure.body.height
    top = grip + UP * (0.36 * height) + chest.front * (0.05 * height)
    top = top - chest.side * (side * 0.06 * height)
    axis = unit(top - grip)
    start = grip - axis * (0.06 * height)
    pole = cylinder(start, top, (0.009, 0.009), 4, _rod(side, 6, "metal"))
    return [pole, _dome(top, axis, chest.front, (0.34 * height, side))]


def _dome(top: Array, axis: Array, front: Array, size: tuple[float, int]) -> Patch:
    radius, side = size
    across = unit(cross(axis, perpendicular(front, axis)))
    polar, angles = np.linspace(0.02, 1.05, 9), column_angles(32)
    reach = radius * np.sin(polar)
    rings = Rings(
        top + np.outer(radius * 0.62 * (np.cos(polar) - 1), axis),
        np.tile(across, (9, 1)),
        np.tile(cross(across, axis), (9, 1)),
        reach,
        reach,
        reach,
    )
    u = ring_u(angles)
    scallop = np.abs(np.sin(u * TAU * 4)) * 0.05 * np.linspace(0, 1, 9)[:, None] ** 2
    points = (loft(rings, angles) + axis * scallop[..., None]).astype(np.float32)
    frame = RowFrame(FrameKind.UPRIGHT, side)
    return Patch("obj", points, u, ramp(9), frame, two_sided=True)
