"""What stands behind the people: a paved ground and a wall of shops, windows, hedges and cars.

Both are painted once per camera, with half-, quarter- and eighth-size copies for the distance. The
ground repeats every 8 m and the wall, 8 m high, every 24 m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tipr.data.synthetic.curves import value_noise
from tipr.data.synthetic.jit import Bytes
from tipr.data.synthetic.palette import Rgb
from tipr.data.synthetic.rng import Rng

GROUND_TEXELS_PER_METRE = 64.0
WALL_TEXELS_PER_METRE = 1024 / 24
_GROUND = 512
_WALL_WIDTH, _WALL_HEIGHT = 1024, 340

_PAVING: dict[str, Rgb] = {
    "sunny street": (136, 132, 126),
    "overcast plaza": (150, 148, 144),
    "indoor hall": (176, 170, 158),
    "evening street": (92, 90, 92),
    "campus": (146, 138, 124),
}
_PLASTER: tuple[Rgb, ...] = (
    (150, 120, 100),
    (170, 165, 155),
    (120, 110, 105),
    (186, 176, 150),
    (140, 150, 155),
)
_CAR_PAINT: tuple[Rgb, ...] = (
    (200, 200, 204),
    (40, 42, 48),
    (150, 30, 30),
    (50, 70, 120),
    (110, 112, 116),
)
_CAR_LENGTH = int(4.3 * WALL_TEXELS_PER_METRE)


@dataclass(frozen=True, eq=False)
class Scenery:
    """Ground and wall, each at four sizes (rows, columns, 3), and metres from person to wall."""

    ground: tuple[Bytes, ...]
    wall: tuple[Bytes, ...]
    wall_distance: float


def paint_scenery(place: str, rng: Rng) -> Scenery:
    ground = _paint_ground(place, Rng(rng.bits(), "ground"))
    wall = _paint_wall(place, Rng(rng.bits(), "wall"))
    return Scenery(_sizes(ground), _sizes(wall), rng.uniform(2.5, 7))


def _sizes(picture: np.ndarray) -> tuple[Bytes, ...]:
    full = np.clip(picture, 0, 255).astype(np.uint8)
    image = Image.fromarray(full)
    smaller = [
        image.resize((image.width // step, image.height // step), Image.Resampling.BOX)
        for step in (2, 4, 8)
    ]
    return (full, *(np.asarray(small) for small in smaller))


def _paint_ground(place: str, rng: Rng) -> np.ndarray:
    """Asphalt with a crossing on the sunny street, slabs indoors and on squares."""
    shape = (_GROUND, _GROUND)
    broad = value_noise(rng, shape, (8, 8), 5, 0.6)
    fine = value_noise(rng, shape, (64, 64), 2)
    ground = np.array(_PAVING[place]) * (1 + 0.07 * broad + 0.05 * fine)[..., None]
    place_along = np.arange(_GROUND)
    if place in ("overcast plaza", "campus", "indoor hall"):
        slab = rng.pick([32, 48, 64])
        joint = place_along % slab < 2
        ground[joint] *= 0.82
        ground[:, joint] *= 0.82
        number = place_along // slab
        ground *= (1 + 0.05 * ((number[:, None] + number[None]) % 2))[..., None]
    if place == "sunny street":
        stripe = (place_along % 80 < 44)[None, :, None]
        worn = 205 * (1 + 0.05 * broad[60:100, :, None])
        ground[60:100] = np.where(stripe, worn, ground[60:100])
    return ground


class _Wall:
    """A wall being drawn, darker in the evening. Rows count down from 8 m above the ground."""

    def __init__(self, place: str, rng: Rng) -> None:
        self.rng = rng
        self.night = place.startswith("evening")
        self.image = Image.new("RGB", (_WALL_WIDTH, _WALL_HEIGHT))
        self._draw = ImageDraw.Draw(self.image)

    def _paint(self, colour: Rgb) -> Rgb:
        red, green, blue = (int(value * (0.5 if self.night else 1)) for value in colour)
        return red, green, blue

    def colour(self, lows: Rgb = (0, 0, 0), spans: Rgb = (220, 220, 220)) -> Rgb:
        """A random colour from `lows`, up to `spans` brighter in each channel."""
        red, green, blue = (
            low + self.rng.below(span) for low, span in zip(lows, spans, strict=True)
        )
        return red, green, blue

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        self._draw.rectangle([x0, y0, x1, y1], fill=self._paint(colour))

    def outline(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        self._draw.rectangle([x0, y0, x1, y1], outline=self._paint(colour), width=3)

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb, width: int) -> None:
        self._draw.line([x0, y0, x1, y1], fill=self._paint(colour), width=width)

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        self._draw.ellipse([x0, y0, x1, y1], fill=self._paint(colour))

    def leaves(self, x: int, width: int, rows: tuple[int, int], count: int, size: int) -> None:
        spans = (50, 60, 30) if size < 8 else (60, 70, 30)
        for _ in range(count):
            a, b = x + self.rng.below(width), rows[0] + self.rng.below(rows[1] - rows[0])
            leaf = self.colour((30, 60, 25), spans)
            self.ellipse(a - size, b - size + 1, a + size, b + size - 1, leaf)

    def car(self, x: int) -> None:
        draw, length = self._draw, _CAR_LENGTH
        paint, glass = self._paint(self.rng.pick(_CAR_PAINT)), (40, 48, 56)
        draw.rounded_rectangle([x, 288, x + length, 332], 10, fill=paint)

        def slab(rows: tuple[int, int], corners: tuple[float, float, float, float]) -> list:
            low, high = rows
            a, b, c, d = (x + length * corner for corner in corners)
            return [(a, low), (b, high), (c, high), (d, low)]

        draw.polygon(slab((290, 264), (0.18, 0.30, 0.70, 0.86)), fill=paint)
        draw.polygon(slab((289, 268), (0.23, 0.32, 0.49, 0.49)), fill=glass)
        draw.polygon(slab((289, 268), (0.52, 0.52, 0.68, 0.79)), fill=glass)
        for wheel in (0.2, 0.8):
            middle = x + length * wheel
            draw.ellipse([middle - 14, 316, middle + 14, 344], fill=(22, 22, 24))


def _window(wall: _Wall, x: int, width: int) -> None:
    for top in (20, 150):
        wall.rectangle(x + 8, top, x + width - 8, top + 90, (70, 84, 96))
        wall.line(x + width // 2, top, x + width // 2, top + 90, (190, 190, 190), 3)
        wall.outline(x + 8, top, x + width - 8, top + 90, (200, 200, 196))


def _shop(wall: _Wall, x: int, width: int) -> None:
    """A shop window, lit in the evening, under a sign."""
    inside = wall.colour((60, 70, 80), (80, 80, 80))
    wall.rectangle(x + 4, 190, x + width - 4, 326, (440, 380, 240) if wall.night else inside)
    sign = wall.colour((30, 20, 30), (200, 160, 160))
    wall.rectangle(x + 2, 160, x + width - 2, 190, sign)
    for _ in range(6):
        left = x + 8 + wall.rng.below(max(width - 30, 1))
        top, wide = 240 + wall.rng.below(40), wall.rng.below(24) + 6
        wall.rectangle(left, top, left + wide, 322, wall.colour())


def _door(wall: _Wall, x: int, width: int) -> None:
    middle = x + width // 2
    wall.rectangle(middle - 24, 240, middle + 24, 340, (90, 60, 44))
    wall.rectangle(middle - 20, 248, middle + 20, 290, (60, 70, 80))


def _hedge(wall: _Wall, x: int, width: int) -> None:
    wall.rectangle(x, 270, x + width, 340, (52, 84, 40))
    wall.leaves(x, width, (258, 338), 160, 5)


def _tree(wall: _Wall, x: int, width: int) -> None:
    wall.rectangle(x + width // 2 - 7, 120, x + width // 2 + 7, 340, (74, 58, 44))
    wall.leaves(x, width, (0, 170), 220, 9)


def _fence(wall: _Wall, x: int, width: int) -> None:
    for bar in range(x, x + width, 8):
        wall.line(bar, 270, bar, 340, (60, 62, 64), 2)
    wall.line(x, 272, x + width, 272, (60, 62, 64), 3)


def _pillar(wall: _Wall, x: int, width: int) -> None:
    middle = x + width // 2
    wall.rectangle(middle - 16, 0, middle + 16, 340, (180, 176, 170))
    wall.rectangle(middle + 6, 0, middle + 16, 340, (140, 136, 132))


def _poster(wall: _Wall, x: int, width: int) -> None:
    wall.rectangle(x + 14, 180, x + width - 14, 290, wall.colour())
    wall.ellipse(x + width // 2 - 20, 200, x + width // 2 + 20, 250, wall.colour())


def _bare(wall: _Wall, x: int, width: int) -> None:
    """A stretch of wall with nothing on it."""


_STREET: tuple[Callable[[_Wall, int, int], None], ...] = (
    _window,
    _door,
    _shop,
    _hedge,
    _bare,
    _pillar,
    _poster,
)
_CAMPUS: tuple[Callable[[_Wall, int, int], None], ...] = (
    _hedge,
    _hedge,
    _window,
    _tree,
    _bare,
    _fence,
)


def _paint_wall(place: str, rng: Rng) -> np.ndarray:
    wall = _Wall(place, rng)
    wall.rectangle(0, 0, _WALL_WIDTH, _WALL_HEIGHT, rng.pick(_PLASTER))
    x = 0
    while x < _WALL_WIDTH:
        width = int(rng.uniform(1.5, 4.5) * WALL_TEXELS_PER_METRE)
        rng.pick(_CAMPUS if place == "campus" else _STREET)(wall, x, width)
        x += width
    if place in ("sunny street", "evening street"):
        for _ in range(3):
            wall.car(rng.below(900))
    soft = np.asarray(wall.image.filter(ImageFilter.GaussianBlur(1.1)), np.float64)
    stains = value_noise(rng, (_WALL_HEIGHT, _WALL_WIDTH), (20, 60), 3)
    return soft * (1 + 0.06 * stains)[..., None]
