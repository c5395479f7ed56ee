"""Every publisher's CLIP computes here what it computes in transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from references.positions import resized

from tipr.encoders.pretrained.clip import clip_weights, load_clip

pytest.importorskip("transformers")
from references import published

ACTIVATIONS = ["quick_gelu", "gelu"]
SQUARE, TALL = (224, 224), (384, 128)


def write(kind: str, model, folder: Path, activation: published.Activation) -> Path:
    """The model as `kind` publishes it; the file or folder to read."""
    entries = published.openai_entries(model)
    if kind.startswith("transformers"):
        model.save_pretrained(folder)
    if kind == "transformers, bin":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    if kind.startswith("open_clip"):
        published.write_open_clip(entries, folder, activation, custom=kind.endswith("custom"))
    if kind == "state dict":
        torch.save(entries, folder / "ViT-B-16.pt")
    if kind == "TorchScript":
        published.write_archive(entries, folder / "ViT-B-16.pt")
        return folder / "ViT-B-16.pt"
    return folder


KINDS = ["transformers", "transformers, bin", "open_clip", "open_clip custom"]
OPENAI = ["state dict", "TorchScript"]
CASES = [(kind, act) for kind in KINDS for act in ACTIVATIONS]
CASES += [(kind, "quick_gelu") for kind in OPENAI]  # whose files cannot say another


@pytest.fixture(scope="module", params=CASES, ids=lambda case: ", ".join(case))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    kind, activation = request.param
    model = published.small_clip(activation)
    return model, write(kind, model, tmp_path_factory.mktemp("clip"), activation)


@torch.no_grad()
def image_tokens(model, images: torch.Tensor) -> torch.Tensor:
    """All of them projected, as the encoder does; the positions resized by the slow reference."""
    vision = model.vision_model
    old = vision.embeddings.position_embedding.weight
    grid = (images.shape[2] // 16, images.shape[3] // 16)
    vision.embeddings.interpolate_pos_encoding = lambda *_: resized(old, (14, 14), grid)
    hidden = vision(images, interpolate_pos_encoding=True).last_hidden_state
    return model.visual_projection(vision.post_layernorm(hidden))


@pytest.mark.parametrize("size", [SQUARE, TALL], ids=["224x224", "384x128"])
@torch.no_grad()
def test_every_picture_token_is_transformers_token(pair, size) -> None:
    model, path = pair
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    expected = image_tokens(model, images)
    got = load_clip(path, size).build().eval().encode_image(images)
    assert torch.allclose(got.embedding, expected[:, 0], atol=1e-5)
    assert torch.allclose(got.tokens, expected[:, 1:], atol=1e-5)
    features = model.get_image_features(images, interpolate_pos_encoding=True).pooler_output
    assert torch.allclose(got.embedding, features, atol=1e-5)


SENTENCES = torch.tensor([[58, 9, 0, 3, 59, 0, 0, 0], [58, 7, 6, 5, 4, 3, 0, 59]])


@torch.no_grad()
def test_every_word_token_is_transformers_token(pair) -> None:
    model, path = pair
    expected = model.text_projection(model.text_model(SENTENCES).last_hidden_state)
    got = load_clip(path).build().eval().encode_text(SENTENCES)
    assert torch.allclose(got.tokens, expected, atol=1e-5)
    features = model.get_text_features(SENTENCES).pooler_output
    assert torch.allclose(got.embedding, features, atol=1e-5)
    assert got.padding is not None
    assert got.padding.tolist() == [[False] * 5 + [True] * 3, [False] * 8]


def test_every_entry_is_accounted_for(pair) -> None:
    _, path = pair
    loaded = load_clip(path, TALL)
    separate = (path / "config.json").exists()  # query, key and value are entries of their own
    assert loaded.matched == 13 + 4 * (16 if separate else 12)
    assert not loaded.unknown and not loaded.missing
    assert "logit_scale" in loaded.scaffolding
    assert "position embeddings resized from 14x14 to 24x8 (bilinear)" in loaded.notes
    assert "text positions 20" in loaded.notes


@torch.no_grad()
def test_the_activation_is_seen(tmp_path: Path) -> None:
    """So that equality above is not an accident of small weights."""
    tensors = published.openai_entries(published.small_clip())
    images = torch.randn(1, 3, *SQUARE, generator=torch.Generator().manual_seed(1))
    quick, exact = (
        clip_weights(tensors, image_size=SQUARE, facts={"activation": act}).build()
        for act in ACTIVATIONS
    )
    gap = quick.encode_image(images).embedding - exact.encode_image(images).embedding
    assert gap.abs().max() > 1e-3
