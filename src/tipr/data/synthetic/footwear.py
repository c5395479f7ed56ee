"""Shoes, heels and boot shafts."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.body import CALF_RADIUS, HEEL_HEIGHT, LEG_RADIUS
from tipr.data.synthetic.curves import UP
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.frames import limb_frames
from tipr.data.synthetic.mesh import FrameKind, Patch, Rings, RowFrame, column_angles, loft, ring_u
from tipr.data.synthetic.skeleton import SIDES, TOWARDS_LEFT, Frame
from tipr.data.synthetic.solids import Finish, cylinder, tube

# From the heel (0) to the toe (1): half width and height, in body heights.
_ALONG_WIDTH = [0, 0.06, 0.15, 0.35, 0.55, 0.75, 0.9, 0.97, 1]
_WIDTH = [0.008, 0.016, 0.0195, 0.020, 0.0235, 0.026, 0.022, 0.014, 0.003]
_ALONG_HEIGHT = [0, 0.06, 0.15, 0.28, 0.42, 0.6, 0.8, 0.93, 0.98, 1]
_HEIGHT = [0.028, 0.044, 0.050, 0.052, 0.046, 0.034, 0.025, 0.020, 0.016, 0.008]
_HEEL, _TOE = -0.036, 0.113


def shoes(figure: Figure) -> list[Patch]:
    """Both shoes; boots have shafts where no wide trousers hide them."""
    identity, patches = figure.identity, []
    shows_shaft = identity.leg == "slim" or identity.lower in (
        "skirt", "dress", "shorts", "leggings",
    )  # fmt: skip
    for side in SIDES:
        foot = figure.skeleton.foot(side)
        patches.append(_shoe(figure, foot, side))
        if identity.shoes == "heels":
            patches.append(_heel(figure, foot, side))
        if identity.shoes == "boots" and shows_shaft:
            patches.append(_shaft(figure, foot, side))
    return patches


def _shoe(figure: Figure, foot: Frame, side: int) -> Patch:
    kind, height = figure.identity.shoes, figure.body.height
    q = np.linspace(1, 0, 13)  # toe first, so that normals point outward
    width = np.interp(q, _ALONG_WIDTH, _WIDTH) * height
    if kind in ("sneakers", "boots"):
        width = width * 1.08
    if kind in ("dress shoes", "heels"):
        width = width * np.interp(q, [0, 0.6, 1], [1, 0.92, 0.8])
    tall = np.interp(q, _ALONG_HEIGHT, _HEIGHT) * height * (0.8 if kind == "sandals" else 1)
    ahead = (_HEEL + (_TOE - _HEEL) * q) * height
    centre = foot.origin + np.outer(ahead, foot.front) + np.outer(tall / 2, foot.up)
    across, up = np.tile(foot.side, (13, 1)), np.tile(foot.up, (13, 1))
    angles = column_angles(16)
    points = loft(Rings(centre, across, up, width, tall / 2, tall / 2), angles, exponent=3.0)
    frame = RowFrame(FrameKind.FOOT, side)
    return Patch("shoe", points, ring_u(angles), q.astype(np.float32), frame)


def _heel(figure: Figure, foot: Frame, side: int) -> Patch:
    top = foot.at(0, 0, -0.022 * figure.body.height)
    tip = top - UP * HEEL_HEIGHT + foot.front * 0.01
    finish = Finish(tile="shoe", frame=RowFrame(FrameKind.FOOT, side), columns=6)
    return cylinder(top + foot.up * 0.01, tip, (0.012, 0.006), 3, finish)


def _shaft(figure: Figure, foot: Frame, side: int) -> Patch:
    """A boot's shaft, wide enough for the calf and a trouser leg."""
    body = figure.body
    t = np.linspace(figure.identity.boot_top, 1.0, 8)
    joints = figure.skeleton.leg(side).copy()
    joints[2] -= foot.up * (0.01 * body.height)
    rows = limb_frames(t, joints, TOWARDS_LEFT)
    least = 0.0275 * body.height
    front = np.maximum(LEG_RADIUS(t) * body.limb_scale + 0.013, least)
    back = np.maximum(CALF_RADIUS(t) * body.limb_scale + 0.013, least)
    rings = Rings(rows[:, 0], rows[:, 1], rows[:, 3], front, front, back)
    frame = RowFrame(FrameKind.LEG, side, t)
    return tube(rings, Finish(tile="shoe_shaft", frame=frame, columns=14))
