"""The tiles of tops, outer garments and whatever is worn below the waist.

A garment's tile runs once around the body (the front in the middle column) from its top edge to
its hem. The names of tiles are those that the geometry asks for.
"""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.palette import CLOTH, RUBBER, SKIN, Linear, cloth, linear
from tipr.data.synthetic.patterns import ALL_OVER, paint_pattern, print_cover, text_cover
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.tags import TAG
from tipr.data.synthetic.textures import (
    Picture,
    Plane,
    Shape,
    Tile,
    blend,
    centres,
    fabric,
    jittered,
    noise,
    plain,
    tagged,
)

_UPPER: Shape = (128, 160)
_OUTER: Shape = (160, 192)
_LOWER: Shape = (128, 80)
_HIPS: Shape = (32, 96)
_SLEEVE: Shape = (64, 64)
_COLLAR: Shape = (16, 48)
_HOOD: Shape = (32, 48)

# How far a neckline dips below the collar bone, metres.
_NECKLINES = {"t-shirt": 0.045, "sweater": 0.035, "tank top": 0.085, "blouse": 0.08, "dress": 0.08}
_WEAVES = {"sweater": "knit", "cardigan": "knit", "jeans": "denim"}
_GLOSS = {"puffer jacket": 0.18, "raincoat": 0.2, "jacket": 0.12}
_LEATHER_GLOSS = 0.45


def upper_colour(identity: Identity) -> Linear:
    return jittered(CLOTH[identity.upper_c], Rng(identity.key, "upper shade"))


def second_colour(identity: Identity) -> Linear:
    return jittered(CLOTH[identity.upper_c2], Rng(identity.key, "second shade"))


def outer_colour(identity: Identity) -> Linear:
    return jittered(CLOTH[identity.outer_c], Rng(identity.key, "outer shade"))


def lower_colour(identity: Identity) -> Linear:
    if identity.lower == "dress":
        return upper_colour(identity)
    return jittered(CLOTH[identity.lower_c], Rng(identity.key, "lower shade"))


def upper_tiles(identity: Identity) -> dict[str, Tile]:
    """The top or dress, its sleeves, collar and hood."""
    colour, second = upper_colour(identity), second_colour(identity)
    covered = identity.outer != "none"
    trim = colour * 0.97 if identity.pattern not in ALL_OVER else (colour + second) / 2
    return {
        "upper": _top(identity, colour, second, "inner" if covered else "upper"),
        "sleeve": _top_sleeve(identity, colour, second, "inner" if covered else "upper"),
        "collar": plain(trim, "collar", shape=_COLLAR),
        "hood": plain(colour * 0.92, "upper", shape=_HOOD),
    }


def _top(identity: Identity, colour: Linear, second: Linear, tag: str) -> Tile:
    kind = identity.upper
    folds = Rng(identity.key, "upper folds").below(4)
    picture, relief = fabric(_UPPER, colour, _WEAVES.get(kind, "cloth"), folds)
    tags = tagged(_UPPER, tag)
    length = 1.0 if kind == "dress" else 0.60
    weave = Rng(identity.key, "pattern")
    picture = paint_pattern(picture, identity.pattern, second, weave, (length, 1.0))
    if identity.pattern in ("print", "text"):
        cover = print_cover if identity.pattern == "print" else text_cover
        motif = cover(_UPPER, Rng(identity.key, "print"))
        picture = blend(picture, second, motif)
        tags[motif > 0.4] = TAG["print"]
    _details(picture, kind, colour)
    if kind in _NECKLINES:
        picture = _neckline(picture, tags, identity, length)
    if identity.tie:
        picture = _tie(picture, tags, identity)
    return Tile(picture, relief, 0.05, tags)


def _details(picture: Picture, kind: str, colour: Linear) -> None:
    """Button strips, pouches and ribbed hems, painted in place."""
    height, width = _UPPER
    middle = width // 2
    if kind in ("shirt", "polo shirt"):
        strip = height if kind == "shirt" else height // 5
        picture[:strip, middle - 1 : middle + 2] *= 0.72
        for row in range(6, strip, 14):
            picture[row : row + 2, middle : middle + 2] = np.clip(colour * 1.8 + 0.15, 0, 0.9)
    if kind == "hoodie":
        pouch = slice(int(height * 0.62), int(height * 0.66))
        picture[pouch, int(width * 0.38) : int(width * 0.62)] *= 0.7
        picture[int(height * 0.93) :] *= 0.82
    if kind == "sweater":
        picture[int(height * 0.93) :] *= 0.85


