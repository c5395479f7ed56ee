from __future__ import annotations

import pytest
import torch

from tipr.data.augment import Augmentation, PublishedAugmentation
from tipr.data.images import CLIP_MEAN, CLIP_STD

STILL = Augmentation(
    flip=0, shift=0, zoom=0, turn=0, light=0, saturation=0, cast=0, blur=0, noise=0, erase=0,
    drop_words=0,
)  # fmt: skip
NOBODY = torch.zeros(4, dtype=torch.bool)


def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return 0.05 + 0.9 * torch.rand(4, 3, 32, 16)


def test_an_augmentation_of_nothing_changes_nothing() -> None:
    images = pictures()
    assert torch.allclose(STILL.images(images, NOBODY), images, atol=1e-5)
    assert STILL.caption("a man in red", False) == "a man in red"


def test_pictures_stay_pictures() -> None:
    torch.manual_seed(1)
    out = Augmentation().images(pictures(), NOBODY)
    assert out.shape == (4, 3, 32, 16)
    assert out.min() >= 0 and out.max() <= 1
    assert not torch.allclose(out, pictures(), atol=0.02)


def test_a_mirrored_picture_gets_a_mirrored_sentence() -> None:
    images = pictures()
    out = STILL.images(images, torch.tensor([True, False, False, False]))
    assert torch.allclose(out[0], images[0].flip(-1), atol=1e-5)
    assert torch.allclose(out[1], images[1], atol=1e-5)
    assert STILL.caption("on the left", True) == "on the right"


def test_a_turn_keeps_the_shape_of_things() -> None:
    images = torch.zeros(1, 3, 64, 32)
    images[:, :, 22:42, 6:26] = 1  # a square
    theta = Augmentation(
        flip=0, shift=0, zoom=0, turn=1.5, light=0, saturation=0, cast=0, blur=0, noise=0, erase=0
    )
    torch.manual_seed(3)
    area = theta.images(images, torch.zeros(1, dtype=torch.bool)).mean() / images.mean()
    assert 0.9 < area < 1.1


def test_the_published_augmentation_moves_by_the_padding_and_erases_a_box() -> None:
    torch.manual_seed(0)
    ones = torch.ones(64, 3, 96, 32)
    moved = PublishedAugmentation(flip=0, erase=0).images(ones, torch.zeros(64, dtype=torch.bool))
    black = (moved[:, 0] == 0).float()
    assert black.mean() > 0.05
    assert black.any(dim=2).all(dim=1).sum() <= 64 and black.amax(dim=0)[10:-10, 10:-10].sum() == 0
    boxed = PublishedAugmentation(flip=0, pad=0, erase=1).images(ones, NOBODY[:1].expand(64))
    erased = (boxed[:, 0] != 1).float().mean(dim=(1, 2))
    assert erased.min() >= 0 and erased.max() <= 0.45 and 0.1 < erased.mean() < 0.3


def erased(augmentation: PublishedAugmentation) -> torch.Tensor:
    """The pixels of the box, 3 x N, as the encoder gets them; none where nothing was erased."""
    (image,) = augmentation.images(torch.full((1, 3, 384, 128), -1.0), NOBODY[:1])
    mean, std = (torch.tensor(x)[:, None] for x in (CLIP_MEAN, CLIP_STD))
    return (image[:, image[0] != -1] - mean) / std


def test_half_of_the_published_pictures_lose_a_box() -> None:
    """Boxes wider than 128 pixels are drawn anew, so hardly any picture goes without."""
    torch.manual_seed(0)
    always = PublishedAugmentation(flip=0, pad=0, erase=1)
    assert all(erased(always).numel() for _ in range(60))
    half = PublishedAugmentation(flip=0, pad=0)
    assert 0.4 < sum(erased(half).numel() > 0 for _ in range(400)) / 400 < 0.6


def test_the_published_box_is_the_mean_that_nobody_normalised() -> None:
    torch.manual_seed(0)
    box = erased(PublishedAugmentation(flip=0, pad=0, erase=1))
    assert torch.allclose(box, torch.tensor(CLIP_MEAN)[:, None].expand_as(box), atol=1e-5)


def test_the_published_noise_is_white_to_the_encoder() -> None:
    torch.manual_seed(0)
    noise = PublishedAugmentation(flip=0, pad=0, erase=1, erased_area=(0.2, 0.4), noise=True)
    box = erased(noise)
    assert torch.allclose(box.mean(dim=1), torch.zeros(3), atol=0.05)
    assert torch.allclose(box.std(dim=1), torch.ones(3), atol=0.05)
    assert abs(torch.corrcoef(box)[0, 1]) < 0.05


def test_the_published_flip_mirrors_the_pictures_it_is_told_to() -> None:
    images, flipped = pictures(), torch.tensor([True, False, False, True])
    out = PublishedAugmentation(pad=0, erase=0).images(images, flipped)
    assert torch.equal(out[flipped], images[flipped].flip(-1))
    assert torch.equal(out[~flipped], images[~flipped])


def test_the_published_flip_leaves_the_sentence() -> None:
    assert PublishedAugmentation().caption("a bag on the left", True) == "a bag on the left"


@pytest.mark.parametrize("augmentation", [Augmentation(), PublishedAugmentation(pad=0)])
def test_the_pictures_given_stay_as_they_are(augmentation) -> None:
    """They are changed in place, but in a copy."""
    images = pictures()
    augmentation.images(images, torch.tensor([True, False, False, True]))
    assert torch.equal(images, pictures())


def test_draws_keep_their_order() -> None:
    """Another order of draws, or of sums, would train other models from the same seeds."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, 8, 4)
    flipped = torch.tensor([True, False])
    ours = Augmentation().images(x, flipped)
    assert ours.sum().item() == pytest.approx(95.904228, rel=1e-5)
    theirs = PublishedAugmentation(pad=2, noise=True).images(x, flipped)
    assert theirs.sum().item() == pytest.approx(56.990833, rel=1e-5)
    caption = Augmentation(drop_words=0.5).caption("a man with no hat on the left", True)
    assert (caption, torch.rand(()).item()) == ("man with no hat right", pytest.approx(0.993198))
