from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import restoration as reference
from torch import Tensor

from tipr.objectives.masking import masked_pixels, patchify
from tipr.objectives.restoration import Restoration, sincos_positions

GRID, PATCH, WIDTH, LENGTH = (3, 2), 4, 128, 5


def decoder(**kwargs) -> Restoration:
    torch.manual_seed(0)
    restoration = Restoration(WIDTH, GRID, PATCH, depth=2, **kwargs).double()
    torch.nn.init.normal_(restoration.hidden)
    return restoration


def inputs(seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    shapes = ((2, WIDTH), (2, 2, WIDTH), (2, LENGTH, WIDTH))
    embedding, tokens, text = (torch.randn(s, generator=g, dtype=torch.float64) for s in shapes)
    return embedding, tokens, torch.tensor([[4, 1], [0, 5]]), text


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([4, 8, 20]))
def test_positions_equal_the_loop(down: int, across: int, width: int) -> None:
    positions = sincos_positions((down, across), width)
    expected = [reference.sincos(r, c, width) for r in range(down) for c in range(across)]
    assert torch.allclose(positions, torch.tensor(expected), atol=1e-6)


def test_positions_need_four_quarters() -> None:
    with pytest.raises(ValueError, match="divisible by 4"):
        sincos_positions(GRID, 6)


def test_the_whole_picture_stands_at_no_place() -> None:
    assert decoder().places[0].eq(0).all()


@pytest.mark.parametrize("residual", [False, True])
def test_the_decoder_equals_shuffling_and_unshuffling(residual: bool) -> None:
    restoration = decoder(residual=residual)
    embedding, tokens, keep, text = inputs()
    predicted = restoration(embedding, tokens, keep, text)
    for row in range(2):
        hidden = [p for p in (3, 0, 5, 2, 1, 4) if p not in keep[row].tolist()]
        order = torch.cat([keep[row], torch.tensor(hidden)])
        one = reference.prediction(restoration, embedding[row], tokens[row], order, text[row])
        assert torch.allclose(predicted[row], one)


def test_the_released_size_has_the_released_number_of_parameters() -> None:
    restoration = Restoration(512, (24, 8), 16)
    assert sum(p.numel() for p in restoration.parameters()) == 14_322_432
    assert restoration.guide is not None
    assert restoration.guide.attention.heads == 8


def test_the_order_of_visible_patches_does_not_matter() -> None:
    embedding, tokens, keep, text = inputs()
    one = decoder()(embedding, tokens, keep, text)
    other = decoder()(embedding, tokens.flip(1), keep.flip(1), text)
    assert torch.allclose(one, other)


def test_without_residual_pictures_only_steer_attention_to_words() -> None:
    embedding, tokens, keep, text = inputs()
    same_words = text[:, :1].expand(-1, LENGTH, -1)
    other = inputs(seed=2)
    restoration = decoder()
    shown = restoration(embedding, tokens, keep, same_words)
    assert torch.allclose(shown, restoration(other[0], other[1], keep, same_words))
    assert not torch.allclose(
        restoration(embedding, tokens, keep, text), restoration(other[0], other[1], keep, text)
    )


def test_with_residual_pictures_reach_the_prediction() -> None:
    embedding, tokens, keep, text = inputs()
    same_words = text[:, :1].expand(-1, LENGTH, -1)
    restoration = decoder(residual=True)
    shown = restoration(embedding, tokens, keep, same_words)
    assert not torch.allclose(shown, restoration(-embedding, -tokens, keep, same_words))


def test_sentence_and_picture_both_learn_from_restoration() -> None:
    embedding, tokens, keep, text = (
        x.requires_grad_() if x.is_floating_point() else x for x in inputs()
    )
    decoder()(embedding, tokens, keep, text).square().sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in (embedding, tokens, text))


def test_without_guidance_words_change_nothing() -> None:
    embedding, tokens, keep, text = inputs()
    restoration = decoder(guidance="none")
    shown = restoration(embedding, tokens, keep, text)
    assert shown.equal(restoration(embedding, tokens, keep, -text))
    assert not any("guide" in name for name in restoration.state_dict())


def test_ignored_padding_changes_nothing() -> None:
    embedding, tokens, keep, text = inputs()
    padding = torch.arange(LENGTH).expand(2, -1) >= 3
    restoration = decoder()
    padded = restoration(embedding, tokens, keep, text, padding)
    assert torch.allclose(padded, restoration(embedding, tokens, keep, text[:, :3]))
    assert not torch.allclose(padded, restoration(embedding, tokens, keep, text))


def test_nothing_is_lost_when_the_pixels_are_right() -> None:
    images = torch.randn(2, 3, 12, 8, dtype=torch.float64)
    keep = inputs()[2]
    assert masked_pixels(patchify(images, PATCH), images, keep, PATCH).item() == 0


def test_initial_weights_are_clips() -> None:
    torch.manual_seed(0)
    restoration = Restoration(256, (2, 2), 4, depth=2)
    block = restoration.blocks[1]
    heard = restoration.guide.attention
    spreads = {
        256**-0.5: (heard.query, heard.key_value, block.attention.qkv),
        (4 * 256) ** -0.5: (heard.out, block.attention.out, block.feedforward[2]),
        512**-0.5: (block.feedforward[0],),
    }
    for spread, layers in spreads.items():
        for layer in layers:
            assert layer.weight.std().item() == pytest.approx(spread, rel=0.03)
    assert restoration.hidden.eq(0).all()
    assert heard.out.bias.eq(0).all()


def test_a_decoder_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        Restoration(8, GRID, PATCH, depth=0)
