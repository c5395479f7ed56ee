"""What every encoder promises, checked on small ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tipr.encoders.catalogue import from_json, to_json
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.compact import CompactConfig
from tipr.experiments import ivt
from tipr.experiments.clip import TINY

SMALL_CLIP = CLIPConfig(
    image_size=(64, 32), image_width=32, image_layers=2, image_heads=2, text_width=32,
    text_layers=2, text_heads=2, vocabulary=50, embedding=24, end_id=3,
)  # fmt: skip
CONFIGS = [
    pytest.param(replace(TINY, vocabulary=50), id="compact"),
    pytest.param(SMALL_CLIP, id="clip"),
    pytest.param(replace(ivt.TINY, vocabulary=50), id="shared"),
    pytest.param(replace(ivt.TINY, vocabulary=50, stem=(), patch=8, stride=8), id="shared-patches"),
]


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    return request.param.build().eval()


def images(encoder, count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, *encoder.image_size)


SENTENCES = torch.tensor([[2, 9, 8, 3, 0, 0], [2, 7, 6, 5, 4, 3]])


def test_embeddings_have_the_promised_width(encoder) -> None:
    image, text = encoder.encode_image(images(encoder)), encoder.encode_text(SENTENCES)
    assert image.embedding.shape == (3, encoder.width)
    assert image.tokens.shape == (3, encoder.num_patches, encoder.width)
    assert text.embedding.shape == (2, encoder.width)
    assert text.padding.tolist()[0] == [False] * 4 + [True] * 2


def test_padding_does_not_change_a_sentence(encoder) -> None:
    alone = encoder.encode_text(SENTENCES[:1, :4]).embedding
    padded = encoder.encode_text(SENTENCES[:1]).embedding
    assert torch.allclose(alone, padded, atol=1e-5)


def test_a_batch_does_not_change_a_picture(encoder) -> None:
    batch = images(encoder)
    together = encoder.encode_image(batch).embedding
    alone = encoder.encode_image(batch[1:2]).embedding
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_the_embedding_alone_is_the_same(encoder) -> None:
    batch = images(encoder)
    assert torch.allclose(
        encoder.embed_image(batch), encoder.encode_image(batch).embedding, atol=1e-5
    )
    for sentences in (SENTENCES, SENTENCES[:1, :4]):
        whole = encoder.encode_text(sentences).embedding
        assert torch.allclose(encoder.embed_text(sentences), whole, atol=1e-5)


def test_word_order_matters(encoder) -> None:
    swapped = SENTENCES[1:, [0, 4, 3, 2, 1, 5]]
    a, b = encoder.encode_text(SENTENCES[1:]), encoder.encode_text(swapped)
    assert not torch.allclose(a.embedding, b.embedding, atol=1e-4)


def test_keeping_all_patches_is_keeping_none_out(encoder) -> None:
    batch = images(encoder)
    every = torch.arange(encoder.num_patches).expand(len(batch), -1)
    whole, kept = encoder.encode_image(batch), encoder.encode_image(batch, every)
    assert torch.allclose(whole.embedding, kept.embedding, atol=1e-5)
    some = encoder.encode_image(batch, every[:, :3])
    assert some.tokens.shape[1] == 3


def test_what_is_hidden_cannot_be_seen(encoder) -> None:
    keep = torch.tensor([[0, 2, 5]]).expand(3, -1)
    batch = images(encoder)
    seen = torch.zeros(3, encoder.num_patches).scatter(1, keep, 1.0).view(3, 1, *encoder.grid)
    seen = seen.repeat_interleave(encoder.patch, 2).repeat_interleave(encoder.patch, 3)
    other = torch.where(seen > 0, batch, torch.randn_like(batch))
    a, b = encoder.encode_image(batch, keep), encoder.encode_image(other, keep)
    assert torch.equal(a.embedding, b.embedding) and torch.equal(a.tokens, b.tokens)


def test_words_left_out_are_as_if_never_written(encoder) -> None:
    keep = torch.tensor([[0, 1, 3, 5], [0, 1, 3, 5]])
    sentences = torch.tensor([[2, 9, 8, 4, 7, 3], [2, 7, 6, 5, 4, 3]])
    other = sentences.clone()
    other[:, [2, 4]] = 11
    a, b = encoder.encode_text(sentences, keep), encoder.encode_text(other, keep)
    assert torch.equal(a.embedding, b.embedding)
    assert a.tokens.shape == (2, 4, encoder.width)
    whole = encoder.encode_text(sentences, torch.arange(6).expand(2, -1))
    assert torch.allclose(whole.embedding, encoder.encode_text(sentences).embedding, atol=1e-6)


def test_clip_says_so_when_a_sentence_loses_its_end() -> None:
    with pytest.raises(ValueError, match="shared_positions=False"):
        SMALL_CLIP.build().encode_text(SENTENCES, torch.tensor([[0, 1], [0, 1]]))


def test_a_config_survives_json(encoder) -> None:
    assert from_json(to_json(encoder.config)) == encoder.config


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ValueError, match="'resnet'"):
        from_json({"kind": "resnet"})
    with pytest.raises(ValueError, match="colour"):
        from_json({"kind": "compact", "colour": 1})


def test_vit_b16_has_the_published_geometry() -> None:
    config = CLIPConfig()
    assert (config.image_size, config.text_length) == ((384, 128), 77)
    with torch.device("meta"):
        encoder = config.build()
    assert encoder.grid == (24, 8)
    count = sum(p.numel() for p in encoder.parameters())
    assert count == pytest.approx(149.6e6, rel=0.005)  # CLIP ViT-B/16 at 224: 149.6 M


def test_the_small_encoder_fits_the_shipped_size() -> None:
    with torch.device("meta"):
        encoder = CompactConfig().build()
    assert 2 * sum(p.numel() for p in encoder.parameters()) < 25e6
