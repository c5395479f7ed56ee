from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rectangles import COLOURS, TEMPLATES, draw

from tipr.data.bpe import BytePairs, learn_merges
from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder
from tipr.encoders.catalogue import from_json, to_json
from tipr.encoders.shared import SharedConfig, SharedEncoder

STEM = SharedConfig(
    image_size=(64, 32), stem=(8, 16, 32), width=32, layers=2, heads=2, vocabulary=50,
    text_length=16,
)  # fmt: skip
PATCHES = replace(STEM, stem=(), patch=8, stride=8)
SENTENCES = torch.tensor([[2, 9, 8, 3, 0, 0], [2, 7, 6, 5, 4, 3]])


@pytest.fixture(params=[pytest.param(STEM, id="stem"), pytest.param(PATCHES, id="patches")])
def encoder(request: pytest.FixtureRequest) -> SharedEncoder:
    torch.manual_seed(0)
    return request.param.build().eval()


def _count(parameters) -> int:
    return sum(p.numel() for p in parameters)


@pytest.mark.parametrize(
    ("stride", "grid", "count"), [(16, (24, 8), 166_450_176), (12, (31, 10), 166_631_424)]
)
def test_the_released_geometry_has_the_released_size(stride: int, grid, count: int) -> None:
    with torch.device("meta"):
        encoder = SharedConfig(stride=stride).build()
    assert encoder.grid == grid and encoder.image_size == (384, 128)
    assert _count(encoder.parameters()) == count
    assert sum(_count(b.attention.parameters()) for b in encoder.blocks) == 28_348_416
    for modality in ("image", "text"):
        each = [_count(b.feedforward[modality].parameters()) for b in encoder.blocks]
        assert sum(each) == 56_669_184
    assert _count(encoder.sentence.parameters()) == 23_837_184


def test_branches_are_dropped_more_often_in_later_blocks() -> None:
    with torch.device("meta"):
        rates = [block.drop_path.rate for block in SharedConfig().build().blocks]
    assert rates[0] == 0 and rates[-1] == pytest.approx(0.1) and rates == sorted(rates)


def test_overlapping_patches_keep_the_size_of_the_picture() -> None:
    encoder = replace(STEM, stem=(), patch=16, stride=12).build()
    assert encoder.grid == (5, 2) and encoder.patch == 16
    assert encoder.image_size == (64, 32)
    assert encoder.encode_image(torch.randn(2, 3, 64, 32)).tokens.shape == (2, 10, 32)


def test_embeddings_are_the_first_tokens(encoder) -> None:
    image = encoder.encode_image(torch.randn(3, 3, 64, 32))
    text = encoder.encode_text(SENTENCES)
    assert image.embedding.shape == (3, 32) and image.tokens.shape == (3, 32, 32)
    assert torch.equal(text.embedding, text.tokens[:, 0])
    assert text.padding.tolist() == [[False] * 4 + [True] * 2, [False] * 6]


@pytest.mark.parametrize(("read", "other"), [("text", "image"), ("image", "text")])
def test_both_modalities_train_one_attention_and_their_own_feedforward(read, other) -> None:
    encoder = STEM.build()
    encoded = {
        "text": lambda: encoder.encode_text(SENTENCES),
        "image": lambda: encoder.encode_image(torch.randn(2, 3, 64, 32)),
    }[read]()
    encoded.embedding.square().sum().backward()
    for block in encoder.blocks:
        assert block.attention.qkv.weight.grad is not None
        assert block.norm_attention.weight.grad is not None
        assert block.feedforward[read][0].weight.grad is not None
        assert block.feedforward[other][0].weight.grad is None


def test_padding_does_not_change_a_sentence(encoder) -> None:
    alone = encoder.encode_text(SENTENCES[:1, :4]).embedding
    assert torch.allclose(alone, encoder.encode_text(SENTENCES[:1]).embedding, atol=1e-5)


def test_nothing_of_a_hidden_patch_is_seen(encoder) -> None:
    images = torch.randn(2, 3, 64, 32)
    keep = torch.tensor([[0, 5, 6, 31], [1, 2, 3, 9]])
    seen = encoder.encode_image(images, keep)
    assert seen.tokens.shape == (2, 4, 32)
    repainted = images.clone()
    repainted[0, :, :8, 8:16] += 3.0  # patch 1, which only the second picture shows
    repainted[1, :, :8, :8] += 3.0  # patch 0, which only the first shows
    again = encoder.encode_image(repainted, keep)
    assert torch.equal(seen.embedding, again.embedding)
    repainted[0, :, :8, :8] += 3.0
    assert not torch.allclose(seen.embedding[0], encoder.encode_image(repainted, keep).embedding[0])


def test_keeping_all_is_leaving_none_out(encoder) -> None:
    images = torch.randn(2, 3, 64, 32)
    every = torch.arange(32).expand(2, -1)
    whole, kept = encoder.encode_image(images), encoder.encode_image(images, every)
    assert torch.allclose(whole.embedding, kept.embedding, atol=1e-5)
    places = torch.arange(6).expand(2, -1)
    whole, kept = encoder.encode_text(SENTENCES), encoder.encode_text(SENTENCES, places)
    assert torch.allclose(whole.embedding, kept.embedding, atol=1e-5)


def test_words_that_stay_keep_their_places(encoder) -> None:
    keep = torch.tensor([[0, 1, 3], [0, 1, 5]])
    short = encoder.encode_text(SENTENCES, keep)
    assert short.tokens.shape == (2, 3, 32) and short.padding.shape == (2, 3)
    closed_up = encoder.encode_text(SENTENCES.gather(1, keep))
    assert not torch.allclose(short.embedding, closed_up.embedding, atol=1e-4)
    others = SENTENCES.clone()
    others[:, 2] = 40  # nobody looks there
    assert torch.equal(short.embedding, encoder.encode_text(others, keep).embedding)


def test_a_lost_start_token_is_refused(encoder) -> None:
    with pytest.raises(ValueError, match="start token"):
        encoder.encode_text(SENTENCES, torch.tensor([[0, 1], [1, 2]]))


def test_a_stem_must_fit() -> None:
    with pytest.raises(ValueError, match="16 channels"):
        replace(STEM, stem=(8, 16))
    with pytest.raises(ValueError, match="halved 3 times"):
        replace(STEM, image_size=(60, 32))


@pytest.mark.parametrize("wrong", [{"image_size": (64, 4)}, {"stride": -4}])
def test_a_picture_must_hold_a_patch(wrong) -> None:
    with pytest.raises(ValueError, match="hold no patches of 8"):
        replace(PATCHES, **wrong)


def test_a_config_survives_json() -> None:
    for config in (STEM, PATCHES):
        assert from_json(to_json(config)) == config


def test_a_saved_model_embeds_alike(tmp_path) -> None:
    torch.manual_seed(0)
    encoder = replace(STEM, vocabulary=2048, text_length=64).build()
    captions = [t.format(a, b) for t in TEMPLATES for a in COLOURS for b in COLOURS]
    tokenizer = Tokenizer(BytePairs(learn_merges(captions, 100)))
    before = Embedder(encoder, ImageTransform(encoder.image_size), tokenizer, "untrained")
    before.save(tmp_path / "model")
    after = Embedder.load(tmp_path / "model", "cpu")
    assert after.fingerprint == before.fingerprint
    a, b = before.embed_texts(["a red top"]), after.embed_texts(["a red top"])
    assert np.allclose(a, b, atol=5e-3)  # half precision on disk
    a, b = (m.embed_images([draw("red", "blue")]) for m in (before, after))
    assert np.allclose(a, b, atol=5e-3)
