"""Who else is in the picture: passers-by behind the person, and things standing in front.

A sprite is a picture of another person with transparency (height, width, 4). What stands in front
is a cover: a colour and an opacity (0 to 255) per pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from tipr.data.synthetic.curves import value_noise
from tipr.data.synthetic.jit import Bytes, kernel
from tipr.data.synthetic.palette import Rgb
from tipr.data.synthetic.rng import Rng

Sprites = Sequence[Image.Image]
Size = tuple[int, int]  # rows, columns

_POLES: tuple[Rgb, ...] = ((90, 92, 96), (60, 58, 56), (150, 150, 148), (64, 84, 70))
_BARRIERS: tuple[Rgb, ...] = (
    (150, 30, 30),
    (44, 46, 52),
    (190, 190, 194),
    (60, 70, 120),
    (120, 110, 100),
)
_LEAVES: Rgb = (52, 80, 40)


@dataclass(frozen=True, eq=False)
class Cover:
    """What stands in front of the person: colour (h, w, 3) and opacity (h, w), bytes."""

    colour: Bytes
    opacity: Bytes


def nothing_in_front(size: Size) -> Cover:
    return Cover(np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8))


def add_passers_by(backdrop: Bytes, horizon: int, sprites: Sprites, rng: Rng) -> Bytes:
    """One or two people further back, their feet on the ground below the row `horizon`."""
    height, width, _ = backdrop.shape
    picture = Image.fromarray(backdrop)
    for _ in range(1 + rng.below(2)):
        sprite, nearness = rng.pick(sprites), rng.uniform(0.35, 0.85)
        tall = max(int(height * nearness), 4)
        small = _resized(sprite, tall)
        foot = int(horizon + (height * 0.96 - horizon) * ((nearness - 0.1) / 0.9) ** 1.3)
        x = int(_beside(rng) * width - small.width / 2)
        soft = small.filter(ImageFilter.GaussianBlur(max(0.6, 1.6 - nearness)))
        picture.paste(soft, (x, foot - tall), small)
    return np.array(picture)


def _beside(rng: Rng) -> float:
    """Where across the picture someone walks: mostly towards an edge, as a fraction of it."""
    edge, left = rng.chance(0.75), rng.chance(0.5)
    if not edge:
        return rng.uniform(0, 1)
    return rng.uniform(-0.35, 0.15) if left else rng.uniform(0.85, 1.35)


def _resized(sprite: Image.Image, height: int) -> Image.Image:
    width = max(int(sprite.width * height / sprite.height), 2)
    return sprite.resize((width, height), Image.Resampling.BILINEAR)


def stand_in_front(size: Size, sprites: Sprites, rng: Rng, brightness: float) -> Cover:
    """A pole, a low wall or car, a hedge, or somebody else.

    `brightness` (0 to 1) is that of the place; sprites were already lit for it.
    """
    kind = rng.pick(["pole", "low", "low", "person", "person", "hedge"])
    if kind == "person" and sprites:
        return _neighbour(size, sprites, rng)
    if kind == "pole":
        cover = _pole(size, rng)
    elif kind == "hedge":
        cover = _low(size, rng, _LEAVES, bumps=0.03, texture=0.5)
    else:
        cover = _low(size, rng, rng.pick(_BARRIERS), bumps=0.0, texture=0.03)
    return Cover((cover.colour * brightness).astype(np.uint8), cover.opacity)


def _pole(size: Size, rng: Rng) -> Cover:
    width = size[1]
    cover = nothing_in_front(size)
    middle = int(width * rng.uniform(0.05, 0.95))
    half = max(int(width * rng.uniform(0.04, 0.09)), 1)
    left, right = max(middle - half, 0), min(middle + half, width)
    round_light = 0.7 + 0.5 * np.sin(np.linspace(0, math.pi, right - left))
    shade = np.array(rng.pick(_POLES)) * round_light[:, None]
    cover.opacity[:, left:right] = 255
    cover.colour[:, left:right] = np.clip(shade, 0, 255).astype(np.uint8)[None]
    return cover


def _low(size: Size, rng: Rng, colour: Rgb, *, bumps: float, texture: float) -> Cover:
    """Something that hides the lower part, its edge uneven by `bumps` of the height."""
    height, width = size
    edge = int(height * rng.uniform(0.60, 0.86))
    rough = value_noise(rng, size, (height // 6 + 1, width // 5 + 1), 2)
    row = np.arange(height)[:, None]
    lowered = row - edge - (rough[edge] * height * bumps).astype(int)
    opacity = np.clip(lowered / 1.5, 0, 1)
    darker = 0.25 * np.clip((row - edge) / max(height - edge, 1), 0, 1)
    shade = np.array(colour) * (1 + texture * rough - darker)[..., None]
    return Cover(np.clip(shade, 0, 255).astype(np.uint8), (opacity * 255).astype(np.uint8))


def _neighbour(size: Size, sprites: Sprites, rng: Rng) -> Cover:
    """Somebody close to the camera, cut by the picture's edge."""
    height, width = size
    cover = nothing_in_front(size)
    sprite = np.asarray(_resized(rng.pick(sprites), int(height * rng.uniform(0.95, 1.2))))
    near_left = rng.chance(0.5)
    middle = rng.uniform(-0.12, 0.08) if near_left else rng.uniform(0.92, 1.12)
    x0 = int(width * middle) - sprite.shape[1] // 2
    y0 = height - int(sprite.shape[0] * rng.uniform(0.85, 0.97))
    left, right = max(x0, 0), min(x0 + sprite.shape[1], width)
    top, bottom = max(y0, 0), min(y0 + sprite.shape[0], height)
    if right > left and bottom > top:
        seen = sprite[top - y0 : bottom - y0, left - x0 : right - x0]
        cover.colour[top:bottom, left:right] = seen[..., :3]
        cover.opacity[top:bottom, left:right] = seen[..., 3]
    return cover


@kernel
def lay_over(picture: Bytes, colour: Bytes, opacity: Bytes) -> None:
    """Put a cover in front of the picture, in place."""
    height, width, _ = picture.shape
    for row in range(height):
        for column in range(width):
            share = int(opacity[row, column])
            if share == 0:
                continue
            for channel in range(3):
                front = int(colour[row, column, channel])
                behind = int(picture[row, column, channel])
                mixed = (front * share + behind * (255 - share) + 127) // 255
                picture[row, column, channel] = np.uint8(mixed)


def sprite_from(on_black: Bytes, on_white: Bytes) -> Image.Image:
    """The person who was drawn once on black and once on white, with transparency between."""
    dark, bright = on_black.astype(np.float32), on_white.astype(np.float32)
    opacity = np.clip(1 - (bright - dark).mean(2) / 255, 0, 1)[..., None]
    colour = np.where(opacity > 0.02, dark / np.maximum(opacity, 0.02), 0).clip(0, 255)
    return Image.fromarray(np.dstack([colour, opacity * 255]).astype(np.uint8), "RGBA")
