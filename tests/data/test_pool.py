from __future__ import annotations

import math
import random
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
import torch
from PIL import Image

from tipr.data import pool
from tipr.data.batching import PairBatcher
from tipr.data.images import ImageTransform
from tipr.data.pairs import Pair
from tipr.data.pool import ImagePool, cropped, erased, greyed, jittered, rotated
from tipr.data.tokenizers import read_tokenizer
from tipr.training.experiment import DataConfig, changed

WEIGHTS = torch.tensor([0.2989, 0.587, 0.114]).view(3, 1, 1)


def pictures(count: int = 4, height: int = 24, width: int = 12) -> torch.Tensor:
    torch.manual_seed(0)
    return 0.2 + 0.6 * torch.rand(count, 3, height, width)


def as_released(rng: random.Random, names: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Two choices with replacement, each flip with a coin of its own."""
    drawn = [rng.choice(names) for _ in range(2)]
    turns = sum(name == "flip" and rng.random() < 0.5 for name in drawn)
    return tuple(name for name in drawn if name != "flip"), turns % 2 == 1


def test_changes_and_flips_fall_together_as_in_the_released_code() -> None:
    """Though the flips are drawn first."""
    settings, count = ImagePool(), 60_000
    rng = random.Random(0)
    expected = Counter(as_released(rng, settings.names) for _ in range(count))
    torch.manual_seed(0)
    flipped = torch.rand(count) < settings.flip
    drawn = settings._drawn(flipped).tolist()
    named = [[[*settings.names, "flip"][i] for i in row] for row in drawn]
    found = Counter(
        (tuple(name for name in row if name != "flip"), mirrored)
        for row, mirrored in zip(named, flipped.tolist(), strict=True)
    )
    assert found.keys() == expected.keys() and len(found) == 25 + 5 + 1 + 5 + 1
    for outcome, often in expected.items():
        assert abs(found[outcome] - often) < 6 * math.sqrt(often)
    assert settings.flip == pytest.approx(11 / 72)


@pytest.mark.parametrize(
    ("settings", "chance"),
    [({"names": ("grey",)}, 0), ({"draws": 1}, 1 / 12), ({"names": ("flip",)}, 1 / 2),
     ({"names": ("flip",), "turn_over": 1.0}, 0), ({"turn_over": 0.0}, 0),
     ({"names": ("flip",), "turn_over": 1.0, "draws": 3}, 1)],
)  # fmt: skip
def test_flips_are_as_likely_as_their_draws(settings, chance) -> None:
    assert ImagePool(**settings).flip == pytest.approx(chance)


CHANGES = {
    "jitter": jittered, "rotation": rotated, "crop": cropped, "grey": greyed, "erasing": erased
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_stands_alone(name, monkeypatch) -> None:
    """One draw of one name is that change of all pictures, with its settings, and no other."""
    for other in CHANGES.values():
        if other is not CHANGES[name]:
            monkeypatch.delattr(pool, other.__name__)
    alone = ImagePool(names=(name,), draws=1, grey=1.0, erase=1.0)
    images = pictures(8, 48, 16)
    out = alone.images(images, torch.zeros(8, dtype=torch.bool))
    assert out.shape == images.shape and torch.equal(images, pictures(8, 48, 16))
    unlike = [not torch.allclose(a, b, atol=1e-3) for a, b in zip(out, images, strict=True)]
    assert sum(unlike) >= 4  # a part may be the whole, and a turn too small to see
    assert out.min() >= 0 and out.max() <= 1


def test_two_draws_change_a_picture_twice() -> None:
    images = torch.ones(200, 3, 64, 64)
    twice = ImagePool(names=("erasing",), erase=1.0)
    black = (twice.images(images, torch.zeros(200, dtype=torch.bool)) == 0).float().mean()
    assert 0.24 < black < 0.31  # two of about 0.15, somewhat overlapping


def test_a_change_reaches_those_who_drew_it_only() -> None:
    images = torch.ones(1000, 3, 32, 32)
    either = ImagePool(names=("erasing", "flip"), draws=1, erase=1.0, turn_over=0.0)
    out = either.images(images, torch.zeros(1000, dtype=torch.bool))
    assert 440 < (out == 0).any(3).any(2).any(1).sum() < 560


def test_a_flip_alone_mirrors_what_it_is_told_to() -> None:
    images, flipped = pictures(), torch.tensor([True, False, True, False])
    out = ImagePool(names=("flip",), draws=1).images(images, flipped)
    assert torch.equal(out[0], images[0].flip(-1)) and torch.equal(out[1], images[1])


def test_jitter_is_brightness_contrast_and_saturation_in_any_order() -> None:
    torch.manual_seed(1)
    factors = 1 + 0.1 * (2 * torch.rand(3, 4, 1, 1, 1) - 1)
    torch.manual_seed(1)
    images = pictures()
    torch.manual_seed(1)
    out = jittered(images, 0.1)

    def step(which: int, image: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        grey = (image * WEIGHTS).sum(0, keepdim=True)
        other = (torch.zeros(()), grey.mean(), grey)[which]
        return (factor * image + (1 - factor) * other).clamp(0, 1)

    for order in permutations(range(3)):
        for row, image in enumerate(images):
            for which in order:
                image = step(which, image, factors[which, row])
            assert torch.allclose(out[row], image, atol=1e-5)
    assert factors.min() < 0.95 and factors.max() > 1.05


def test_a_rotation_moves_every_pixel_about_the_centre() -> None:
    images = pictures(8, 20, 10)
    torch.manual_seed(2)
    angles = math.radians(15) * (2 * torch.rand(8) - 1)
    torch.manual_seed(2)
    out = rotated(images, 15)
    agreeing = 0
    for row, angle in enumerate(angles.tolist()):
        for y in range(20):
            for x in range(10):
                down, right = y - 9.5, x - 4.5
                from_y = round(math.sin(angle) * right + math.cos(angle) * down + 9.5)
                from_x = round(math.cos(angle) * right - math.sin(angle) * down + 4.5)
                inside = 0 <= from_y < 20 and 0 <= from_x < 10
                expected = images[row, :, from_y, from_x] if inside else torch.zeros(3)
                agreeing += torch.equal(out[row, :, y, x], expected)
    assert agreeing > 0.995 * 1600  # a pixel between two may fall to either
    assert angles.min() < -0.1 and angles.max() > 0.1 and (out == 0).any()


def ramps(count: int, height: int, width: int) -> torch.Tensor:
    """How far down a pixel is, and how far right, in the first two channels."""
    down = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    right = ((torch.arange(width) + 0.5) / width).expand(height, width)
    return torch.stack([down, right, torch.zeros(height, width)]).expand(count, -1, -1, -1)


@pytest.mark.parametrize("size", [(64, 64), (96, 32)])
def test_a_crop_shows_a_part_of_a_size_and_shape_within_bounds(size) -> None:
    torch.manual_seed(0)
    out, middle = cropped(ramps(400, *size), (0.9, 1.0), (3 / 4, 4 / 3)), slice(8, -8)
    step = out[:, :, middle, middle]
    high = (step[:, 0, 1:, 0] - step[:, 0, :-1, 0]).mean(1) * size[0]
    wide = (step[:, 1, 0, 1:] - step[:, 1, 0, :-1]).mean(1) * size[1]
    whole = torch.isclose(high * wide, torch.ones(400), atol=1e-3)
    assert (high * wide).min() > 0.899 and (high * wide).max() < 1.001
    assert max(high.max(), wide.max()) < 1.001 and 0.05 < whole.float().mean() < 0.35
    assert (high > wide + 0.02).any() and (wide > high + 0.02).any()
    shown = out[:, :2].amin(dim=(2, 3)), out[:, :2].amax(dim=(2, 3))
    assert shown[0].min() > 0 and shown[1].max() < 1
    assert (shown[0] > 0.03).any(0).all() and (shown[1] < 0.97).any(0).all()  # at any side


def test_grey_is_the_luminance_of_one_picture_in_ten() -> None:
    images = pictures(1000, 2, 2)
    out = greyed(images, 0.1)
    grey = (out - out[:, :1]).abs().amax((1, 2, 3)) == 0
    assert 0.07 < grey.float().mean() < 0.13
    assert torch.allclose(out[grey][:, 0], (images[grey] * WEIGHTS).sum(1), atol=1e-6)
    assert torch.equal(out[~grey], images[~grey])


def test_erasing_hides_a_black_box_of_a_size_and_shape_within_bounds_in_half() -> None:
    torch.manual_seed(0)
    hidden = erased(torch.ones(600, 3, 120, 60), 0.5, (0.1, 0.2), (0.3, 3.3)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1]) and torch.equal(hidden[:, 0], hidden[:, 2])
    high, wide = hidden[:, 0].any(2).sum(1), hidden[:, 0].any(1).sum(1)
    assert torch.equal(high * wide, hidden[:, 0].sum((1, 2)))  # one box
    high, wide = high[high > 0].float(), wide[wide > 0].float()
    assert 260 < len(high) < 340
    area, shape = high * wide / 7200, high / wide
    assert area.min() > 0.09 and area.max() < 0.21 and 0.14 < area.mean() < 0.16
    assert 0.27 < shape.min() < 0.5 and 2.7 < shape.max() < 3.7


def test_a_box_that_never_fits_erases_nothing() -> None:
    ones = torch.ones(4, 3, 10, 10)
    assert torch.equal(erased(ones, 1.0, (0.9, 0.9), (3.0, 3.3)), ones)
    assert torch.equal(cropped(ones, (0.9, 0.9), (3.0, 3.3)), ones)


def test_a_batch_says_left_of_mirrored_pictures_unless_published(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 16), "white")
    picture.paste("black", (0, 0, 4, 16))
    picture.save(tmp_path / "picture.png")
    pairs = [Pair(tmp_path / "picture.png", "a bag on the left", 0, 0)] * 64
    for mirror in (True, False):
        plain = PairBatcher(
            ImageTransform((16, 8)), read_tokenizer("own", 20),
            ImagePool(names=("flip", "grey"), mirror=mirror),
        )  # fmt: skip
        torch.manual_seed(0)
        batch, captions = plain.captioned(pairs)
        black_left = batch.images[:, 0, 0, 0] < batch.images[:, 0, 0, -1]
        assert 8 < (~black_left).sum() < 56
        assert all(
            caption.endswith("left") == (bool(left) or not mirror)
            for caption, left in zip(captions, black_left, strict=True)
        )


def test_an_experiment_names_what_it_draws_from() -> None:
    own = DataConfig(augmentation=ImagePool())
    own = changed(own, "augmentation.names", '["rotation", "crop"]')
    assert own.augmentation == ImagePool(names=("rotation", "crop"))
    with pytest.raises(ValueError, match=r"names are some of jitter, .*, erasing, not blur"):
        changed(own, "augmentation.names", '["blur"]')
    with pytest.raises(ValueError, match="draws is from 1 to 4, not 0"):
        changed(own, "augmentation.draws", "0")
    with pytest.raises(ValueError, match="erase is a share from 0 to 1, not 2"):
        changed(own, "augmentation.erase", "2")
