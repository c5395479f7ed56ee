"""What is woven into or printed on a garment: stripes, checks, dots, flowers, logos, lettering.

Patterns are measured in metres, so a stripe is as wide on a sleeve as on the chest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from tipr.data.synthetic.palette import Linear, cloth
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.textures import Picture, Plane, Shape, blend, centres, noise

Size = tuple[float, float]


def paint_pattern(picture: Picture, name: str, second: Linear, rng: Rng, size: Size) -> Picture:
    """`picture`, `size` = (height, width) metres, with the named pattern in a second colour."""
    draw = _PATTERNS.get(name)
    if draw is None:
        return picture
    height, width = picture.shape[:2]
    return draw(picture, second, rng, centres(height) * size[0], centres(width) * size[1])


def _across(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    period = rng.pick([0.03, 0.05, 0.08, 0.12])
    on = (y % period) < period * rng.uniform(0.35, 0.55)
    return blend(picture, second, np.repeat(on[:, None], x.size, 1))


def _upright(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    period = rng.pick([0.02, 0.035, 0.05])
    on = (x % period) < period * rng.uniform(0.3, 0.5)
    return blend(picture, second, np.repeat(on[None], y.size, 0))


def _plaid(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    period = rng.pick([0.06, 0.09, 0.12])
    bands = (x % period < period * 0.5)[None] * 0.45 + (y % period < period * 0.5)[:, None] * 0.45
    thin_x = (x + 0.3 * period) % period < period * 0.08
    thin_y = (y + 0.3 * period) % period < period * 0.08
    lines = thin_x[None] | thin_y[:, None]
    return blend(picture * (1 - 0.5 * lines[..., None]), second, bands)


def _dots(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    period = rng.pick([0.04, 0.06])
    row = y[:, None] / period
    column = x[None] / period + 0.5 * (np.floor(row) % 2)
    return blend(picture, second, (column % 1 - 0.5) ** 2 + (row % 1 - 0.5) ** 2 < 0.085)


def _floral(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    shape = (y.size, x.size)
    petals = cloth(rng.pick(["red", "pink", "yellow", "green", "blue"]))
    flowers = blend(picture, petals, noise(shape, (16, 20), 2, 0) > 0.45)
    return blend(flowers, second, noise(shape, (16, 20), 2, 3) > 0.25)


def _blocks(picture: Picture, second: Linear, rng: Rng, y: Plane, x: Plane) -> Picture:
    below = np.arange(y.size) > y.size * rng.pick([0.35, 0.5, 0.62])
    return blend(picture, second, np.repeat(below[:, None], x.size, 1))


_PATTERNS: dict[str, Callable[[Picture, Linear, Rng, Plane, Plane], Picture]] = {
    "horizontal stripes": _across,
    "vertical stripes": _upright,
    "plaid": _plaid,
    "dots": _dots,
    "floral": _floral,
    "color block": _blocks,
}

# Patterns that sleeves carry too; a print or lettering stays on the chest.
ALL_OVER = ("horizontal stripes", "vertical stripes", "plaid", "dots", "floral")

_OVERSAMPLING = 4


class _Stencil:
    """A drawing around a centre, in units of its half-size; grey 0 to 255."""

    def __init__(self, shape: Shape) -> None:
        height, width = shape[0] * _OVERSAMPLING, shape[1] * _OVERSAMPLING
        self.image = Image.new("L", (width, height), 0)
        self._draw = ImageDraw.Draw(self.image)
        self._x, self._y, self._half = width // 2, int(height * 0.36), int(width * 0.085)

    def _place(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self._x + x * self._half, self._y + y * self._half) for x, y in points]

    def polygon(self, points: list[tuple[float, float]], grey: int = 255) -> None:
        self._draw.polygon(self._place(points), fill=grey)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, grey: int = 255) -> None:
        self._draw.rectangle(self._place([(x0, y0), (x1, y1)]), fill=grey)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, grey: int = 255) -> None:
        self._draw.ellipse(self._place([(x0, y0), (x1, y1)]), fill=grey)

    def cover(self) -> Plane:
        small = self.image.reduce(_OVERSAMPLING)
        return (np.asarray(small, np.float32) / 255).astype(np.float32)


def print_cover(shape: Shape, rng: Rng) -> Plane:
    """How much of each texel of a chest is covered by one of seven logos."""
    stencil = _Stencil(shape)
    rng.pick([_ring, _star, _triangle, _square, _heart, _bars, _smile])(stencil)
    return stencil.cover()


def text_cover(shape: Shape, rng: Rng) -> Plane:
    """How much of each texel of a chest is covered by one or two lines of block lettering."""
    stencil = _Stencil(shape)
    y = -0.5
    for _ in range(rng.below(2) + 1):
        x = -1.05
        while x < 0.95:
            wide = rng.uniform(0.12, 0.26)
            stencil.rectangle(x, y, x + wide, y + 0.42)
            stencil.rectangle(x + wide * 0.35, y + 0.126, x + wide * 0.7, y + 0.294, 0)
            x += wide + 0.10
        y += 0.62
    return stencil.cover()


def _ring(stencil: _Stencil) -> None:
    stencil.ellipse(-0.8, -0.8, 0.8, 0.8)
    stencil.ellipse(-0.4, -0.4, 0.4, 0.4, 90)


def _star(stencil: _Stencil) -> None:
    reach = [1.0 if corner % 2 == 0 else 0.42 for corner in range(10)]
    angle = [corner * math.pi / 5 for corner in range(10)]
    stencil.polygon(
        [(math.sin(a) * r, -math.cos(a) * r) for a, r in zip(angle, reach, strict=True)]
    )


def _triangle(stencil: _Stencil) -> None:
    stencil.polygon([(0, -1), (-1, 0.8), (1, 0.8)])


def _square(stencil: _Stencil) -> None:
    stencil.rectangle(-0.8, -0.9, 0.8, 0.9)
    stencil.ellipse(-0.4, -0.5, 0.4, 0.3, 60)


def _heart(stencil: _Stencil) -> None:
    stencil.ellipse(-0.8, -0.7, 0, 0.15)
    stencil.ellipse(0, -0.7, 0.8, 0.15)
    stencil.polygon([(-0.75, -0.1), (0.75, -0.1), (0, 0.9)])


def _bars(stencil: _Stencil) -> None:
    for bar in range(4):
        half, top = 1 - 0.15 * bar, -0.8 + 0.45 * bar
        stencil.rectangle(-half, top, half, top + 0.25)


def _smile(stencil: _Stencil) -> None:
    stencil.ellipse(-0.8, -1, 0.8, 1)
    stencil.ellipse(-0.4, -0.4, -0.1, -0.1, 0)
    stencil.ellipse(0.1, -0.4, 0.4, -0.1, 0)
    stencil.rectangle(-0.4, 0.3, 0.4, 0.5, 0)
