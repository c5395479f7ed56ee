"""Heads and hair, painted by formula on the head's own surface.

A head tile runs once around the head (the face in the middle column) and from the crown down to
the chin. On it, x is the sideways place and y the height above the chin, in head heights.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from tipr.data.synthetic.curves import TAU, smoothstep
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.palette import HAIR, SKIN, Linear, cloth, linear
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.tags import TAG
from tipr.data.synthetic.textures import (
    Mask,
    Picture,
    Plane,
    Shape,
    Tile,
    blend,
    centres,
    noise,
    tagged,
)

_HEAD: Shape = (120, 160)
_HAIR: Shape = (96, 128)

_ANGLE: Plane = ((centres(_HEAD[1]) - np.float32(0.5)) * np.float32(TAU)).astype(np.float32)
_X: Plane = (np.float32(0.335) * np.sin(_ANGLE))[None]
_Y: Plane = (1 - centres(_HEAD[0]))[:, None]
_FRONT: Mask = np.cos(_ANGLE)[None] > 0
_SIDE: Plane = np.abs(_ANGLE)[None]  # 0 at the nose, pi at the back of the head

_INK: Linear = np.array([0.011, 0.010, 0.009], np.float32)
_EYE_WHITE: Linear = np.array([0.62, 0.60, 0.58], np.float32)
_LIPSTICK: Linear = np.array([0.24, 0.036, 0.048], np.float32)

# Angle from the nose, and how high the hair begins there.
_HAIRLINE_ANGLES = (0, 0.5, 0.85, 1.15, 1.45, 1.75, 2.2, math.pi)
_HAIRLINE_HEIGHTS = (0.80, 0.785, 0.72, 0.50, 0.42, 0.40, 0.24, 0.17)


def head_tile(identity: Identity) -> Tile:
    """Skin, features, beard, mask, glasses and the hair's shadow on the scalp."""
    skin = linear(SKIN[identity.skin])
    tags = np.where(np.cos(_ANGLE)[None] < 0.2, TAG["skin"], TAG["face"])
    tags = np.repeat(tags, _HEAD[0], 0).astype(np.uint8)
    picture = (1 + np.float32(0.03) * noise(_HEAD, (12, 16), 2))[..., None] * skin
    picture = picture * _complexion()
    picture = _eyes(picture, identity, skin)
    tags[_ellipse(0.142, 0.522, 0.070, 0.026)] = TAG["eyes"]
    picture = _mouth(picture, identity, skin)
    if identity.beard:
        picture = _beard(picture, tags, identity)
    if identity.age == "senior":
        wrinkles = np.abs(noise(_HEAD, (20, 8), 2))
        picture = picture * (1 - np.float32(0.10) * wrinkles[..., None])
    if identity.mask:
        picture = _mask(picture, tags, identity)
    if identity.glasses != "none":
        picture = _glasses(picture, tags, identity)
    if identity.hair != "bald":
        picture = _scalp(picture, tags, identity)
    return Tile(picture, np.float32(0.15) * noise(_HEAD, (16, 20), 2), 0.25, tags)


def hair_tile(identity: Identity) -> Tile:
    """Strands, or tight curls."""
    colour = linear(HAIR[identity.hair_c])
    if identity.hair in ("curly", "afro"):
        curls = noise(_HAIR, (24, 32), 2, 1)
        shade, relief, gloss = np.clip(1 + 0.5 * curls, 0.4, 1.5) * 0.85, 0.8 * curls, 0.05
    else:
        strands, locks = noise(_HAIR, (2, 64), 2, 1), noise(_HAIR, (3, 16), 2, 2)
        shade = np.clip(1 + 0.45 * strands + 0.3 * locks, 0.25, 3)
        relief, gloss = 0.9 * locks + 0.35 * strands, 0.35
    return Tile(shade[..., None] * colour, relief, gloss, tagged(_HAIR, "hair"))


def _spot(x: float, y: float, width: float, height: float) -> Plane:
    """A soft spot on the face."""
    cover = np.exp(-(((_X - x) / width) ** 2) - ((_Y - y) / height) ** 2) * _FRONT
    return cover.astype(np.float32)


def _pair(x: float, y: float, width: float, height: float) -> Plane:
    """The same spot left and right of the nose."""
    return _spot(x, y, width, height) + _spot(-x, y, width, height)


def _ellipse(x: float, y: float, width: float, height: float) -> Mask:
    """Hard-edged ellipses left and right of the nose."""
    reach = ((np.abs(_X) - x) / width) ** 2 + ((_Y - y) / height) ** 2
    return (reach < 1) & _FRONT


@cache
def _complexion() -> Picture:
    """Blush, and the shade of sockets, nose, lip and chin: a factor on the skin, never changed."""
    blush = _pair(0.19, 0.38, 0.09, 0.07) + 0.7 * _spot(0, 0.37, 0.05, 0.04)
    redness = 1 - blush[..., None] * np.array([0.0, 0.176, 0.176])
    shade = 0.42 * _pair(0.14, 0.535, 0.085, 0.045) + 0.30 * _pair(0.075, 0.40, 0.02, 0.07)
    shade = shade + 0.45 * _spot(0, 0.318, 0.06, 0.016) + 0.22 * _spot(0, 0.165, 0.09, 0.02)
    return (redness * (1 - np.clip(shade, 0, 0.7))[..., None]).astype(np.float32)


