from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import masking as reference

from tipr.objectives.masking import (
    greyscale,
    masked_pixels,
    patchify,
    shuffled_patches,
    visible_count,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 60), st.integers(0, 2**31))
def test_shuffled_patches_are_a_permutation_per_row(rows, count, seed) -> None:
    torch.manual_seed(seed)
    perm = shuffled_patches(rows, count, "cpu")
    assert torch.equal(perm.sort(dim=1).values, torch.arange(count).expand(rows, -1))


def test_rows_are_shuffled_apart_from_each_other() -> None:
    torch.manual_seed(0)
    assert len(shuffled_patches(32, 192).unique(dim=0)) == 32


def test_sen_sees_56_of_192_patches() -> None:
    assert visible_count(192, 0.7) == 56
    assert 192 - visible_count(192, 0.7) == 136


@pytest.mark.parametrize("hidden", [0.0, 0.999, 1.0])
def test_a_share_that_hides_nothing_or_all_is_refused(hidden) -> None:
    with pytest.raises(ValueError, match="at least one seen and one hidden"):
        visible_count(192, hidden)


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 6, 4, dtype=torch.float64)


def test_patches_are_ordered_as_the_loop_orders_them(pictures) -> None:
    expected = [reference.patches(image, 2) for image in pictures.tolist()]
    assert patchify(pictures, 2).tolist() == expected


def test_patches_put_back_are_the_picture(pictures) -> None:
    back = torch.empty_like(pictures)
    for number, values in enumerate(patchify(pictures, 2).unbind(1)):
        top, left = 2 * (number // 2), 2 * (number % 2)
        back[:, :, top : top + 2, left : left + 2] = values.view(2, 2, 2, 3).permute(0, 3, 1, 2)
    assert torch.equal(back, pictures)


def test_pictures_that_do_not_divide_into_patches_are_refused(pictures) -> None:
    with pytest.raises(ValueError, match="6 x 4 does not divide into patches of 4"):
        patchify(pictures, 4)


def test_masked_pixels_equal_the_loop(pictures) -> None:
    prediction = torch.randn(2, 6, 12, dtype=torch.float64)
    perm = shuffled_patches(2, 6)
    keep, overlooked = perm[:, :3], perm[:, 3]
    lists = prediction.tolist(), pictures.tolist()
    for forgotten, seen in ((None, 3), (overlooked, 4)):
        sets = [set(row[:seen].tolist()) for row in perm]
        expected = reference.masked_pixels(*lists, sets, 2)
        loss = masked_pixels(prediction, pictures, keep, 2, forgotten)
        assert loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("as_released", [True, False])
def test_135_of_sens_136_hidden_patches_are_scored(as_released) -> None:
    torch.manual_seed(0)
    images = torch.zeros(3, 3, 24, 8, dtype=torch.float64)
    perm, visible = shuffled_patches(3, 192), visible_count(192, 0.7)
    prediction = torch.zeros(3, 192, 3, dtype=torch.float64, requires_grad=True)
    overlooked = perm[:, visible] if as_released else None
    masked_pixels(prediction + 1, images, perm[:, :visible], 1, overlooked).backward()
    assert prediction.grad is not None
    scored = prediction.grad.abs().sum(2) > 0
    assert scored.sum(1).tolist() == [135 if as_released else 136] * 3
    assert not scored.gather(1, perm[:, : visible + as_released]).any()


def test_a_right_guess_costs_nothing_whatever_was_seen(pictures) -> None:
    keep = torch.tensor([[0, 5], [2, 1]])
    guess = patchify(pictures, 2).clone()
    guess[0, 5] += 3
    assert masked_pixels(guess, pictures, keep, 2).item() == 0


def test_grey_is_one_brightness_in_three_channels(pictures) -> None:
    grey = greyscale(pictures)
    assert grey.shape == pictures.shape
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    red, green, blue = pictures[1, :, 4, 2].tolist()
    expected = 0.2989 * red + 0.5870 * green + 0.1140 * blue
    assert grey[1, 0, 4, 2].item() == pytest.approx(expected, rel=1e-9)


def test_patches_are_scored_where_they_are(pictures) -> None:
    """A stray tensor would land on a device that holds no numbers, and mix with none that do."""
    perm = torch.arange(6).expand(2, -1)
    with torch.device("meta"):
        masked_pixels(patchify(greyscale(pictures), 2), pictures, perm[:, :3], 2, perm[:, 3])
        assert shuffled_patches(2, 6, "cpu").device.type == "cpu"
