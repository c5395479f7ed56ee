"""Bags: on the back, over a shoulder, in the hand, or pulled along, each with its straps."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.curves import UP, Array
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import on_surface
from tipr.data.synthetic.garments_upper import clearance, outermost
from tipr.data.synthetic.mesh import FrameKind, Patch, RowFrame
from tipr.data.synthetic.skeleton import SIDES, Frame
from tipr.data.synthetic.solids import (
    BoxShape,
    Finish,
    Ribbon,
    axes_along,
    box,
    cord,
    cylinder,
    ribbon,
)

# Width, height and depth in body heights.
HANGING = {
    "shoulder bag": (0.155, 0.13, 0.05),
    "crossbody bag": (0.125, 0.10, 0.04),
    "tote bag": (0.20, 0.20, 0.055),
}
HANGING_AT = {"shoulder bag": 0.50, "crossbody bag": 0.53, "tote bag": 0.49}
HELD = {
    "handbag": (0.165, 0.12, 0.06),
    "shopping bag": (0.165, 0.19, 0.07),
    "briefcase": (0.235, 0.155, 0.05),
}
HANDLE_DROP = {"handbag": 0.055, "shopping bag": 0.06, "briefcase": 0.02}
_OFF_CLOTH = 0.006
_STRAP_LIFT = 0.010  # of a strap above the garment it lies on


def bags(figure: Figure) -> list[Patch]:
    """The person's bag, if any."""
    kind = figure.identity.bag
    if kind == "none":
        return []
    if kind == "backpack":
        return [*_backpack(figure), *(_shoulder_strap(figure, side) for side in SIDES)]
    if kind in HANGING:
        return _hanging(figure)
    return _suitcase(figure) if kind == "suitcase" else _held(figure)


def _scaled(figure: Figure, size: tuple[float, float, float]) -> tuple[float, float, float]:
    height = figure.body.height
    return size[0] * height, size[1] * height, size[2] * height


def _backpack(figure: Figure) -> list[Patch]:
    """The sack and its outer pocket."""
    height = figure.body.height
    back = figure.torso_at(0.695 * height)
    stands_off = clearance(figure.identity) + _OFF_CLOTH
    size = _scaled(figure, (0.165, 0.245, 0.085))
    behind = float(figure.body.back(0.695 * height)) + stands_off + size[2] * 0.48
    sack = back._replace(origin=back.at(0, 0, -behind))
    pocket = sack._replace(origin=sack.at(0, -0.17 * size[1], -0.45 * size[2]))
    small = (size[0] * 0.78, size[1] * 0.45, size[2] * 0.35)
    frame = RowFrame(FrameKind.CHEST)
    return [
        box(sack, BoxShape(size=size, exponent=3.5, rows=12, rounding=0.3), "bag", frame),
        box(pocket, BoxShape(size=small, exponent=3.5, rows=9, rounding=0.25), "bag2", frame),
    ]


def _shoulder_strap(figure: Figure, side: int) -> Patch:
    """A backpack's strap from the shoulder blade over the shoulder to the armpit."""
    height, cut = figure.body.height, outermost(figure.identity)
    q = np.linspace(0, 1, 16)
    x = np.interp(q, [0, 0.25, 0.6, 1], [0.050, 0.058, 0.074, 0.094]) * height * side
    x = x * (figure.body.half_shoulders / (0.101 * height)) ** 0.7
    y = np.interp(q, [0, 0.08, 0.5, 1], [0.822, 0.818, 0.74, 0.665]) * height
    y_back = np.array([0.80, 0.81, 0.818, 0.823]) * height
    x_back = np.full(4, side * 0.046 * height)
    lift = _STRAP_LIFT + cut.relief
    front, _ = on_surface(figure, cut, x, y, lift)
    _, back = on_surface(figure, cut, x_back, y_back, lift)
    path = np.concatenate([back, front])
    strap = Ribbon(path, figure.skeleton.chest.side, 0.045, figure.skeleton.pelvis)
    frame = RowFrame(FrameKind.TORSO, 0, np.concatenate([y_back, y]))
    return ribbon(strap, "strap", frame)


def _hanging(figure: Figure) -> list[Patch]:
    """A bag at the hip on a strap over the same or, crossbody, the other shoulder."""
    identity, height, side = figure.identity, figure.body.height, figure.identity.bag_side
    size = _scaled(figure, HANGING[identity.bag])
    hip = figure.torso_at(0.53 * height)
    stands_off = clearance(identity) + _OFF_CLOTH + size[2] * 0.55 + 0.012
    out = float(figure.body.width(0.52 * height)) + stands_off
    rise = (HANGING_AT[identity.bag] - 0.515 + 0.02) * height
    centre = figure.skeleton.pelvis + figure.skeleton.chest.side * (side * out)
    centre = centre + UP * rise - hip.front * (0.03 * height)
    axes = Frame(centre, -hip.front * side, hip.up, hip.side * side)
    shape = BoxShape(size=size, exponent=4, rows=11, rounding=0.18)
    bag = box(axes, shape, "bag", RowFrame(FrameKind.TORSO, 0, 0.56 * height))
    return [bag, _long_strap(figure, axes, size)]