@cache
def _strokes() -> tuple[Plane, Plane, Plane]:
    """The lines of a face: brows, upper lids, and the line between the lips."""
    beside = np.abs(_X) - 0.142
    arch = 0.612 - 0.125 * np.abs(np.abs(_X) - 0.14)
    brows = np.exp(-(((np.abs(_X) - 0.145) / 0.075) ** 4) - ((_Y - arch) / 0.017) ** 2)
    curve = 0.545 - 1.8 * beside**2
    lids = np.exp(-((beside / 0.080) ** 4) - ((_Y - curve) / 0.011) ** 2)
    lips = np.exp(-((_X / 0.11) ** 4) - ((_Y - 0.236) / 0.007) ** 2)
    brows, lids, lips = ((line * _FRONT).astype(np.float32) for line in (brows, lids, lips))
    return brows, lids, lips


def _eyes(picture: Picture, identity: Identity, skin: Linear) -> Picture:
    woman = identity.sex == "female"
    brows, lids, _ = _strokes()
    hair = linear(HAIR[identity.hair_c])
    picture = blend(picture, hair * 0.8 + 0.004, brows * (0.7 if woman else 0.85))
    white = np.minimum(_EYE_WHITE, skin * 1.4 + 0.2)
    picture = blend(picture, white, _ellipse(0.142, 0.522, 0.070, 0.026))
    picture = blend(picture, _INK, _ellipse(0.142, 0.523, 0.027, 0.029))
    return blend(picture, _INK, lids * (0.95 if woman else 0.7))


def _mouth(picture: Picture, identity: Identity, skin: Linear) -> Picture:
    if identity.sex == "female" and identity.age != "child":
        colour = _LIPSTICK + skin * np.array([0.40, 0.15, 0.15], np.float32)
    else:
        colour = skin * np.array([0.80, 0.42, 0.42], np.float32)
    picture = blend(picture, colour, _ellipse(0.0, 0.232, 0.115, 0.036))
    return blend(picture, colour * 0.25, _strokes()[2] * 0.9)


@cache
def _beard_cover() -> Plane:
    """Chin, cheeks and moustache, with the lips left free and a rough edge."""
    chin = smoothstep(0.36, 0.26, _Y) * (_SIDE < 1.25)
    cheeks = smoothstep(0.50, 0.36, _Y) * smoothstep(0.85, 1.1, _SIDE) * (_SIDE < 1.45)
    moustache = _FRONT * (np.abs(_X) < 0.15) * smoothstep(0.335, 0.315, _Y)
    lips = np.clip(_spot(0, 0.232, 0.10, 0.028) * 1.2, 0, 1)
    cover = np.clip(chin + cheeks + moustache, 0, 1) * (1 - lips)
    rough = cover + 0.12 * noise(_HEAD, (40, 50), 2) * (cover > 0.05)
    return np.clip(rough, 0, 1).astype(np.float32)


def _beard(picture: Picture, tags: np.ndarray, identity: Identity) -> Picture:
    cover = _beard_cover()
    tags[cover > 0.5] = TAG["beard"]
    return blend(picture, linear(HAIR[identity.hair_c]) * 0.9, cover * 0.88)


def _mask(picture: Picture, tags: np.ndarray, identity: Identity) -> Picture:
    cover = (_Y < 0.40 - 0.10 * _SIDE) & (_Y > 0.04) & (_SIDE < 1.15)
    loops = (np.abs(_Y - 0.36) < 0.012) & (_SIDE >= 1.15) & (_SIDE < 1.7)
    colour = cloth(Rng(identity.key, "mask colour").pick(["white", "light blue", "black"]))
    pleats = (0.92 + 0.08 * np.sin(_Y * 150))[..., None] * colour
    tags[cover] = TAG["mask"]
    return blend(picture, np.broadcast_to(pleats, picture.shape), cover | loops)


def _glasses(picture: Picture, tags: np.ndarray, identity: Identity) -> Picture:
    """Rims, bridge and temple arms; sunglasses have dark lenses too."""
    tag = TAG[identity.glasses]
    rim = ((np.abs(_X) - 0.142) / 0.098) ** 2 + ((_Y - 0.515) / 0.068) ** 2
    if identity.glasses == "sunglasses":
        lenses = (rim <= 0.9) & _FRONT
        picture = blend(picture, _INK, lenses)
        tags[lenses] = tag
    bridge = (np.abs(_Y - 0.54) < 0.010) & (np.abs(_X) < 0.06)
    arms = (np.abs(_Y - 0.535) < 0.011) & (_SIDE > 0.80) & (_SIDE < 1.62)
    frame = (((rim > 0.74) & (rim < 1.12) | bridge) & _FRONT) | arms
    tags[frame] = tag
    return blend(picture, _INK, frame)


def _scalp(picture: Picture, tags: np.ndarray, identity: Identity) -> Picture:
    drop = np.array([identity.bang, identity.bang * 0.9, 0, 0, 0, 0, 0, 0])
    heights = np.array(_HAIRLINE_HEIGHTS) - drop
    line = np.interp(np.abs(_ANGLE), _HAIRLINE_ANGLES, heights)[None]
    height = _Y + 0.01 * noise(_HEAD, (8, 40), 2)
    cover = smoothstep(line - 0.015, line + 0.03, height).astype(np.float32)
    tags[cover > 0.5] = TAG["hair"]
    return blend(picture, linear(HAIR[identity.hair_c]) * 0.8, cover)
