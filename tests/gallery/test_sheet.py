"""The contact sheet shows every crop, framed by what is known of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tipr.gallery import contact_sheet

GREEN, RED = (22, 163, 74), (220, 38, 38)


def share(path: Path, colour: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    with Image.open(path) as sheet:
        return int((np.asarray(sheet.convert("RGB")) == colour).all(axis=2).sum())


def crop(right: bool | None, size: tuple[int, int] = (60, 150)):
    return Image.new("RGB", size, "navy"), "0.41", right


def test_right_and_wrong_crops_have_green_and_red_frames(tmp_path: Path):
    one = contact_sheet([("a man in navy", [crop(True)])], tmp_path / "new" / "sheet.png")
    assert share(one, GREEN) > 1000
    assert share(one, RED) == 0
    both = contact_sheet([("a man in navy", [crop(True), crop(False)])], tmp_path / "both.png")
    assert share(both, RED) > 1000
    neutral = contact_sheet([("a man in navy", [crop(None)])], tmp_path / "neutral.png")
    assert share(neutral, GREEN) == share(neutral, RED) == 0


def test_crops_have_equal_height_whatever_their_shape(tmp_path: Path):
    shapes = [(60, 150), (300, 750), (10, 25)]
    path = contact_sheet([("x", [crop(None, shape) for shape in shapes])], tmp_path / "s.png")
    with Image.open(path) as sheet:
        navy = (np.asarray(sheet) == (0, 0, 128)).all(axis=2)
    heights = navy.sum(axis=0)
    assert set(heights[heights > 0]) == {264}


def test_a_large_crop_keeps_its_shape(tmp_path: Path):
    def width(size: tuple[int, int]) -> int:
        path = contact_sheet([("x", [crop(None, size)])], tmp_path / "s.png")
        with Image.open(path) as sheet:
            return int((np.asarray(sheet) == (0, 0, 128)).all(axis=2).any(axis=0).sum())

    assert width((700, 1300)) == width((350, 650)) == round(264 * 700 / 1300)


def test_the_page_grows_with_rows_long_captions_and_many_crops(tmp_path: Path):
    def height(caption: str, crops: int, rows: int = 1) -> int:
        path = contact_sheet([(caption, [crop(None)] * crops)] * rows, tmp_path / "s.png")
        with Image.open(path) as sheet:
            assert sheet.width == 1440
            return sheet.height

    short = height("a man", 5)
    assert height("a man with a long story " * 12, 5) > short
    assert height("a man", 40) > 2 * short
    assert height("a man", 5, rows=3) > 2 * short
    assert height("unbroken" * 60, 5) == short
    assert height("a man", 0) < short


def test_a_missing_picture_leaves_a_place(tmp_path: Path):
    rows = [("a man", [(tmp_path / "gone.jpg", "0.40", None), crop(True)])]
    assert share(contact_sheet(rows, tmp_path / "sheet.png"), GREEN) > 1000


def test_a_sheet_without_a_query_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="at least one query"):
        contact_sheet([], tmp_path / "sheet.png")
