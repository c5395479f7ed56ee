"""Photographs of synthetic people: one call per picture, and what is visible in it.

A studio is eight cameras in five places with people passing by, the same for everyone who builds
one with the same seed. A picture depends only on the subject, the stream, the camera and the
level: the same ones give the same pixels in any process and any order, and a twin photographed
with the same stream stands in the same pose, place, light and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from tipr.data.synthetic.backdrop import draw_backdrop, ground_shadow, trace_rows
from tipr.data.synthetic.camera import (
    CAMERAS,
    PLACES,
    Camera,
    Jitter,
    look_at,
    make_camera,
    view_name,
)
from tipr.data.synthetic.degrade import Degradation, as_jpeg, degrade
from tipr.data.synthetic.identity import sample_identity
from tipr.data.synthetic.jit import Bytes, Longs
from tipr.data.synthetic.levels import DARKEST_NIGHT_EXPOSURE, LEVELS, Level
from tipr.data.synthetic.occluders import (
    Cover,
    add_passers_by,
    lay_over,
    nothing_in_front,
    sprite_from,
    stand_in_front,
)
from tipr.data.synthetic.portrait import Box, Portrait, Subject, paint, portray, prepare, tagged
from tipr.data.synthetic.pose import Pose, sample_pose
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.shading import COUNTS_PER_PIXEL
from tipr.data.synthetic.tags import TAGS

__all__ = ["LEVELS", "TAGS", "Level", "Shot", "Studio", "Subject", "prepare"]

_YAWS = (0, 0, math.pi, math.pi, math.pi / 2, -math.pi / 2, 0.8, -0.8, 2.4, -2.4)
_SPRITES = 12
_SPRITE_HEIGHT = 200
_SPRITE_DISTANCE = 9.0
_NIGHT_DIMMING = 0.45  # of painted things in front, which no light reaches
_TRIES = 4
_LEAST_SHARE = 0.12  # of a picture that must show the person
_GARMENTS = ("upper", "inner", "outer", "lower")


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture. `size` is (width, height); `visible` counts native pixels per tag.

    `view` names where the camera stands, the side word saying which way the person faces in the
    picture; `box` is left, top, right, bottom of the person; `pixels` are those before JPEG.
    `tags` (h, w) number what each pixel shows, where that was asked for.
    """

    jpeg: bytes
    size: tuple[int, int]
    visible: dict[str, int]
    camera: int
    view: str
    yaw: float
    pose: Pose
    box: Box
    pixels: Bytes
    tags: Bytes | None = None


@dataclass(frozen=True)
class _Setting:
    """How one picture is taken, before anyone stands there."""

    yaw: float
    distance: float
    height: int
    jitter: Jitter


class Studio:
    """The cameras and passers-by of one seed, taking pictures at one level of difficulty."""

    def __init__(self, seed: int, level: str) -> None:
        if level not in LEVELS:
            raise ValueError(f"there is no level {level!r}; choose one of {', '.join(LEVELS)}")
        self.level = LEVELS[level]
        self.cameras = tuple(make_camera(seed, index) for index in range(CAMERAS))
        self._by_day = _passers_by(seed, night=False)
        self._by_night = _passers_by(seed, night=True)

    def shot(
        self,
        subject: Subject,
        rng: Rng,
        camera: int,
        yaw: float | None = None,
        *,
        with_tags: bool = False,
    ) -> Shot:
        """A picture of the subject by one camera, from `yaw` around the person or from anywhere.

        Yaw is 0 in front, positive towards the person's left, in radians. A picture that shows
        too little of the person is taken again, a few times at most.
        """
        if not 0 <= camera < len(self.cameras):
            raise ValueError(f"camera {camera} does not exist; choose 0 to {CAMERAS - 1}")
        key = rng.bits()
        for attempt in range(_TRIES):
            shot = self._take(subject, (key, attempt), self.cameras[camera], yaw, with_tags)
            if _shows_enough(shot):
                break
        return shot

    def _take(
        self,
        subject: Subject,
        key: tuple[int, int],
        camera: Camera,
        yaw: float | None,
        with_tags: bool,
    ) -> Shot:
        setting = _sample_setting(camera, self.level, Rng(*key, "setting"), yaw)
        view = look_at(camera, setting.yaw, setting.distance, subject.identity.height)
        pose = sample_pose(subject.identity, Rng(*key, "pose"))
        portrait = portray(subject, pose, camera, view, setting.height, setting.jitter)
        rows = trace_rows(view, portrait.frame, camera.scenery.wall_distance)
        shadow = ground_shadow(portrait.positions, view.sun, camera.shadow)
        scene = Rng(*key, "scene")
        backdrop = draw_backdrop(camera, view, portrait.frame, rows, shadow, scene)
        crowd = Rng(*key, "crowd")
        sprites = self._by_night if camera.at_night else self._by_day
        if crowd.chance(self.level.passers_by):
            backdrop = add_passers_by(backdrop, rows.horizon, sprites, crowd)
        cover = self._cover(portrait, camera, Rng(*key, "front"))
        pixels, counts = paint(portrait, backdrop, cover.opacity)
        lay_over(pixels, cover.colour, cover.opacity)
        lens = Rng(*key, "lens")
        degrade(pixels, _sample_degradation(camera, self.level, setting.height, lens))
        low, high = self.level.quality
        return Shot(
            jpeg=as_jpeg(pixels, low + lens.below(high - low)),
            size=(portrait.frame.width, portrait.frame.height),
            visible=_visible(counts),
            camera=camera.index,
            view=view_name(setting.yaw),
            yaw=setting.yaw,
            pose=pose,
            box=portrait.box,
            pixels=pixels,
            tags=tagged(portrait, cover.opacity) if with_tags else None,
        )

    def _cover(self, portrait: Portrait, camera: Camera, rng: Rng) -> Cover:
        if not rng.chance(self.level.occluder):
            return nothing_in_front(portrait.size)
        if camera.at_night:
            return stand_in_front(portrait.size, self._by_night, rng, _NIGHT_DIMMING)
        return stand_in_front(portrait.size, self._by_day, rng, 1.0)


