"""The tiles of hats, bags, scarves, belts, gloves and things in the hand, and of bare skin."""

from __future__ import annotations

import numpy as np

from tipr.data.synthetic.clothes import outer_colour, upper_colour
from tipr.data.synthetic.identity import Identity
from tipr.data.synthetic.palette import (
    BRASS,
    BUCKLE,
    CARDBOARD,
    CLOTH,
    CUP_LID,
    SKIN,
    STEEL,
    Linear,
    cloth,
    linear,
)
from tipr.data.synthetic.patterns import paint_pattern
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.textures import Shape, Tile, fabric, jittered, plain, tagged

_BAG: Shape = (64, 96)
_SCARF: Shape = (48, 64)
_HAT: Shape = (48, 96)
_LEATHER_BAGS = ("handbag", "briefcase", "shoulder bag")
_HOODED = ("hoodie", "jacket", "puffer jacket", "raincoat")


def skin_tiles(identity: Identity) -> dict[str, Tile]:
    """Ears, neck, hands, arms and legs where they are bare."""
    skin = linear(SKIN[identity.skin])
    small = (16, 16)
    return {
        "skin": plain(skin, "skin", shape=small, gloss=0.2, depth=0.1),
        "neck": plain(skin * 0.9, "skin", shape=small, gloss=0.2, depth=0.1),
        "hand": plain(skin * 0.95, "skin", shape=(32, 16), gloss=0.2, depth=0.3),
        "arm": plain(skin, "skin", shape=(32, 32), gloss=0.2, depth=0.2),
        "leg": plain(skin, "leg", shape=(32, 32), gloss=0.2, depth=0.2),
    }


def hat_tiles(identity: Identity) -> dict[str, Tile]:
    if identity.hat == "none":
        return {}
    weave = "knit" if identity.hat == "beanie" else "cloth"
    tile = plain(_hat_colour(identity), "hat", shape=_HAT, weave=weave, depth=0.7)
    if identity.hat == "cap":
        tile.colour[:, 46:50] *= 0.85
        tile.colour[20:34, 43:53] = cloth(identity.upper_c2)
    return {"hat": tile}


def _hat_colour(identity: Identity) -> Linear:
    """A raised hood has the colour of the garment it belongs to."""
    if identity.hat != "hood":
        return jittered(CLOTH[identity.hat_c], Rng(identity.key, "hat shade"))
    return outer_colour(identity) if identity.outer in _HOODED else upper_colour(identity)


def bag_tiles(identity: Identity) -> dict[str, Tile]:
    """The bag, its front pocket, and straps or handles."""
    if identity.bag == "none":
        return {}
    colour = jittered(CLOTH[identity.bag_c], Rng(identity.key, "bag shade"))
    leather = identity.bag in _LEATHER_BAGS
    picture, relief = fabric(_BAG, colour, "leather" if leather else "cloth", 2)
    picture[14:16] *= 0.6
    picture[:, ::24] *= 0.85
    if leather:
        picture[26:32, 44:52] = linear(BRASS)
    pocket = picture * np.float32(0.9)
    pocket[8:10] *= 0.6
    relief = relief * np.float32(0.6)
    return {
        "bag": Tile(picture, relief, 0.4 if leather else 0.08, tagged(_BAG, "bag")),
        "bag2": Tile(pocket, relief, 0.08, tagged(_BAG, "bag")),
        "strap": plain(colour * 0.8, "strap", shape=(16, 8), gloss=0.15),
    }


def carried_tiles(identity: Identity) -> dict[str, Tile]:
    """What is in the hand, and the metal of poles and handles."""
    tiles = {"metal": plain(linear(STEEL), "metal", shape=(8, 8), gloss=0.6)}
    if identity.carry == "none":
        return tiles
    colour = jittered(CLOTH[identity.carry_c], Rng(identity.key, "carried shade"))
    tile = plain(colour, "obj", shape=(32, 32), gloss=0.3, depth=0.2)
    if identity.carry == "cup":
        tile.colour[12:22] = linear(CARDBOARD)
        tile.colour[:5] = linear(CUP_LID)
    return tiles | {"obj": tile}


def worn_tiles(identity: Identity) -> dict[str, Tile]:
    """Scarf, belt and gloves, where worn."""
    tiles: dict[str, Tile] = {}
    if identity.scarf:
        tiles["scarf"] = _scarf(identity)
    if identity.belt:
        leather = cloth(Rng(identity.key, "belt").pick(["black", "brown", "black"]))
        tiles["belt"] = plain(leather, "belt", shape=(16, 64), gloss=0.3)
        tiles["belt"].colour[:, 30:35] = linear(BUCKLE)
    if identity.gloves:
        tiles["glove"] = plain(cloth("black"), "glove", shape=(16, 16))
    return tiles


def _scarf(identity: Identity) -> Tile:
    colour = jittered(CLOTH[identity.scarf_c], Rng(identity.key, "scarf shade"))
    picture, relief = fabric(_SCARF, colour, "knit", 3)
    if Rng(identity.key, "plaid scarf").chance(0.4):
        rng = Rng(identity.key, "scarf weave")
        picture = paint_pattern(picture, "plaid", cloth("white"), rng, (0.4, 0.5))
    return Tile(picture, relief * np.float32(1.5), 0.03, tagged(_SCARF, "scarf"))
