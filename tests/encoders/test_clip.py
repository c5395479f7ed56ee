"""What is CLIP's own: its end token, its padding, its activation and its overlapping patches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tipr.encoders.clip import CLIPConfig

SMALL = CLIPConfig(
    image_size=(64, 32), image_width=32, image_layers=1, image_heads=2, text_width=32,
    text_layers=1, text_heads=2, vocabulary=50, embedding=24, end_id=49,
)  # fmt: skip


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SMALL.build().eval()


def test_the_first_end_token_is_the_sentence_and_the_rest_is_padding(encoder) -> None:
    encoded = encoder.encode_text(torch.tensor([[48, 7, 49, 49, 49], [48, 49, 9, 49, 0]]))
    assert encoded.padding.tolist() == [[False] * 3 + [True] * 2, [False] * 2 + [True] * 3]
    assert torch.equal(encoded.embedding, encoded.tokens[[0, 1], [2, 1]])


def test_id_0_is_a_word_within_the_sentence(encoder) -> None:
    """It is CLIP's "!", and what fills a row up."""
    encoded = encoder.encode_text(torch.tensor([[48, 0, 0, 49, 0, 0]]))
    assert encoded.padding.tolist() == [[False] * 4 + [True] * 2]


def test_a_sentence_without_its_end_is_its_last_place(encoder) -> None:
    encoded = encoder.encode_text(torch.tensor([[48, 7, 8, 9]]))
    assert not encoded.padding.any()
    assert torch.equal(encoded.embedding, encoded.tokens[:, -1])


def test_the_end_token_is_the_tokenizers() -> None:
    with pytest.raises(ValueError, match=r"vocabulary of 50 has no end token 49407"):
        replace(SMALL, end_id=49407)


def test_patches_may_overlap() -> None:
    encoder = replace(SMALL, stride=12).build()
    assert (encoder.grid, encoder.image_size) == ((5, 2), (64, 32))
    assert encoder.encode_image(torch.randn(2, 3, 64, 32)).tokens.shape == (2, 10, 24)


def test_a_border_narrower_than_a_patch_is_left_out() -> None:
    encoder = replace(SMALL, image_size=(70, 40)).build()
    assert (encoder.grid, encoder.image_size) == ((4, 2), (70, 40))


def test_the_activation_is_the_one_configured(encoder) -> None:
    exact = replace(SMALL, activation="gelu").build().eval()
    exact.load_state_dict(encoder.state_dict())
    tokens = torch.tensor([[48, 7, 8, 49]])
    a, b = exact.encode_text(tokens).embedding, encoder.encode_text(tokens).embedding
    assert torch.allclose(a, b, atol=0.1) and not torch.equal(a, b)
