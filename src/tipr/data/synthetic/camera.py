"""Eight fixed cameras, how they see a person, and how a detector would crop what they see.

A camera is described by where it stands relative to the person: metres of distance and height,
and the yaw around the person, 0 in front and growing towards the person's left. World axes are
the person's own: x to the person's left, y up, z ahead. Projected coordinates are tangents of
angles, y downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tipr.data.synthetic.curves import product
from tipr.data.synthetic.jit import Doubles, Floats
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.scenery import Scenery, paint_scenery

PLACES = ("sunny street", "overcast plaza", "indoor hall", "evening street", "campus")
CAMERAS = 8

_AIM = 0.52  # the camera looks at this fraction of the person's height
_FACTS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], float]] = {
    # linear colour of the sun, of the sky, darkness of the shadow on the ground
    "sunny street": ((1.10, 1.02, 0.88), (0.42, 0.48, 0.58), 0.55),
    "overcast plaza": ((0.35, 0.35, 0.36), (0.78, 0.81, 0.86), 0.12),
    "indoor hall": ((0.42, 0.40, 0.34), (0.66, 0.64, 0.56), 0.12),
    "evening street": ((0.50, 0.38, 0.24), (0.34, 0.35, 0.42), 0.30),
    "campus": ((0.85, 0.82, 0.72), (0.52, 0.56, 0.58), 0.40),
}


@dataclass(frozen=True, eq=False)
class Optics:
    """What a camera does to every picture; blur in pixels of a 300-pixel-high crop."""

    blur: float
    noise: float
    white_balance: tuple[float, float, float]
    gamma: float
    saturation: float


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera: its place, its light, and its lens. `sun` is a unit vector of its world."""

    index: int
    place: str
    height: float
    distance: tuple[float, float]
    sun: Doubles
    sun_colour: Floats
    sky_colour: Floats
    shadow: float
    optics: Optics
    scenery: Scenery

    @property
    def at_night(self) -> bool:
        return self.place.startswith("evening")


@lru_cache(maxsize=32)
def make_camera(seed: int, index: int) -> Camera:
    """The camera with this index; the first five stand in five different places."""
    rng = Rng(seed, "camera", index)
    place = PLACES[index] if index < len(PLACES) else Rng(seed, "place", index).pick(PLACES)
    night = place.startswith("evening")
    sun_colour, sky_colour, shadow = _FACTS[place]
    height, near, far = rng.uniform(2.2, 4.2), rng.uniform(5, 7), rng.uniform(10, 15)
    elevation, azimuth = rng.uniform(0.5, 1.1), rng.uniform(-2.2, 2.2)
    level = math.cos(elevation)
    return Camera(
        index=index,
        place=place,
        height=height,
        distance=(near, far),
        sun=np.array([math.sin(azimuth) * level, math.sin(elevation), math.cos(azimuth) * level]),
        sun_colour=np.array(sun_colour, np.float32),
        sky_colour=np.array(sky_colour, np.float32),
        shadow=shadow,
        optics=Optics(
            blur=rng.uniform(0.2, 0.9),
            noise=rng.uniform(5, 10) if night else rng.uniform(1.5, 6),
            white_balance=(rng.normal(1, 0.04), 1.0, rng.normal(1, 0.05)),
            gamma=rng.uniform(0.88, 1.15),
            saturation=rng.uniform(0.75, 1.1),
        ),
        scenery=paint_scenery(place, Rng(seed, "scenery", index)),
    )


@dataclass(frozen=True, eq=False)
class View:
    """A camera standing around a person: its eye and its axes, unit vectors of the person's."""

    eye: Doubles
    right: Doubles
    up: Doubles
    ahead: Doubles
    distance: float
    sun: Doubles


def look_at(camera: Camera, yaw: float, distance: float, person_height: float) -> View:
    """The camera turned around the person by `yaw`, with the sun turned along with it."""
    sine, cosine = math.sin(yaw), math.cos(yaw)
    eye = np.array([sine * distance, camera.height, cosine * distance])
    ahead = np.array([0, person_height * _AIM, 0]) - eye
    ahead /= math.sqrt(float(product(ahead, ahead)))
    right = np.array([-ahead[2], 0, ahead[0]])
    right /= math.sqrt(float(product(right, right)))
    up = np.array(
        [
            right[1] * ahead[2] - right[2] * ahead[1],
            right[2] * ahead[0] - right[0] * ahead[2],
            right[0] * ahead[1] - right[1] * ahead[0],
        ]
    )
    x, y, z = camera.sun
    sun = np.array([x * cosine + z * sine, y, z * cosine - x * sine])
    return View(eye, right, up, ahead, distance, sun / math.sqrt(float(product(sun, sun))))


@dataclass(frozen=True)
class Jitter:
    """A detector's error, as fractions of the box: taller, wider, shifted right and down."""

    taller: float = 0.02
    wider: float = 0.0
    right: float = 0.0
    down: float = 0.0


@dataclass(frozen=True)
class Frame:
    """A crop: its centre in tangents, pixels per tangent, and its size in pixels."""

    x: float
    y: float
    scale: float
    width: int
    height: int


_MARGIN = 1.06
_NARROWEST, _WIDEST = 0.36, 0.56  # width of a crop over its height


@dataclass(frozen=True, eq=False)
class Projection:
    """Vertices as a camera sees them: tangents right and down, and depth ahead in metres."""

    x: Floats
    y: Floats
    depth: Floats

    def in_pixels(self, frame: Frame, samples: int) -> tuple[Floats, Floats]:
        """Places (V,) in a picture of the frame with `samples` samples per pixel."""
        scale = np.float32(frame.scale * samples)
        x = (self.x - np.float32(frame.x)) * scale + np.float32(frame.width * samples / 2)
        y = (self.y - np.float32(frame.y)) * scale + np.float32(frame.height * samples / 2)
        return x, y


def project(positions: Floats, view: View) -> Projection:
    axes = np.stack([view.right, -view.up, view.ahead], 1).astype(np.float32)
    seen = product(positions - view.eye.astype(np.float32), axes)
    nearness = np.float32(1) / seen[:, 2]
    depth = np.ascontiguousarray(seen[:, 2])
    return Projection(seen[:, 0] * nearness, seen[:, 1] * nearness, depth)


def crop(projection: Projection, height: int, jitter: Jitter) -> Frame:
    """The crop of `height` pixels that a detector would cut around the person."""
    left, right = float(projection.x.min()), float(projection.x.max())
    top, bottom = float(projection.y.min()), float(projection.y.max())
    tall = (bottom - top) * (_MARGIN + jitter.taller)
    wide = max((right - left) * 1.08, tall * (_NARROWEST + jitter.wider))
    wide = min(wide, tall * _WIDEST)
    return Frame(
        x=(left + right) / 2 + jitter.right * wide,
        y=(top + bottom) / 2 + jitter.down * tall,
        scale=height / tall,
        width=round(wide / tall * height),
        height=height,
    )


_VIEWS = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")


def view_name(yaw: float) -> str:
    """The nearest of eight views; left and right say which way the person faces in the picture."""
    turn = math.atan2(math.sin(yaw), math.cos(yaw)) / (math.pi / 4)
    return _VIEWS[math.floor(turn + 0.5) % 8]
