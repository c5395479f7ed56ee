"""Claims about colours, patterns, faces and the atlas that holds a person's textures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("numba", reason="rendering people needs numba")

from tipr.data.synthetic.atlas import paint_atlas
from tipr.data.synthetic.faces import head_tile
from tipr.data.synthetic.identity import Identity, sample_identity
from tipr.data.synthetic.palette import CLOTH, DECODE, ENCODE, linear
from tipr.data.synthetic.patterns import paint_pattern, print_cover, text_cover
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.tags import TAG


def someone(**changes: object) -> Identity:
    """A man in a t-shirt, with nothing worn over it or carried, with changes."""
    bare: dict[str, object] = {
        "sex": "male",
        "upper": "t-shirt",
        "outer": "none",
        "hat": "none",
        "hair": "short",
    }
    bare |= {"bag": "none", "carry": "none", "scarf": False, "tie": False, "open": False}
    return dataclasses.replace(sample_identity(5, 0), **(bare | changes))


def test_bytes_and_linear_light_are_inverse() -> None:
    lightest = np.arange(10, 256)  # darker bytes are less than a step of linear light apart
    there_and_back = ENCODE[(DECODE[lightest] * 4095 + 0.5).astype(int)].astype(int)
    assert np.abs(there_and_back - lightest).max() <= 1
    assert np.allclose(linear(CLOTH["white"]), DECODE[list(CLOTH["white"])], atol=1e-6)


def test_an_atlas_holds_what_is_worn_and_nothing_else() -> None:
    atlas = paint_atlas(someone())
    assert {"head", "hair", "upper", "sleeve", "lower", "shoe"} <= set(atlas.slots)
    assert not {"bag", "hat", "scarf", "outer", "obj"} & set(atlas.slots)
    end = 0
    for slot in atlas.slots.values():
        assert slot.base == end
        end += slot.height * slot.width
    assert len(atlas.colour) == len(atlas.slope) == len(atlas.gloss) == len(atlas.tags) == end
    assert atlas.colour.dtype == atlas.slope.dtype == atlas.gloss.dtype == np.float32
    assert np.isfinite(atlas.slope).all()


def test_every_face_attribute_leaves_its_tag() -> None:
    worn = someone(beard=True, mask=False, glasses="sunglasses", hair="short")
    atlas = paint_atlas(worn)
    slot = atlas.slots["head"]
    tags = set(atlas.tags[slot.base : slot.base + slot.height * slot.width].tolist())
    assert {TAG[name] for name in ("face", "skin", "beard", "sunglasses", "hair")} <= tags
    assert TAG["glasses"] not in tags


@pytest.mark.parametrize(
    "name", ["horizontal stripes", "vertical stripes", "plaid", "dots", "floral", "color block"]
)
def test_a_pattern_shows_both_colours(name: str) -> None:
    ground, second = linear(CLOTH["white"]), linear(CLOTH["black"])
    plain = np.ones((128, 160, 1), np.float32) * ground
    painted = paint_pattern(plain, name, second, Rng("pattern", name), (0.6, 1.0))
    brightness = painted.mean(2)
    assert painted.shape == plain.shape
    assert 0.1 < (brightness < 0.4).mean() + (brightness < 0.6).mean() / 2 < 1.4
    assert (brightness > 0.6).mean() > 0.1
    assert paint_pattern(plain, "plain", second, Rng(1), (0.6, 1.0)) is plain


def test_logos_and_lettering_stay_on_the_chest() -> None:
    for trial in range(8):
        for draw in (print_cover, text_cover):
            cover = draw((128, 160), Rng("logo", trial))
            assert 0.001 < cover.mean() < 0.2
            rows, columns = np.nonzero(cover > 0.4)
            assert rows.min() > 10
            assert columns.min() > 50
            assert columns.max() < 110


def test_a_bald_man_has_no_beard_on_his_nape() -> None:
    bearded = head_tile(someone(hair="bald", beard=True)).tags == TAG["beard"]
    quarter = bearded.shape[1] // 4
    assert bearded[:, quarter:-quarter].any()
    assert not bearded[:, :quarter].any()
    assert not bearded[:, -quarter:].any()
