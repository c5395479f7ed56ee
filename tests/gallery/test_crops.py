"""Pictures are decoded no larger than vectors and thumbnails need."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tipr.data.images import open_image
from tipr.embedder import Embedder
from tipr.gallery.crops import decoded, enough, thumbnail
from tipr.gallery.probes import probes

TURNED = 6  # EXIF: the top of the picture is on the right


@pytest.fixture(scope="module")
def small() -> Embedder:
    return Embedder.load("shipped:small", "cpu")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Path]:
    """People of 1024 x 512 pixels, with grain."""
    folder, paths = tmp_path_factory.mktemp("photographs"), []
    rng = np.random.default_rng(0)
    for number, picture in enumerate(probes()[0][:40]):
        large = np.asarray(picture.resize((512, 1024), Image.Resampling.BICUBIC), np.float32)
        grain = rng.normal(0, 6, (1024, 512, 1))
        paths.append(folder / f"{number}.jpg")
        Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(paths[-1], quality=92)
    return paths


def test_what_is_needed_is_twice_what_the_encoder_reads_or_the_thumbnail(small: Embedder) -> None:
    height, width = small.transform.size
    assert enough(small, 0) == (2 * height, 2 * width)
    assert enough(small, 1000) == (1000, 1000)


def test_vectors_hardly_turn_when_large_pictures_are_decoded_small(small, photographs) -> None:
    pictures = [decoded(path, enough(small, 0)) for path in photographs]
    height, width = enough(small, 0)
    assert {picture.size for picture in pictures} == {(width, height)}
    true = small.embed_images([open_image(path) for path in photographs])
    found = small.embed_images(pictures)
    a, b = found - true.mean(axis=0), true - true.mean(axis=0)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.999


@pytest.mark.parametrize("size", [(300, 600), (640, 480), (500, 900), (1600, 300)])
@pytest.mark.parametrize("height", [128, 256])
def test_thumbnails_keep_the_shape_of_their_picture(small, tmp_path, size, height: int) -> None:
    Image.new("RGB", size).save(tmp_path / "crop.png")
    picture = decoded(tmp_path / "crop.png", enough(small, height))
    assert isinstance(picture, Image.Image)
    with Image.open(BytesIO(thumbnail(picture, height))) as made:
        assert made.height <= height and made.width <= 2 * height
        assert made.width / made.height == pytest.approx(size[0] / size[1], rel=0.02)


@pytest.mark.parametrize("exif", [1, TURNED])
def test_a_jpeg_is_not_decoded_whole_however_it_lies(photographs, tmp_path, monkeypatch, exif):
    path = tmp_path / "turned.jpg"
    with Image.open(photographs[0]) as image:
        lying = image if exif == 1 else image.transpose(Image.Transpose.ROTATE_90)
        facts = Image.Exif()
        facts[0x0112] = exif
        lying.save(path, exif=facts)
    seen = []
    convert = Image.Image.copy
    monkeypatch.setattr(Image.Image, "copy", lambda self: seen.append(self.size) or convert(self))
    picture = decoded(path, (256, 128))
    assert not isinstance(picture, str) and picture.size == (128, 256)
    assert seen == [(128, 256) if exif == 1 else (256, 128)]