def _visible(counts: Longs) -> dict[str, int]:
    """Whole pixels per tag."""
    pixels = (int(count) // COUNTS_PER_PIXEL for count in counts)
    return dict(zip(TAGS, pixels, strict=True))


def _shows_enough(shot: Shot) -> bool:
    area = shot.size[0] * shot.size[1]
    dressed = any(shot.visible[tag] for tag in _GARMENTS)
    return dressed and sum(shot.visible.values()) >= _LEAST_SHARE * area


def _sample_setting(camera: Camera, level: Level, rng: Rng, yaw: float | None) -> _Setting:
    drawn = rng.pick(_YAWS) + rng.normal(0, 0.2)
    distance = rng.uniform(*camera.distance)
    low, high = level.height
    part = rng.uniform()
    return _Setting(
        yaw=drawn if yaw is None else yaw,
        distance=distance,
        height=int(low + (high - low) * part * (0.4 + 0.6 * part)),
        jitter=Jitter(
            taller=rng.uniform(-0.03, 0.10) * level.jitter,
            wider=rng.uniform(-0.02, 0.06) * level.jitter,
            right=rng.normal(0, 0.03) * level.jitter,
            down=rng.normal(0, 0.02) * level.jitter,
        ),
    )


def _sample_degradation(camera: Camera, level: Level, height: int, rng: Rng) -> Degradation:
    optics = camera.optics
    blur = optics.blur * level.blur * max(height / 300, 0.45) + rng.uniform(0, 0.35)
    exposure = rng.uniform(*level.exposure)
    if camera.at_night:
        exposure = max(exposure, DARKEST_NIGHT_EXPOSURE)
    red, green, blue = (
        gain * (1 + rng.normal(0, level.cast)) * exposure for gain in optics.white_balance
    )
    return Degradation(
        blur=blur,
        noise=optics.noise * level.noise * 1.7,
        gains=(red, green, blue),
        gamma=optics.gamma,
        saturation=optics.saturation,
        noise_seed=rng.bits() >> 1,
    )


@lru_cache(maxsize=4)
def _passers_by(seed: int, *, night: bool) -> tuple[Image.Image, ...]:
    """Other people, cut out, lit for the day or for the evening."""
    place = PLACES.index("evening street" if night else "overcast plaza")
    camera = make_camera(seed, place)
    return tuple(_cut_out(seed, index, camera) for index in range(_SPRITES))


def _cut_out(seed: int, index: int, camera: Camera) -> Image.Image:
    rng = Rng(seed, "passer-by", index)
    stranger = _stranger(seed, index)
    yaw = rng.pick(_YAWS) + rng.normal(0, 0.3)
    view = look_at(camera, yaw, _SPRITE_DISTANCE, stranger.identity.height)
    pose = sample_pose(stranger.identity, rng)
    portrait = portray(stranger, pose, camera, view, _SPRITE_HEIGHT, Jitter())
    black = np.zeros((*portrait.size, 3), np.uint8)
    clear = np.zeros(portrait.size, np.uint8)
    on_black, _ = paint(portrait, black, clear)
    on_white, _ = paint(portrait, np.full_like(black, 255), clear)
    return sprite_from(on_black, on_white)


@lru_cache(maxsize=_SPRITES)
def _stranger(seed: int, index: int) -> Subject:
    """Somebody who is in no data set of this seed."""
    return prepare(sample_identity(Rng(seed, "strangers").below(2**31), index))
