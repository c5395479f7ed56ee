from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.augment import Augmentation, PublishedAugmentation, mirrored

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
    assert (
        mirrored("a bag in the left hand, right of him") == "a bag in the right hand, left of him"
    )
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


@given(st.text(alphabet="ab leftright", max_size=40))
def test_mirroring_twice_gives_the_sentence_back(text: str) -> None:
    assert mirrored(mirrored(text)) == text


def test_dropping_words_never_leaves_an_empty_sentence() -> None:
    gone = Augmentation(drop_words=1.0)
    assert gone.caption("a man in red", False) == "a man in red"


def test_denials_are_never_dropped() -> None:
    gone = Augmentation(drop_words=1.0)
    assert gone.caption("a man with no hat", False) == "no"


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


def test_the_published_flip_leaves_the_sentence() -> None:
    assert PublishedAugmentation().caption("a bag on the left", True) == "a bag on the left"
