"""Arms, legs and hands, and the sleeves and trouser legs around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.body import ARM_RADIUS, CALF_RADIUS, LEG_RADIUS
from tipr.data.synthetic.curves import Array, bell, cross, product, smoothstep, unit, unit_rows
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.mesh import FrameKind, Patch, Rings, RowFrame, folded
from tipr.data.synthetic.skeleton import SIDES, Frame
from tipr.data.synthetic.solids import Finish, cylinder, tube


@dataclass(frozen=True, kw_only=True)
class LimbCut:
    """A tube around both limbs, from station 0 (hip, shoulder) to 1 (ankle, wrist).

    `ease` is the room between skin and cloth, `hem` the least radius at the end, `fold` the height
    of the creases, all in metres; `folds` names the stream that places them.
    """

    tile: str
    start: float = 0.0
    end: float = 1.0
    ease: float = 0.0
    hem: float | None = None
    fold: float = 0.0
    folds: str = ""
    rows: int = 18

    def stations(self) -> Array:
        return np.linspace(self.start, self.end, self.rows)

    def v(self, stations: Array) -> Array:
        return (stations - self.start) / (self.end - self.start)


def legs(figure: Figure, cut: LimbCut) -> list[Patch]:
    """Both legs, or what covers them; trousers crease at the groin, the knee and the hem."""
    t = cut.stations()
    scale = figure.body.limb_scale
    skin, calf = LEG_RADIUS(t) * scale, CALF_RADIUS(t) * scale
    ease = np.interp(t, [0, 0.2, 1], [cut.ease * 0.5, cut.ease, cut.ease])
    front, back = skin + ease, calf + ease
    if cut.hem is not None:
        knee = skin[np.searchsorted(t, 0.5) if cut.end > 0.5 else -1] + cut.ease
        least = np.interp(t, [0.0, 0.45, 1], [0, knee, cut.hem])
        front, back = np.maximum(front, least), np.maximum(back, least)
    crease = 0.35 + bell(t, 0.5, 0.09) + 0.9 * smoothstep(0.82, 1, t) + 0.5 * bell(t, 0, 0.1)
    patches = []
    for side in SIDES:
        rows = figure.leg(side, t)
        finish = Finish(
            tile=cut.tile, frame=RowFrame(FrameKind.LEG, side, t), columns=18, v=cut.v(t)
        )
        patch = tube(Rings(rows.origin, rows.side, rows.front, front, front, back), finish)
        if cut.fold > 0:
            rng = figure.folds(cut.folds, side)
            patch = folded(patch, cut.fold * crease, rng, texture=1, slant=0.35 * side)
        patches.append(patch)
    return patches


def arms(figure: Figure, cut: LimbCut) -> list[Patch]:
    """Both arms, or the sleeves over them; sleeves crease at the elbow and the cuff."""
    t = cut.stations()
    ease = np.interp(t, [0, 0.15, 1], [cut.ease * 0.6, cut.ease, cut.ease])
    width = ARM_RADIUS(t) * figure.body.limb_scale + ease
    if cut.hem is not None:
        width = np.maximum(width, np.interp(t, [0, 0.3, 1], [0, width[0] * 0.8, cut.hem]))
    patches = []
    for side in SIDES:
        rows = figure.arm(side, t)
        rings = Rings(rows.origin, rows.side, rows.front, width, width * 1.05, width * 1.05)
        frame = RowFrame(FrameKind.ARM, side, t)
        capped = cut.start < 0.05
        finish = Finish(tile=cut.tile, frame=frame, columns=14, v=cut.v(t), cap_start=capped)
        patch = tube(rings, finish)
        if cut.fold > 0:
            at = np.asarray(patch.frame.parameter)
            crease = 0.35 + bell(at, 0.5, 0.12) + 0.7 * smoothstep(0.8, 1, at)
            rng = figure.folds(cut.folds, side)
            patch = folded(patch, cut.fold * crease, rng, texture=1, slant=0.5 * side)
        patches.append(patch)
    return patches


_ALONG_HAND = [0, 0.12, 0.35, 0.55, 0.8, 1]
_HAND_THICKNESS = [0.013, 0.015, 0.0145, 0.0135, 0.011, 0.004]
_HAND_BREADTH = [0.016, 0.020, 0.0245, 0.022, 0.017, 0.006]


def hands(figure: Figure, tile: str) -> list[Patch]:
    """Hands as mittens with a thumb, the fingers falling a little towards the ground."""
    patches, scale = [], figure.body.limb_scale
    chest, q = figure.skeleton.chest, np.linspace(0, 1, 9)
    thickness = np.interp(q, _ALONG_HAND, _HAND_THICKNESS) * scale
    breadth = np.interp(q, _ALONG_HAND, _HAND_BREADTH) * scale
    for side in SIDES:
        _, elbow, wrist = figure.skeleton.arm(side)
        down = unit(wrist - elbow)
        fallen = unit(down + np.array([0, -0.25, 0.05]))
        bend = (0.5 * q * q)[:, None]
        path = wrist + (down * (q[:, None] - bend) + fallen * bend) * (0.098 * figure.body.height)
        along = unit_rows(np.gradient(path, axis=0))
        across = unit_rows(chest.side - along * product(along, chest.side)[:, None])
        rings = Rings(path, across, np.cross(across, -along), thickness, breadth, breadth)
        frame = RowFrame(FrameKind.HAND, side)
        patches.append(tube(rings, Finish(tile=tile, frame=frame, columns=10, cap_end=True)))
        patches.append(_thumb(figure, side, Frame(wrist, chest.side, down, chest.front), tile))
    return patches


def _thumb(figure: Figure, side: int, hand: Frame, tile: str) -> Patch:
    """The thumb; `hand.up` points down the fingers."""
    height = figure.body.height
    root = hand.at(0, 0.025 * height, 0.018 * height)
    tip = root + hand.up * (0.040 * height) + hand.front * (0.012 * height)
    tip = tip - hand.side * (side * 0.006 * height)
    finish = Finish(tile=tile, frame=RowFrame(FrameKind.HAND, side), columns=6)
    return cylinder(root, tip, (0.0075 * height, 0.006 * height), 4, finish)


def neck(figure: Figure) -> Patch:
    """The neck, from between the shoulders up into the head."""
    height, head, chest = figure.body.height, figure.skeleton.head, figure.skeleton.chest
    unit_head = figure.body.head_height
    low = figure.torso_at(0.825 * height).origin
    high = head.at(0, 0.25 * unit_head, -0.07 * unit_head)
    q = np.linspace(0, 1, 6)
    path = high + (low - high) * q[:, None]
    radius = np.interp(1 - q, [0, 0.35, 1], [0.046, 0.032, 0.031]) * figure.body.limb_scale
    down = np.tile(unit(low - high), (6, 1))
    side = unit_rows(chest.side - down * product(down, chest.side)[:, None])
    rings = Rings(path, side, np.tile(cross(side[0], -down[0]), (6, 1)), radius, radius, radius)
    frame = RowFrame(FrameKind.NECK, 0, q)
    return tube(rings, Finish(tile="neck", frame=frame, columns=14))