def _neckline(picture: Picture, tags: np.ndarray, identity: Identity, length: float) -> Picture:
    """Skin above the neckline and a darker seam along it; a blouse's is a V, others are round."""
    aside = np.abs(centres(_UPPER[1]) - 0.5) / 0.115
    dip = np.clip(1 - aside ** (1 if identity.upper == "blouse" else 2), 0, 1)
    dip = (_NECKLINES[identity.upper] * dip)[None]
    below_collar = centres(_UPPER[0])[:, None] * length
    bare = below_collar < dip + 0.012
    seam = (below_collar < dip + 0.024) & ~bare
    tags[bare] = TAG["skin"]
    return blend(blend(picture, picture * 0.75, seam), linear(SKIN[identity.skin]), bare)


def _tie(picture: Picture, tags: np.ndarray, identity: Identity) -> Picture:
    rows = np.arange(_UPPER[0])
    half = np.interp(rows, [4, 10, 12, 120], [0.012, 0.016, 0.010, 0.028])[:, None]
    cover = (np.abs(centres(_UPPER[1]) - 0.5)[None] < half) & (rows[:, None] > 3)
    colours = ["red", "navy", "black", "dark red", "green"]
    tags[cover] = TAG["tie"]
    return blend(picture, cloth(Rng(identity.key, "tie").pick(colours)), cover)


def _top_sleeve(identity: Identity, colour: Linear, second: Linear, tag: str) -> Tile:
    weave = _WEAVES.get(identity.upper, "cloth")
    picture, relief = fabric(_SLEEVE, colour, weave, 2)
    if identity.pattern in ALL_OVER:
        size = (0.22 if identity.sleeve == "short" else 0.56, 0.40)
        rng = Rng(identity.key, "pattern")
        picture = paint_pattern(picture, identity.pattern, second, rng, size)
    if identity.pattern == "color block" and Rng(identity.key, "block sleeves").chance(0.5):
        picture[:] = second
    if weave == "knit" or identity.upper == "hoodie":
        picture[-4:] *= 0.8
    return Tile(picture, relief, 0.05, tagged(_SLEEVE, tag))


def outer_tiles(identity: Identity) -> dict[str, Tile]:
    """The jacket or coat with its sleeves, collar and hood."""
    kind, colour = identity.outer, outer_colour(identity)
    picture, relief = fabric(_OUTER, colour, _WEAVES.get(kind, "cloth"), 1)
    if identity.open:
        picture = _open_front(picture, kind)
    else:
        picture = _closed_front(picture, kind, upper_colour(identity))
    for centre in (0.36, 0.64):  # pocket flaps
        column = int(_OUTER[1] * centre)
        picture[100:102, column - 9 : column + 9] *= 0.6
    gloss = _GLOSS.get(kind, 0.04)
    if kind == "jacket" and Rng(identity.key, "leather").chance(0.3):
        gloss = _LEATHER_GLOSS
    return {
        "outer": Tile(picture, relief, gloss, tagged(_OUTER, "outer")),
        "osleeve": _outer_sleeve(kind, colour, gloss),
        "ocollar": plain(colour * 0.95, "outer", shape=_COLLAR),
        "ohood": plain(colour * 0.9, "outer", shape=_HOOD),
    }


