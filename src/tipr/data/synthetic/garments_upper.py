"""What is worn above the waist: tops, dresses, sleeves, jackets and coats."""

from __future__ import annotations

from tipr.data.synthetic.body import Body
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.garments import Cut, garment
from tipr.data.synthetic.garments_neck import Collar, collar, hood_roll
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.limbs import LimbCut, arms
from tipr.data.synthetic.mesh import Patch

# Room between skin and cloth in metres, and how straight the garment hangs from the chest.
UPPER_EASE = {
    "t-shirt": 0.016,
    "tank top": 0.010,
    "shirt": 0.018,
    "blouse": 0.018,
    "polo shirt": 0.014,
    "sweater": 0.026,
    "hoodie": 0.032,
    "dress": 0.012,
}
UPPER_STRAIGHT = {
    "t-shirt": 0.6,
    "tank top": 0.3,
    "shirt": 0.6,
    "blouse": 0.3,
    "polo shirt": 0.6,
    "sweater": 0.75,
    "hoodie": 0.85,
}
OUTER_EASE = {
    "jacket": 0.040,
    "coat": 0.042,
    "blazer": 0.032,
    "vest": 0.030,
    "cardigan": 0.030,
    "puffer jacket": 0.055,
    "hoodie": 0.040,
    "raincoat": 0.046,
}
# Height of the outer garment's hem in body heights; a coat's is the wearer's own.
OUTER_HEM = {
    "jacket": 0.485,
    "blazer": 0.455,
    "vest": 0.50,
    "cardigan": 0.44,
    "puffer jacket": 0.48,
    "hoodie": 0.485,
    "raincoat": 0.36,
}
# Half angles of the opening of a garment worn open, at its top and its bottom.
OUTER_GAP = {
    "jacket": (0.10, 0.62),
    "coat": (0.12, 0.55),
    "blazer": (0.20, 0.45),
    "vest": (0.12, 0.50),
    "cardigan": (0.22, 0.60),
    "puffer jacket": (0.08, 0.60),
    "hoodie": (0.12, 0.55),
    "raincoat": (0.10, 0.50),
}
COLLARED = ("jacket", "coat", "blazer", "puffer jacket", "raincoat", "vest")
DRESS_HEM = {"mini": 0.36, "knee": 0.27, "midi": 0.20, "long": 0.06}
TUCKED_HEM = 0.565


def upper_ease(identity: Identity) -> float:
    return UPPER_EASE[identity.upper] * identity.fit


def tucked(identity: Identity) -> bool:
    return identity.tuck or identity.lower == "dress"


def hem(identity: Identity) -> float:
    """Height at which the top ends, in body heights."""
    return TUCKED_HEM if tucked(identity) else identity.hem


def outer_hem(identity: Identity) -> float:
    return identity.coat_len if identity.outer == "coat" else OUTER_HEM[identity.outer]


def skirt_free_from(identity: Identity) -> float:
    """Height from which a skirt or dress swings free: the waist, or the hem of what covers it."""
    waist = 0.60 if tucked(identity) else min(0.60, identity.hem)
    return waist if identity.outer == "none" else min(waist, outer_hem(identity))


def clearance(identity: Identity) -> float:
    """How far the clothes stand off the chest, in metres."""
    return upper_ease(identity) if identity.outer == "none" else 0.045


def upper_cut(identity: Identity) -> Cut:
    """The top or dress; under a closed jacket only its neck is left."""
    ease = upper_ease(identity)
    if identity.lower == "dress":
        return Cut(
            tile="upper", top=0.843, bottom=DRESS_HEM[identity.length], ease=ease,
            flare=identity.flare, free_from=skirt_free_from(identity), waist=0.004,
            waves=8 if identity.flare > 0.02 else 0,
            fold=0.010, folds="upper", rows=36, columns=40,
        )  # fmt: skip
    covered = identity.outer != "none"
    if covered and not identity.open:
        return Cut(tile="upper", top=0.846, bottom=0.74, ease=ease * 0.5, rows=8)
    over_skirt = identity.lower == "skirt" and not tucked(identity)
    straight = UPPER_STRAIGHT[identity.upper] * (0.3 if covered else 1)
    if identity.sex == "female" and identity.upper != "hoodie":
        straight *= 0.35
    return Cut(
        tile="upper",
        top=0.828 if identity.upper == "tank top" else 0.843,
        bottom=hem(identity),
        ease=ease * (0.6 if covered else 1) + (0.016 if over_skirt else 0),
        flare=0.004,
        straight=straight,
        fold=0.005 if covered else 0.008,
        folds="upper",
    )


