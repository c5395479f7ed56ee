"""Claims about pictures of synthetic people; skipped where numba is not installed."""

from __future__ import annotations

import dataclasses
import io
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("numba", reason="rendering people needs numba")

from tipr.data.synthetic.camera import (
    Jitter,
    look_at,
    make_camera,
    view_name,
)
from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.occluders import Cover, add_passers_by, lay_over, stand_in_front
from tipr.data.synthetic.portrait import Portrait, Subject, paint, portray
from tipr.data.synthetic.pose import sample_pose
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.studio import LEVELS, Shot, Studio, prepare
from tipr.data.synthetic.tags import TAG, TAGS

FRONT, BACK = 0.0, math.pi
GARMENTS = ("upper", "inner", "outer", "lower")


def someone(**changes: object) -> Identity:
    """A bare-headed man in a plain t-shirt, jeans and glasses, with changes."""
    plain = {
        "sex": "male", "age": "adult", "hair": "short", "hat": "none", "glasses": "glasses",
        "beard": False, "mask": False, "upper": "t-shirt", "upper_c": "red", "pattern": "plain",
        "sleeve": "short", "outer": "none", "open": False, "lower": "jeans", "lower_c": "denim",
        "bag": "none", "carry": "none", "scarf": False, "tie": False, "belt": False, "tuck": False,
    }  # fmt: skip
    return dataclasses.replace(sample_identity(5, 0), **(plain | changes))


@pytest.fixture(scope="module")
def easy() -> Studio:
    return Studio(5, "easy")


@pytest.fixture(scope="module")
def hard() -> Studio:
    return Studio(5, "hard")


@pytest.fixture(scope="module")
def man() -> Subject:
    return prepare(someone())


@pytest.fixture(scope="module")
def crowd() -> list[Subject]:
    return [prepare(sample_identity(5, index)) for index in range(6)]


def area(shot: Shot) -> int:
    return shot.size[0] * shot.size[1]


def visible_pixels(shot: Shot) -> int:
    return sum(shot.visible.values())


def test_the_same_stream_gives_the_same_picture(easy: Studio, man: Subject) -> None:
    first = easy.shot(man, Rng("same"), 0)
    easy.shot(man, Rng("something else"), 3)
    again = easy.shot(prepare(someone()), Rng("same"), 0)
    assert first.jpeg == again.jpeg
    assert first.visible == again.visible
    assert first.jpeg != easy.shot(man, Rng("other"), 0).jpeg


