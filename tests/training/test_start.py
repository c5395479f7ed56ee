"""A run starts from a new encoder, from a model of ours or from somebody else's weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign import openai_clip

from tipr.data.bpe import ClipPairs
from tipr.data.text import Tokenizer
from tipr.encoders.clip import CLIPConfig
from tipr.experiments import clip
from tipr.training.experiment import DataConfig, Experiment
from tipr.training.loop import train
from tipr.training.start import new_embedder

WORDS = Tokenizer(ClipPairs([("r", "e"), ("re", "d</w>")]))
SMALL_CLIP = CLIPConfig(
    image_size=(64, 32), image_width=64, image_layers=1, image_heads=1, text_width=64,
    text_layers=1, text_heads=1, text_length=20, vocabulary=WORDS.vocabulary,
    end_id=WORDS.specials.end, embedding=64,
)  # fmt: skip


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    torch.save(openai_clip(vocabulary=WORDS.vocabulary), folder / "ViT-B-16.pt")
    WORDS.save(folder)
    return folder / "ViT-B-16.pt"


@pytest.fixture
def from_clip(tiny, weights) -> Experiment:
    data = replace(tiny.data, text_length=20)
    return replace(tiny, encoder=SMALL_CLIP, data=data, init_from=str(weights))


def test_a_run_may_start_from_another_run(tiny, tmp_path) -> None:
    first = train(tiny, tmp_path / "first", device="cpu")
    still = replace(tiny.optim, epochs=1, lr=0.0, head_lr=0.0)
    again = replace(tiny, optim=still, init_from=str(tmp_path / "first"))
    second = train(again, tmp_path / "second", device="cpu")
    assert second.fingerprint == first.fingerprint
    other = replace(again, encoder=replace(tiny.encoder, heads=2))
    with pytest.raises(ValueError, match=r"another geometry .*--set encoder\.heads=4"):
        train(other, tmp_path / "third", device="cpu")


@pytest.mark.parametrize("name", ["nowhere", "no/where.pt"])
def test_a_start_that_is_not_there_is_named(tiny, tmp_path, name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no model at {name}"):
        train(replace(tiny, init_from=name), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_clips_weights_in_its_own_geometry(from_clip) -> None:
    start = new_embedder(from_clip, "")
    source = openai_clip(vocabulary=WORDS.vocabulary)
    assert torch.equal(start.encoder.word.weight, source["token_embedding.weight"])
    assert start.encoder.image_size == (64, 32)
    assert start.tokenizer.pieces.digest() == WORDS.pieces.digest()
    assert (start.encoder.mask_id, start.encoder.word_ids) == (WORDS.specials.mask, WORDS.word_ids)


def test_a_model_that_began_as_clip_is_trained_saved_and_loaded(from_clip, tmp_path) -> None:
    still = replace(from_clip.optim, epochs=1, lr=0.0, head_lr=0.0)
    trained = train(replace(from_clip, optim=still), tmp_path / "run", device="cpu")
    assert trained.fingerprint == new_embedder(from_clip, "").fingerprint


def test_weights_of_another_geometry_say_what_to_set(from_clip, weights) -> None:
    other = replace(from_clip, encoder=replace(SMALL_CLIP, image_layers=2, text_length=30))
    with pytest.raises(ValueError, match=r"image_layers=1 --set encoder\.text_length=20"):
        new_embedder(other, "")


def test_another_kind_of_encoder_is_named(tiny, weights) -> None:
    with pytest.raises(ValueError, match="has a CLIP encoder, this experiment a Compact one"):
        new_embedder(replace(tiny, init_from=str(weights)), "")


def test_another_vocabulary_is_refused(tiny, tmp_path) -> None:
    train(replace(tiny, optim=replace(tiny.optim, epochs=1)), tmp_path / "run", device="cpu")
    (tmp_path / "words").mkdir()
    WORDS.save(tmp_path / "words")
    data = replace(tiny.data, tokenizer=str(tmp_path / "words"))
    with pytest.raises(ValueError, match=r"reads other pieces of words than data\.tokenizer"):
        new_embedder(replace(tiny, data=data, init_from=str(tmp_path / "run")), "")


def test_benchmark_experiments_read_clips_vocabulary() -> None:
    field = clip.field()
    assert field.data.tokenizer == "clip" and field.encoder.vocabulary == 49408
    data = DataConfig(tokenizer="clip", text_length=20)
    small = replace(field, encoder=replace(SMALL_CLIP, vocabulary=49408, end_id=49407), data=data)
    tokens = new_embedder(small, "").tokenizer(["a photo of a cat"])
    assert tokens.tolist() == [[49406, 320, 1125, 539, 320, 2368, 49407]]