def _closed_front(picture: Picture, kind: str, inner: Linear) -> Picture:
    """A zip or a row of buttons; tailored garments show a V of what is worn below."""
    height, width = _OUTER
    picture[:, width // 2 - 1 : width // 2 + 2] *= 0.55
    if kind not in ("coat", "blazer"):
        return picture
    for row in range(50, 120, 22):
        picture[row : row + 4, width // 2 + 4 : width // 2 + 8] *= 0.35
    aside = np.abs(centres(width) - 0.5)[None]
    row = np.arange(height)[:, None]
    picture = blend(picture, inner, aside < np.clip(0.055 * (1 - row / 52.0), 0, 1))
    lapel = np.abs(aside - np.clip(0.075 * (1 - row / 60.0), 0, 1)) < 0.004
    return blend(picture, picture * 0.6, lapel & (row < 58))


def _open_front(picture: Picture, kind: str) -> Picture:
    """Darker edges; lapels on tailored garments."""
    height, width = _OUTER
    picture[:, :4] *= 0.6
    picture[:, -4:] *= 0.6
    if kind not in ("coat", "blazer"):
        return picture
    row = np.arange(height)[:, None]
    from_edge = np.minimum(np.arange(width), width - 1 - np.arange(width))[None]
    lapel = np.abs(from_edge - np.clip(22 * (1 - row / 70.0), 0, 30)) < 1.5
    return blend(picture, picture * 0.55, lapel & (row < 66))


def _outer_sleeve(kind: str, colour: Linear, gloss: float) -> Tile:
    picture, relief = fabric(_SLEEVE, colour, "cloth", 3)
    picture[-3:] *= 0.75
    if kind == "puffer jacket":
        quilt = np.abs(np.sin(np.arange(_SLEEVE[0]) * np.pi / 7.0)) ** 0.6
        relief = (relief + 1.2 * quilt[:, None]).astype(np.float32)
    return Tile(picture, relief, gloss, tagged(_SLEEVE, "outer"))


def lower_tiles(identity: Identity) -> dict[str, Tile]:
    """Trouser legs or a skirt, and the hips of trousers."""
    kind, colour = identity.lower, lower_colour(identity)
    weave = _WEAVES.get(kind, "cloth")
    picture, relief = fabric(_LOWER, colour, weave, 1)
    if kind == "jeans":
        picture = picture * (1 + _fade()[..., None])
        picture[:, 19:21] *= 0.8
        picture[:, 59:61] *= 0.8
    if kind == "joggers" and Rng(identity.key, "side stripe").chance(0.5):
        picture[:, 17:22] = 0.8
        picture[:, 57:62] = 0.8
    if kind == "trousers":
        picture[:, 39:41] *= 1.12
    if kind == "skirt":
        picture = _skirt_pattern(picture, identity)
    picture[:2] *= 0.7
    picture[-3:] *= 0.75
    hips, hip_relief = fabric(_HIPS, colour, weave, 0)
    hips[:, 47:49] *= 0.75
    hips[4:6] *= 0.8
    gloss = 0.1 if kind == "leggings" else 0.03
    return {
        "lower": Tile(picture, relief, gloss, tagged(_LOWER, "lower")),
        "lower_p": Tile(hips, hip_relief, 0.03, tagged(_HIPS, "lower")),
    }


def _fade() -> Plane:
    """Where denim is worn light: thighs and knees."""
    x, y = centres(_LOWER[1])[None], centres(_LOWER[0])[:, None]
    front = np.exp(-(((x - 0.5) / 0.10) ** 2))
    thighs = 0.45 * np.exp(-(((y - 0.25) / 0.22) ** 2))
    knees = 0.3 * np.exp(-(((y - 0.55) / 0.08) ** 2))
    return (front * (thighs + knees)).astype(np.float32)


def _skirt_pattern(picture: Picture, identity: Identity) -> Picture:
    name = Rng(identity.key, "skirt pattern").weighted(
        [("plain", 0.7), ("plaid", 0.12), ("dots", 0.08), ("floral", 0.1)]
    )
    rng = Rng(identity.key, "skirt weave")
    return paint_pattern(picture, name, second_colour(identity), rng, (0.6, 1.0))


def shoe_tiles(identity: Identity) -> dict[str, Tile]:
    """Shoes from the heel to the toe, the sole in the outer columns, and boot shafts."""
    shape: Shape = (40, 48)
    kind, colour = identity.shoes, jittered(CLOTH[identity.shoe_c], Rng(identity.key, "shoe shade"))
    picture = np.ones((*shape, 1), np.float32) * colour
    tags = tagged(shape, "shoe")
    sole = np.abs(centres(shape[1]) - 0.5) > (0.33 if kind == "sneakers" else 0.40)
    picture[:, sole] = _sole_colour(identity)
    tags[:, sole] = TAG["sole"]
    skin = linear(SKIN[identity.skin])
    if kind == "sneakers":
        picture[16:28:3, 19:29] = cloth("white") * 0.9
        picture[12:22, 10:12] = cloth("white") * 0.8
        picture[12:22, 36:38] = cloth("white") * 0.8
    if kind == "sandals":
        bare = np.ones(shape, bool)
        bare[:10] = bare[18:24] = bare[32:] = False
        bare[:, sole] = False
        picture = blend(picture, skin, bare)
    if kind in ("heels", "flats"):
        picture[18:36, 18:30] = skin
    gloss = 0.4 if kind in ("dress shoes", "heels", "boots") else 0.12
    return {
        "shoe": Tile(picture, 0.2 * noise(shape, (4, 4), 2), gloss, tags),
        "shoe_shaft": plain(colour, "shoe", shape=(32, 32), gloss=0.3),
    }


def _sole_colour(identity: Identity) -> Linear:
    if identity.shoes == "sneakers" and Rng(identity.key, "white soles").chance(0.75):
        return cloth("white") * np.float32(0.85)
    return linear(RUBBER)
