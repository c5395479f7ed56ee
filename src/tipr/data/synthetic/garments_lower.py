"""What is worn below the waist: trousers, shorts, skirts, belts, and the bare legs they leave."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import Cut, garment
from tipr.data.synthetic.garments_upper import DRESS_HEM, hem, skirt_free_from, tucked
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.limbs import LimbCut, legs
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

TROUSERS = ("jeans", "trousers", "joggers", "leggings")
# Ease, least radius of the hem (at a stature of 1.7 m) and height of the creases, in metres.
TROUSER_FIT = {
    "slim": (0.007, 0.026, 0.005),
    "regular": (0.014, 0.040, 0.009),
    "wide": (0.024, 0.064, 0.010),
}
_HIP_SQUARENESS = 2.3


def waistband(identity: Identity) -> float:
    """Where the lower garment starts: just under the hem of the top, at most at the waist."""
    return 0.60 if tucked(identity) else min(0.60, hem(identity) + 0.035)


def bottoms(figure: Figure) -> list[Patch]:
    """The lower garment, the skin it leaves bare, and the belt."""
    identity = figure.identity
    if identity.lower in TROUSERS:
        patches = _trousers(figure)
    elif identity.lower == "shorts":
        patches = [_hips(figure, 0.012), *legs(figure, _shorts(figure))]
    elif identity.lower == "skirt":
        patches = [garment(figure, _skirt(identity))]
    else:
        patches = []
    patches += _bare_legs(figure)
    if identity.belt and tucked(identity) and identity.lower != "dress":
        patches.append(_belt(figure))
    return patches


def trouser_end(identity: Identity) -> float:
    """Where trouser legs end, from 0 at the hip to 1 at the ankle; some end inside boots."""
    if identity.shoes == "boots" and (identity.leg == "slim" or identity.lower == "leggings"):
        return identity.boot_top + 0.06
    return 0.95 if identity.lower == "joggers" else 0.965


def _trousers(figure: Figure) -> list[Patch]:
    identity = figure.identity
    ease, width, fold = TROUSER_FIT[identity.leg]
    cuff: float | None = 0.030 if identity.lower == "joggers" else width
    over_hips = 0.008 + ease * 0.35
    if identity.lower == "leggings":
        ease, cuff, fold, over_hips = 0.003, None, 0.002, 0.008
    cut = LimbCut(
        tile="lower",
        end=trouser_end(identity),
        ease=ease,
        hem=None if cuff is None else cuff * figure.body.height / 1.7,
        fold=fold,
        folds="trousers",
        rows=24,
    )
    return [_hips(figure, over_hips), *legs(figure, cut)]


def _shorts(figure: Figure) -> LimbCut:
    return LimbCut(
        tile="lower",
        end=figure.identity.short_len,
        ease=0.020,
        hem=0.062 * figure.body.height / 1.7,
        fold=0.007,
        folds="trousers",
        rows=14,
    )


def _skirt(identity: Identity) -> Cut:
    bottom = {**DRESS_HEM, "mini": 0.385, "knee": 0.275}[identity.length]
    return Cut(
        tile="lower",
        top=min(0.605, waistband(identity) + 0.005),
        bottom=bottom,
        ease=0.007,
        flare=identity.flare,
        free_from=skirt_free_from(identity),
        waves=8 if identity.flare > 0.02 else 0,
        fold=0.008,
        folds="skirt",
        columns=40,
    )


def _bare_legs(figure: Figure) -> list[Patch]:
    identity = figure.identity
    if identity.lower in ("dress", "skirt", "shorts"):
        start = 0.20
    elif (
        trouser_end(identity) < 0.94
        or identity.lower == "leggings"
        or identity.shoes in ("heels", "sandals")
    ):
        start = 0.7
    else:
        return []
    return legs(figure, LimbCut(tile="leg", start=start, end=0.985, ease=0.001))


def _hips(figure: Figure, ease: float) -> Patch:
    """The part of trousers from the waistband to the crotch."""
    y = np.linspace(waistband(figure.identity), 0.455, 10) * figure.body.height
    return _ring_patch(figure, y, np.full(10, ease), "lower_p")


def _belt(figure: Figure) -> Patch:
    y = np.array([0.592, 0.590, 0.574, 0.572]) * figure.body.height
    return _ring_patch(figure, y, np.array([0.022, 0.034, 0.034, 0.022]), "belt")


def _ring_patch(figure: Figure, y: np.ndarray, ease: np.ndarray, tile: str) -> Patch:
    rows, outline = figure.torso(y), figure.body.outline(y).eased(ease)
    angles = column_angles(28)
    rings = Rings(rows.origin, rows.side, rows.front, *outline)
    frame = RowFrame(FrameKind.TORSO, 0, y)
    return Patch(tile, loft(rings, angles, _HIP_SQUARENESS), ring_u(angles), ramp(len(y)), frame)