def outer_cut(identity: Identity) -> Cut:
    """The jacket, coat or vest; meaningless for those who wear none."""
    kind, bottom = identity.outer, outer_hem(identity)
    quilted = kind == "puffer jacket" or (kind == "vest" and identity.quilt)
    return Cut(
        tile="outer",
        top=0.846,
        bottom=bottom,
        ease=OUTER_EASE[kind],
        neck_ease=0.6,
        flare=0.02 if kind in ("coat", "raincoat") else 0.0,
        straight=0.45 if identity.sex == "female" else 0.75,
        gap=OUTER_GAP[kind] if identity.open else None,
        quilt=0.062 if quilted else 0.0,
        fold=0.006 if quilted else 0.011,
        folds="outer",
        rows=34 if bottom < 0.4 else 28,
        columns=38,
    )


def outermost(identity: Identity) -> Cut:
    """The garment that a bag's strap or long hair lies on."""
    return upper_cut(identity) if identity.outer == "none" else outer_cut(identity)


def tops(figure: Figure) -> list[Patch]:
    """The top with its sleeves, collar and hood, and the outer garment over it."""
    identity = figure.identity
    patches = [garment(figure, upper_cut(identity))]
    if identity.outer in ("none", "vest"):
        patches += _sleeves(figure)
    hidden = identity.outer == "hoodie" and not identity.open
    if identity.upper in ("shirt", "polo shirt") and not hidden:
        shape = Collar(0.040, flare=0.012, ease=upper_ease(identity) * 0.3)
        patches.append(collar(figure, shape, "collar"))
    if identity.upper == "hoodie" and identity.outer == "none" and identity.hat != "hood":
        patches.append(hood_roll(figure, "hood"))
    return patches + (_outer(figure) if identity.outer != "none" else [])


def _sleeves(figure: Figure) -> list[Patch]:
    identity, body = figure.identity, figure.body
    ease = upper_ease(identity)
    if identity.sleeve == "long":
        cut = LimbCut(
            tile="sleeve", end=0.985, ease=ease * 0.55 + 0.004, fold=0.007, folds="sleeve"
        )
        return arms(figure, cut)
    if identity.sleeve == "short":
        return arms(figure, _short_sleeve(body, ease)) + arms(
            figure, LimbCut(tile="arm", start=0.30, rows=14)
        )
    return arms(figure, LimbCut(tile="arm"))


def _short_sleeve(body: Body, ease: float) -> LimbCut:
    return LimbCut(
        tile="sleeve",
        end=0.40,
        ease=ease * 0.75 + 0.006,
        hem=0.040 * body.limb_scale,
        fold=0.004,
        folds="sleeve",
        rows=9,
    )


def _outer(figure: Figure) -> list[Patch]:
    identity = figure.identity
    kind = identity.outer
    patches = [garment(figure, outer_cut(identity))]
    if kind != "vest":
        ease = 0.022 if kind == "puffer jacket" else 0.013
        cut = LimbCut(tile="osleeve", end=0.99, ease=ease, fold=0.009, folds="outer sleeve")
        patches += arms(figure, cut)
    if kind in COLLARED:
        parted = identity.open or kind in ("blazer", "coat")
        tall = 0.07 if kind == "puffer jacket" else 0.055
        shape = Collar(tall, flare=0.016, ease=0.020, gap=0.5 if parted else 0.0)
        patches.append(collar(figure, shape, "ocollar"))
    if kind == "hoodie" and identity.hat != "hood":
        patches.append(hood_roll(figure, "ohood"))
    return patches
