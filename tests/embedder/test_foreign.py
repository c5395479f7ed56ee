"""Weights of others become models that embed, and what was left behind is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign import openai_clip
from rectangles import draw

from tipr.data.bpe import ClipPairs
from tipr.data.images import CLIP_MEAN
from tipr.data.text import Tokenizer
from tipr.embedder import Embedder
from tipr.embedder.foreign import import_model

MERGES = [("r", "e"), ("re", "d</w>"), ("c", "o"), ("co", "a"), ("coa", "t</w>")]
VOCABULARY = Tokenizer(ClipPairs(MERGES)).vocabulary


@pytest.fixture
def clip_file(tmp_path: Path) -> Path:
    """A small CLIP as OpenAI names it, with a tokenizer of its own beside it."""
    folder = tmp_path / "clip"
    folder.mkdir()
    torch.save(openai_clip(vocabulary=VOCABULARY), folder / "ViT-tiny.pt")
    Tokenizer(ClipPairs(MERGES)).save(folder)
    return folder / "ViT-tiny.pt"


def test_clip_weights_become_a_model_in_the_fields_geometry(clip_file, tmp_path) -> None:
    embedder, loaded = import_model(clip_file)
    assert embedder.encoder.image_size == (384, 128)
    assert embedder.transform.mean == CLIP_MEAN
    assert embedder.tokenizer.length == 20 and loaded.matched > 30
    assert loaded.scaffolding == ("logit_scale",) and not loaded.unknown
    embedder.save(tmp_path / "model")
    again = Embedder.load(tmp_path / "model", "cpu")
    pictures = [draw("red", "blue"), draw("white", "black")]
    assert np.allclose(embedder.embed_images(pictures), again.embed_images(pictures), atol=2e-3)
    texts = ["a red coat", "red!"]
    assert np.allclose(embedder.embed_texts(texts), again.embed_texts(texts), atol=2e-3)
    assert again.fingerprint == embedder.fingerprint


def test_geometry_and_length_can_be_chosen(clip_file) -> None:
    embedder, _ = import_model(clip_file, image_size=(64, 32), text_length=9)
    assert embedder.encoder.image_size == (64, 32) and embedder.tokenizer.length == 9
    assert embedder.unread("a red coat a red coat a red coat a red coat") is not None


def test_pictures_are_normalised_as_the_source_says(clip_file) -> None:
    record = clip_file.parent / "preprocessor_config.json"
    record.write_text(json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]}))
    assert import_model(clip_file.parent)[0].transform.std == (0.1, 0.2, 0.3)
    for damaged, said in (("{", "is not JSON"), ("[]", "object"), ('{"image_std": 3}', "damaged")):
        record.write_text(damaged)
        with pytest.raises(ValueError, match=said):
            import_model(clip_file)
    record.unlink()
    record = clip_file.parent / "open_clip_config.json"
    record.write_text(
        json.dumps(
            {
                "model_cfg": {
                    "embed_dim": 64,
                    "quick_gelu": True,
                    "text_cfg": {"heads": 1, "width": 64},
                    "vision_cfg": {"head_width": 64, "width": 64},
                },
                "preprocess_cfg": {"mean": [0.1] * 3, "std": [0.2] * 3},
            }
        )
    )
    assert import_model(clip_file)[0].transform.std == (0.2, 0.2, 0.2)


def test_weights_without_a_tokenizer_ask_for_one(tmp_path, clip_file) -> None:
    alone = tmp_path / "alone.pt"
    clip_file.rename(alone)
    with pytest.raises(ValueError, match=r"brings no tokenizer .* with --tokenizer"):
        import_model(alone)
    assert import_model(alone, tokenizer=tmp_path / "clip")[0].tokenizer.vocabulary == VOCABULARY


def test_a_tokenizer_of_another_size_or_end_is_refused(clip_file, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Tokenizer(ClipPairs(MERGES[:2])).save(other)
    with pytest.raises(ValueError, match=r"has \d+ pieces of words, .*it is not their tokenizer"):
        import_model(clip_file, tokenizer=other)


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"stride": -4}, {"text_length": 0}])
def test_options_that_mean_nothing_are_refused(clip_file, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 pixel, a text length at least 3"):
        import_model(clip_file, **wrong)


def test_a_text_length_beyond_the_weights_is_refused(clip_file) -> None:
    with pytest.raises(ValueError, match="up to 30 tokens, the encoder reads 20"):
        import_model(clip_file, text_length=30)


def test_overlapping_patches_can_be_asked_for(clip_file) -> None:
    encoder = import_model(clip_file, image_size=(64, 32), stride=8)[0].encoder
    assert encoder.grid == (7, 3)