def _long_strap(figure: Figure, bag: Frame, size: tuple[float, float, float]) -> Patch:
    """The strap: from the bag up the back, over the shoulder and down the front to the bag."""
    identity, height, chest = figure.identity, figure.body.height, figure.skeleton.chest
    side, crossed = identity.bag_side, identity.bag == "crossbody bag"
    q = np.linspace(0, 1, 16)
    if crossed:
        x = np.interp(q, [0, 1], [-0.055, 0.088]) * height * side
        y = np.interp(q, [0, 1], [0.822, 0.575]) * height
    else:
        x = np.interp(q, [0, 0.3, 1], [0.066, 0.080, 0.098]) * height * side
        y = np.interp(q, [0, 1], [0.815, 0.60]) * height
    cut = outermost(identity)
    front, back = on_surface(figure, cut, x, y, _STRAP_LIFT + cut.relief)
    rim = bag.at(0, size[1] * 0.45, 0)
    rear, fore = (rim - bag.side * (end * side * size[0] * 0.4) for end in (-1, 1))
    path = np.concatenate([rear[None], back[::-1], front, fore[None]])
    low = np.array([0.56 * height])
    heights = np.concatenate([low, y[::-1], y, low])
    spread = chest.side * 0.8 - chest.up * (0.6 * side if crossed else 0.0)
    width = 0.035 if identity.bag == "tote bag" else 0.028
    strap = Ribbon(path, spread, width, figure.skeleton.pelvis)
    return ribbon(strap, "strap", RowFrame(FrameKind.TORSO, 0, heights))


def _held(figure: Figure) -> list[Patch]:
    """A bag hanging from the hand by two handles."""
    identity, height, chest = figure.identity, figure.body.height, figure.skeleton.chest
    side = identity.bag_side
    size, drop = _scaled(figure, HELD[identity.bag]), HANDLE_DROP[identity.bag] * height
    wrist = figure.skeleton.arm(side)[2]
    centre = wrist - UP * (0.055 * height + drop + size[1] / 2) + chest.side * (side * 0.012)
    axes = Frame(centre, -chest.front * side, UP, chest.side * side)
    taper = 0.10 if identity.bag == "handbag" else 0.0
    shape = BoxShape(size=size, exponent=5, rows=11, taper=taper, rounding=0.10)
    frame = RowFrame(FrameKind.UPRIGHT, side)
    handles = [_handle(axes, size, drop + 0.012 * height, end, side) for end in (-0.3, 0.3)]
    return [box(axes, shape, "bag", frame), *handles]


def _handle(
    bag: Frame, size: tuple[float, float, float], rise: float, end: float, side: int
) -> Patch:
    """An arched handle, `end` of the depth away from the middle."""
    q = np.linspace(-1, 1, 9)
    root = bag.at(0, size[1] * 0.47, size[2] * end)
    path = root + np.outer(q * size[0] * 0.22, bag.side) + np.outer((1 - q * q) * rise, UP)
    finish = Finish(tile="strap", frame=RowFrame(FrameKind.UPRIGHT, side), columns=5)
    return cord(path, np.full(9, 0.007), bag.front * side, finish)


def _suitcase(figure: Figure) -> list[Patch]:
    """A case on wheels, pulled along by its telescopic bars."""
    side, chest, height = figure.identity.bag_side, figure.skeleton.chest, figure.body.height
    size = _scaled(figure, (0.21, 0.32, 0.12))
    grip = figure.skeleton.arm(side)[2] - UP * (0.045 * height)
    base = np.array([grip[0] + side * 0.03, 0.0, grip[2] - 0.16 * height])
    axes = axes_along(base, grip - base, chest.side)
    axes = axes._replace(origin=axes.at(0, size[1] / 2 + 0.05, 0))
    frame = RowFrame(FrameKind.UPRIGHT, side)
    case = box(axes, BoxShape(size=size, rows=12, exponent=6, rounding=0.10), "bag", frame)
    return [case, *_bars(axes, size, grip, frame)]


def _bars(
    case: Frame, size: tuple[float, float, float], grip: Array, frame: RowFrame
) -> list[Patch]:
    apart = case.side * (size[0] * 0.25)
    bar = Finish(tile="metal", frame=frame, columns=5)
    low = case.at(0, size[1] * 0.48, 0)
    bars = [
        cylinder(low + apart * end, grip + apart * end, (0.007, 0.007), 3, bar) for end in (-1, 1)
    ]
    half = case.side * (size[0] * 0.28)
    handle = Finish(tile="strap", frame=frame, columns=6)
    return [*bars, cylinder(grip - half, grip + half, (0.011, 0.011), 3, handle)]