def test_another_process_gives_the_same_picture(hard: Studio) -> None:
    here = [hard.shot(prepare(sample_identity(5, i)), Rng("p", i), 2).jpeg.hex() for i in (1, 0)]
    program = (
        "from tipr.data.synthetic.studio import *;"
        "from tipr.data.synthetic.identity import sample_identity as s;"
        "from tipr.data.synthetic.rng import Rng;"
        "t = Studio(5, 'hard');"
        "[print(t.shot(prepare(s(5, i)), Rng('p', i), 2).jpeg.hex()) for i in (0, 1)]"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert there.stdout.split() == here[::-1]


def test_the_file_is_a_jpeg_of_the_stated_size(easy: Studio, man: Subject) -> None:
    shot = easy.shot(man, Rng("file"), 1)
    with Image.open(io.BytesIO(shot.jpeg)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", shot.size)
    assert shot.pixels.shape == (shot.size[1], shot.size[0], 3)


def test_what_is_visible_fits_into_the_picture(hard: Studio, crowd: list[Subject]) -> None:
    for index, subject in enumerate(crowd):
        shot = hard.shot(subject, Rng("fits", index), index)
        assert set(shot.visible) == set(TAGS)
        assert all(isinstance(count, int) and count >= 0 for count in shot.visible.values())
        assert 0 < visible_pixels(shot) <= area(shot)
        left, top, right, bottom = shot.box
        assert 0 <= left < right <= shot.size[0]
        assert 0 <= top < bottom <= shot.size[1]
        assert visible_pixels(shot) <= (right - left) * (bottom - top)


def test_pictures_show_a_dressed_person(hard: Studio, crowd: list[Subject]) -> None:
    shots = [hard.shot(s, Rng("dressed", i), i % 8) for i, s in enumerate(crowd * 4)]
    assert sum(visible_pixels(shot) >= 0.12 * area(shot) for shot in shots) >= len(shots) - 1
    assert all(any(shot.visible[tag] for tag in GARMENTS) for shot in shots)


def test_glasses_and_face_are_seen_from_the_front_only(easy: Studio, man: Subject) -> None:
    for trial in range(3):
        front = easy.shot(man, Rng("face", trial), 0, FRONT)
        back = easy.shot(man, Rng("face", trial), 0, BACK)
        assert front.visible["face"] > 60
        assert front.visible["glasses"] > 0
        assert back.visible["face"] < 10  # a cheek, when the head is turned
        assert back.visible["glasses"] == back.visible["eyes"] == 0
        assert (front.view, back.view) == ("front", "back")


def test_levels_shrink_the_pictures(crowd: list[Subject]) -> None:
    heights = []
    for name in ("easy", "medium", "hard"):
        studio = Studio(5, name)
        shots = [studio.shot(s, Rng("ladder", i), i) for i, s in enumerate(crowd)]
        assert all(
            LEVELS[name].height[0] <= shot.size[1] < LEVELS[name].height[1] for shot in shots
        )
        heights.append(np.mean([shot.size[1] for shot in shots]))
    assert heights[0] > heights[1] > heights[2]


def test_a_twin_in_another_colour_stands_in_the_same_picture(easy: Studio, man: Subject) -> None:
    twin = prepare(someone(upper_c="blue"))
    red, blue = (easy.shot(subject, Rng("twin"), 4, FRONT) for subject in (man, twin))
    assert red.pose == blue.pose
    assert red.visible == blue.visible
    differs = np.abs(red.pixels.astype(int) - blue.pixels).max(2) > 40
    assert 0.3 * red.visible["upper"] < differs.sum() < 1.5 * red.visible["upper"]


def test_a_shirt_has_the_colour_of_its_name(easy: Studio, man: Subject) -> None:
    shot = easy.shot(man, Rng("colour"), 1, FRONT)
    left, top, right, bottom = shot.box
    height = bottom - top
    chest = shot.pixels[top + height // 4 : top + height // 3, (left + right) // 2 - 4 :][:, :8]
    red, green, blue = chest.reshape(-1, 3).mean(0)
    assert red > 1.8 * max(green, blue)


@pytest.mark.parametrize(
    ("yaw", "name"),
    [(0.3, "front"), (-0.3, "front"), (0.8, "front-left"), (-0.8, "front-right"),
     (math.pi / 2, "left"), (-math.pi / 2, "right"), (2.4, "back-left"), (-2.4, "back-right"),
     (math.pi + 0.2, "back"), (2 * math.pi, "front")],
)  # fmt: skip
def test_views_have_names(yaw: float, name: str) -> None:
    assert view_name(yaw) == name


def test_a_person_seen_as_left_faces_left_in_the_picture() -> None:
    subject = prepare(someone(glasses="sunglasses"))
    portrait = portrait_of(subject, math.pi / 2)
    head = tags_of(portrait)[: portrait.frame.height // 4]
    face = np.nonzero((head == TAG["sunglasses"]).any(0))[0]
    assert face.mean() < np.nonzero(head.any(0))[0].mean()


def portrait_of(subject: Subject, yaw: float) -> Portrait:
    """The subject looking straight ahead, seen from 9 m without jitter."""
    camera = make_camera(5, 1)
    view = look_at(camera, yaw, 9.0, subject.identity.height)
    pose = dataclasses.replace(sample_pose(subject.identity, Rng("pose")), head_yaw=0.0)
    return portray(subject, pose, camera, view, 200, Jitter())


def tags_of(portrait: Portrait) -> np.ndarray:
    """What each sample shows, up to the size of a triangle."""
    surface, face = portrait.subject.surface, np.maximum(portrait.nearest, 0)
    row = portrait.lit[surface.faces[face, 0], 0].astype(int)
    column = surface.columns[face, 0].astype(int) % surface.width[face]
    tags = portrait.subject.texels.tags[surface.base[face] + row * surface.width[face] + column]
    return np.where(portrait.nearest >= 0, tags, 0)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of easy, medium, hard"):
        Studio(5, "impossible")


def test_an_unknown_camera_is_refused(easy: Studio, man: Subject) -> None:
    with pytest.raises(ValueError, match="choose 0 to 7"):
        easy.shot(man, Rng("x"), 8)


def test_what_stands_in_front_hides_pixels(man: Subject) -> None:
    portrait = portrait_of(man, FRONT)
    backdrop = np.zeros((*portrait.size, 3), np.uint8)
    _, free = paint(portrait, backdrop, np.zeros(portrait.size, np.uint8))
    low = np.zeros(portrait.size, np.uint8)
    low[130:] = 255
    _, hidden = paint(portrait, backdrop, low)
    assert hidden[TAG["shoe"]] == hidden[TAG["sole"]] == 0 < free[TAG["shoe"]]
    assert hidden[TAG["face"]] == free[TAG["face"]]
    assert (hidden <= free).all()
    _, nothing = paint(portrait, backdrop, np.full(portrait.size, 255, np.uint8))
    assert nothing.sum() == 0


def test_every_occluder_covers_a_part_of_the_picture() -> None:
    sprite = Image.new("RGBA", (60, 200), (10, 20, 30, 255))
    shares = []
    for trial in range(24):
        cover = stand_in_front((120, 50), [sprite], Rng("front", trial), 1.0)
        assert cover.colour.shape == (120, 50, 3)
        shares.append(cover.opacity.mean() / 255)
    assert all(share < 0.75 for share in shares)
    assert sum(share > 0.02 for share in shares) >= 20


def test_a_cover_replaces_what_is_behind_it() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    opacity = np.array([[0, 255], [51, 0]], np.uint8)
    lay_over(picture, *dataclasses.astuple(Cover(np.full((2, 2, 3), 200, np.uint8), opacity)))
    assert picture[..., 0].tolist() == [[100, 200], [120, 100]]


def test_passers_by_change_the_backdrop_only() -> None:
    sprite = Image.new("RGBA", (60, 200), (255, 0, 0, 255))
    backdrop = np.zeros((150, 60, 3), np.uint8)
    crowds = [add_passers_by(backdrop, 40, [sprite], Rng("crowd", i)) for i in range(8)]
    assert not backdrop.any()
    assert sum(crowd.any() for crowd in crowds) >= 6


def test_tags_tell_what_each_pixel_shows_and_change_no_pixel(hard: Studio) -> None:
    subject = prepare(sample_identity(3, 1))
    plain, told = (hard.shot(subject, Rng(9, "tags"), 2, with_tags=tags) for tags in (False, True))
    assert plain.jpeg == told.jpeg and plain.tags is None and told.tags is not None
    assert told.tags.shape == told.pixels.shape[:2]
    counts = np.bincount(told.tags.ravel(), minlength=len(TAGS))
    seen = {tag: count for tag, count in told.visible.items() if count >= 100}
    assert len(seen) >= 2
    for tag, count in seen.items():
        assert counts[TAGS.index(tag)] == pytest.approx(count, rel=0.1)
