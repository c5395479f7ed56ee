# ruff: noqa: PLR0913
"""The ground and the wall as one camera sees them behind a person, with the person's shadow.

A camera does not roll, so each row of a picture lies either on the ground or on the wall, at one
distance ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tipr.data.synthetic.camera import Camera, Frame, View
from tipr.data.synthetic.curves import product
from tipr.data.synthetic.jit import Bytes, Doubles, Flags, Floats, kernel
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.scenery import GROUND_TEXELS_PER_METRE, WALL_TEXELS_PER_METRE

_SHADOW_CELLS = 180  # the shadow map is a square of this many cells around the person
_SHADOW_CELL = 0.03  # metres
_WALL_DEFOCUS = 0.4  # mip levels by which the wall is out of focus
_SIZES = 4


@dataclass(frozen=True, eq=False)
class Rows:
    """Per row of a picture: is it ground, and metres ahead, above the ground and along a ray."""

    is_ground: Flags
    ahead: Doubles
    above: Doubles
    ray: Doubles

    @property
    def horizon(self) -> int:
        """The first row of ground; halfway down where none is in view."""
        return int(np.argmax(self.is_ground)) if self.is_ground.any() else len(self.ray) // 2


def trace_rows(view: View, frame: Frame, wall_distance: float) -> Rows:
    """Where each row of the frame meets the ground or, if that comes first, the wall."""
    level = _level(view.ahead)
    down = (np.arange(frame.height) + 0.5 - frame.height / 2) / frame.scale + frame.y
    rise = -view.up[1] * down + view.ahead[1]
    advance = float(-product(view.up, level)) * down + float(product(view.ahead, level))
    to_ground = np.where(rise < -1e-4, -view.eye[1] / np.minimum(rise, -1e-4), 1e9)
    to_wall = (view.distance + wall_distance) / np.maximum(advance, 1e-3)
    is_ground = to_ground < to_wall
    ray = np.where(is_ground, to_ground, to_wall)
    return Rows(is_ground, ray * advance, view.eye[1] + ray * rise, ray)


def _level(direction: Doubles) -> Doubles:
    """The horizontal part of a direction, at length one."""
    flat = np.array([direction[0], 0, direction[2]])
    return flat / math.sqrt(float(product(flat, flat)))


def _size(rays: Doubles, frame: Frame, texels_per_metre: float, defocus: float = 0.0) -> int:
    """Which of the painted sizes has about one texel per pixel on these rows."""
    if not rays.size:
        return 0
    texels = max(float(rays.mean()) / frame.scale * texels_per_metre, 1.0)
    return int(min(max(math.log2(texels) + defocus, 0), _SIZES - 1))


def draw_backdrop(
    camera: Camera, view: View, frame: Frame, rows: Rows, shadow: Floats, rng: Rng
) -> Bytes:
    """The picture (height, width, 3) behind a person who casts `shadow`; `rng` shifts the scene."""
    scenery, level = camera.scenery, _level(view.ahead)
    ground_size = _size(rows.ray[rows.is_ground], frame, GROUND_TEXELS_PER_METRE)
    wall_size = _size(rows.ray[~rows.is_ground], frame, WALL_TEXELS_PER_METRE, _WALL_DEFOCUS)
    picture = np.empty((frame.height, frame.width, 3), np.uint8)
    _sample(
        picture,
        rows.is_ground,
        rows.ray / frame.scale,
        rows.ray * (frame.x - frame.width / 2 / frame.scale),
        rows.ahead,
        rows.above,
        scenery.ground[ground_size],
        GROUND_TEXELS_PER_METRE / 2**ground_size,
        scenery.wall[wall_size],
        WALL_TEXELS_PER_METRE / 2**wall_size,
        np.array([rng.uniform(0, 8), rng.uniform(0, 8), rng.uniform(0, 24)]),
        shadow,
        np.array([view.eye[0], view.eye[2], level[0], level[2], view.right[0], view.right[2]]),
    )
    return picture


@kernel
def _sample(
    picture: Bytes,
    is_ground: Flags,
    metres_per_pixel: Doubles,
    first_aside: Doubles,
    ahead: Doubles,
    above: Doubles,
    ground: Bytes,
    ground_density: float,
    wall: Bytes,
    wall_density: float,
    shifts: Doubles,
    shadow: Floats,
    plan: Doubles,
) -> None:
    """Nearest-texel lookup; `plan` is eye, ahead and right on the ground plane, (x, z) each."""
    height, width, _ = picture.shape
    cells = shadow.shape[0]
    wall_rows, wall_columns = wall.shape[0], wall.shape[1]
    for row in range(height):
        if not is_ground[row]:
            v = min(max(wall_rows - 1 - int(above[row] * wall_density), 0), wall_rows - 1)
            for column in range(width):
                aside = metres_per_pixel[row] * (column + 0.5) + first_aside[row]
                u = math.floor((aside + shifts[2]) * wall_density) % wall_columns
                for channel in range(3):
                    picture[row, column, channel] = wall[v, u, channel]
            continue
        v = math.floor((ahead[row] + shifts[1]) * ground_density) % ground.shape[0]
        for column in range(width):
            aside = metres_per_pixel[row] * (column + 0.5) + first_aside[row]
            u = math.floor((aside + shifts[0]) * ground_density) % ground.shape[1]
            x = plan[0] + plan[2] * ahead[row] + plan[4] * aside
            z = plan[1] + plan[3] * ahead[row] + plan[5] * aside
            a, b = x / _SHADOW_CELL + cells * 0.5, z / _SHADOW_CELL + cells * 0.5
            light = 1.0
            if a > 1 and b > 1 and a < cells - 2 and b < cells - 2:
                i, j = int(b), int(a)
                down, right = b - i, a - j
                near = shadow[i, j] * (1 - right) + shadow[i, j + 1] * right
                far = shadow[i + 1, j] * (1 - right) + shadow[i + 1, j + 1] * right
                light = 1 - (near * (1 - down) + far * down)
            for channel in range(3):
                picture[row, column, channel] = np.uint8(ground[v, u, channel] * light)


def ground_shadow(positions: Floats, sun: Doubles, darkness: float) -> Floats:
    """What the person takes of the light on the ground (z, x), person in the middle: 0 to 1."""
    shear = np.array([sun[0] / sun[1], sun[2] / sun[1]])
    return _cast(positions, shear, np.float32(darkness))


@kernel
def _cast(positions: Floats, shear: Doubles, darkness: np.float32) -> Floats:
    """The sun's shadow from sheared vertices, and a darker one where the shoes touch."""
    size = _SHADOW_CELLS
    cast = np.zeros((size, size), np.float32)
    contact = np.zeros((size, size), np.float32)
    other = np.zeros((size, size), np.float32)
    for i in range(positions.shape[0]):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        a = int((x - y * shear[0]) / _SHADOW_CELL + size * 0.5)
        b = int((z - y * shear[1]) / _SHADOW_CELL + size * 0.5)
        if a > 1 and b > 1 and a < size - 2 and b < size - 2:
            cast[b, a] = darkness
            cast[b, a - 1] = darkness
            cast[b - 1, a] = darkness
            cast[b - 1, a - 1] = darkness
        if y < 0.15:
            a, b = int(x / _SHADOW_CELL + size * 0.5), int(z / _SHADOW_CELL + size * 0.5)
            if a > 1 and b > 1 and a < size - 2 and b < size - 2:
                contact[b, a] = np.float32(0.75)
    for _ in range(2):
        _spread(cast, other, np.float32(2), np.float32(1 / 6.0))
        cast, other = other, cast
        _spread(contact, other, np.float32(1), np.float32(0.2))
        contact, other = other, contact
    for b in range(size):
        for a in range(size):
            touch = min(contact[b, a] * np.float32(1.1), np.float32(0.68))
            cast[b, a] = max(cast[b, a], touch)
    return cast


@kernel
def _spread(source: Floats, target: Floats, centre: np.float32, scale: np.float32) -> None:
    """Each cell's average with its four neighbours; the rim is left as it is."""
    size = source.shape[0]
    for b in range(1, size - 1):
        for a in range(1, size - 1):
            beside = source[b, a - 1] + source[b, a + 1] + source[b - 1, a] + source[b + 1, a]
            target[b, a] = (source[b, a] * centre + beside) * scale
