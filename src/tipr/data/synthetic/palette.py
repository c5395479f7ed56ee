"""Colours by name, as sRGB bytes, and the tables between sRGB bytes and linear light.

Everything is painted and lit in linear light (float32, 0 to 1); bytes appear only where a picture
is stored. The names are the words that identities and captions use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Linear = NDArray[np.float32]

_GAMMA = 2.2

CLOTH: dict[str, Rgb] = {
    "black": (30, 30, 33),
    "white": (233, 233, 230),
    "gray": (130, 131, 134),
    "dark gray": (74, 75, 79),
    "light gray": (188, 189, 190),
    "red": (184, 34, 38),
    "dark red": (104, 24, 36),
    "pink": (228, 146, 170),
    "orange": (224, 116, 40),
    "yellow": (230, 198, 66),
    "green": (52, 128, 66),
    "dark green": (34, 70, 48),
    "olive": (102, 99, 58),
    "light green": (158, 204, 140),
    "blue": (44, 88, 176),
    "navy": (30, 38, 76),
    "light blue": (138, 180, 216),
    "teal": (34, 124, 128),
    "purple": (102, 60, 134),
    "lavender": (184, 164, 210),
    "brown": (100, 66, 44),
    "beige": (206, 182, 148),
    "khaki": (164, 146, 104),
    "cream": (238, 226, 200),
    "denim": (62, 86, 124),
    "light denim": (122, 150, 184),
    "dark denim": (38, 50, 78),
}

HAIR: dict[str, Rgb] = {
    "black": (26, 22, 21),
    "dark brown": (52, 36, 26),
    "brown": (92, 62, 40),
    "blond": (196, 160, 104),
    "gray": (150, 148, 146),
    "white": (220, 218, 214),
    "red": (140, 62, 30),
}

# From light to dark; an identity stores the index.
SKIN: tuple[Rgb, ...] = (
    (234, 190, 164),
    (224, 176, 146),
    (212, 160, 126),
    (190, 136, 102),
    (152, 102, 72),
    (112, 74, 53),
    (82, 55, 42),
)

BRASS: Rgb = (190, 160, 80)
BUCKLE: Rgb = (190, 180, 150)
CARDBOARD: Rgb = (150, 110, 70)
CUP_LID: Rgb = (240, 240, 238)
RUBBER: Rgb = (40, 34, 30)
STEEL: Rgb = (120, 122, 126)


def linear(rgb: Sequence[float]) -> Linear:
    """An sRGB colour (0 to 255) in linear light, float32 (3,)."""
    return ((np.asarray(rgb, np.float64) / 255.0) ** _GAMMA).astype(np.float32)


def cloth(name: str) -> Linear:
    """A clothing colour in linear light."""
    return linear(CLOTH[name])


# Byte -> linear light, and linear light in steps of 1/4095 -> byte.
DECODE: NDArray[np.float32] = (np.arange(256) / 255.0).astype(np.float32) ** np.float32(_GAMMA)
ENCODE: NDArray[np.uint8] = (255 * np.linspace(0, 1, 4096) ** (1 / _GAMMA)).astype(np.uint8)
