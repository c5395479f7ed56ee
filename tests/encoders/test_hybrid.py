"""IVT's start computes what the ViT and the BERT that it is made of compute in transformers."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from references.positions import resized
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.hybrid import load_hybrid
from tipr.encoders.pretrained.loaded import Loaded
from tipr.encoders.shared import SharedConfig, SharedEncoder

pytest.importorskip("transformers")
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

SQUARE, TALL = (224, 224), (384, 128)
CONFIG = SharedConfig(width=32, layers=2, heads=2, vocabulary=60, text_length=20)
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 128}  # fmt: skip
TOKENS = torch.tensor([[2, 9, 8, 3, 17, 59], [2, 7, 6, 5, 4, 3]])


def vit(image_size: tuple[int, int], kind: type[nn.Module] = ViTModel) -> nn.Module:
    """IVT's norms have 1e-6 where ViT's config says 1e-12."""
    config = ViTConfig(**SIZES, image_size=image_size, patch_size=16, layer_norm_eps=1e-6)
    return drawn(kind(config), seed=1)


def bert(kind: type[nn.Module] = BertModel, **sizes: int) -> nn.Module:
    config = BertConfig(**(SIZES | sizes), vocab_size=60, max_position_embeddings=20)
    return drawn(kind(config), seed=2)


def drawn(model: nn.Module, seed: int) -> nn.Module:
    """Weights large enough that every one of them shows in the result."""
    draw = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        gain = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        weight.data = gain + 0.2 * torch.randn(weight.shape, generator=draw)
    return model.eval()


def timm_entries(model: nn.Module) -> dict[str, Tensor]:
    theirs = model.state_dict()
    entries = {
        "cls_token": theirs["embeddings.cls_token"],
        "pos_embed": theirs["embeddings.position_embeddings"],
        "head.weight": torch.zeros(1000, 32),
        "head.bias": torch.zeros(1000),
    }
    for end in ("weight", "bias"):
        entries[f"patch_embed.proj.{end}"] = theirs[f"embeddings.patch_embeddings.projection.{end}"]
        entries[f"norm.{end}"] = theirs[f"layernorm.{end}"]
        for i in range(2):
            block = {name: theirs[f"layers.{i}.{name}.{end}"] for name in (
                "layernorm_before", "layernorm_after", "mlp.fc1", "mlp.fc2", "attention.q_proj",
                "attention.k_proj", "attention.v_proj", "attention.o_proj",
            )}  # fmt: skip
            qkv = [block[f"attention.{third}_proj"] for third in "qkv"]
            entries[f"blocks.{i}.attn.qkv.{end}"] = torch.cat(qkv)
            entries[f"blocks.{i}.attn.proj.{end}"] = block["attention.o_proj"]
            entries[f"blocks.{i}.norm1.{end}"] = block["layernorm_before"]
            entries[f"blocks.{i}.norm2.{end}"] = block["layernorm_after"]
            entries[f"blocks.{i}.mlp.fc1.{end}"] = block["mlp.fc1"]
            entries[f"blocks.{i}.mlp.fc2.{end}"] = block["mlp.fc2"]
    return entries


def write_vit(model: nn.Module, kind: str, folder: Path) -> Path:
    """The file or folder to read."""
    if kind == "transformers":
        model.save_pretrained(folder)
        return folder
    if kind == "classifier":
        whole = ViTForImageClassification(model.config)
        whole.vit.load_state_dict(model.state_dict(), strict=False)
        whole.save_pretrained(folder)
        return folder
    if kind == "modules":
        torch.save(model.state_dict(), folder / "vit.pt")
        return folder / "vit.pt"
    if kind == "timm, safetensors":
        save_file(
            {n: t.contiguous() for n, t in timm_entries(model).items()}, folder / "vit.safetensors"
        )
        return folder / "vit.safetensors"
    torch.save(timm_entries(model), folder / "jx_vit_base_p16_224-80ecf9dd.pth")
    return folder / "jx_vit_base_p16_224-80ecf9dd.pth"


KINDS = ["transformers", "classifier", "modules", "timm", "timm, safetensors"]


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    bert().save_pretrained(folder)
    return folder


def without_kind(loaded: Loaded) -> SharedEncoder:
    """A ViT has no type embedding."""
    encoder = loaded.build()
    assert isinstance(encoder, SharedEncoder)
    encoder.picture.kind.data.zero_()
    return encoder.eval()


def image_tokens(encoder: SharedEncoder, images: Tensor) -> Tensor:
    encoded = encoder.encode_image(images)
    return torch.cat([encoded.embedding[:, None], encoded.tokens], dim=1)


@pytest.mark.parametrize("size", [SQUARE, TALL])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_patch_of_a_picture_is_the_vits(kind, size, tmp_path, bert_folder) -> None:
    reference = vit(size)
    source = write_vit(reference, kind, tmp_path)
    encoder = without_kind(load_hybrid(source, bert_folder, replace(CONFIG, image_size=size)))
    images = torch.randn(2, 3, *size)
    expected = reference(images).last_hidden_state
    assert torch.allclose(image_tokens(encoder, images), expected, atol=1e-5)


@pytest.mark.parametrize(("stride", "grid"), [(16, (24, 8)), (12, (31, 10))])
@torch.no_grad()
def test_positions_of_a_square_serve_a_person(stride, grid, tmp_path, bert_folder) -> None:
    reference = vit(SQUARE)
    source = write_vit(reference, "timm", tmp_path)
    loaded = load_hybrid(source, bert_folder, replace(CONFIG, image_size=TALL, stride=stride))
    assert any(f"14 x 14 to {grid[0]} x {grid[1]}" in note for note in loaded.notes)
    embeddings = reference.embeddings
    table = resized(embeddings.position_embeddings[0], (14, 14), grid)
    embeddings.position_embeddings = nn.Parameter(table[None])
    patches, embeddings.image_size = embeddings.patch_embeddings, TALL
    patches.image_size, patches.projection.stride = TALL, (stride, stride)
    images = torch.randn(2, 3, *TALL)
    expected = reference(images).last_hidden_state
    assert torch.allclose(image_tokens(without_kind(loaded), images), expected, atol=1e-5)


@torch.no_grad()
def test_a_config_beside_the_weights_says_what_is_no_square(tmp_path, bert_folder) -> None:
    """192 patches are 24 x 8 here and would be 12 x 16 of the pictures asked for."""
    reference = vit(TALL)
    source = write_vit(reference, "transformers", tmp_path)
    asked = replace(CONFIG, image_size=(192, 256))
    place = load_hybrid(source, bert_folder, asked).state["picture.place"]
    table = reference.embeddings.position_embeddings[0]
    assert torch.allclose(place[0], resized(table, (24, 8), (12, 16)), atol=1e-5)


def masked_lm(folder: Path) -> dict[str, Tensor]:
    whole = BertForMaskedLM(bert().config)
    whole.bert.load_state_dict(bert().state_dict(), strict=False)
    whole.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def write_bert(kind: str, folder: Path) -> Path:
    if kind == "transformers":
        bert().save_pretrained(folder)
    if kind == "masked words":
        masked_lm(folder)
    if kind == "first release":
        names = {n: n.replace("LayerNorm.weight", "LayerNorm.gamma") for n in masked_lm(folder)}
        names = {n: old.replace("LayerNorm.bias", "LayerNorm.beta") for n, old in names.items()}
        entries = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        renamed = {names[name]: tensor for name, tensor in entries.items()}
        assert any(name.endswith("gamma") for name in renamed)
        torch.save(renamed, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("kind", ["transformers", "masked words", "first release"])
@torch.no_grad()
def test_words_are_embedded_and_fed_forward_as_by_bert(kind, tmp_path) -> None:
    pictures, words = tmp_path / "vit", tmp_path / "bert"
    pictures.mkdir()
    words.mkdir()
    source, reference = write_vit(vit(SQUARE), "timm", pictures), bert()
    encoder = without_kind(load_hybrid(source, write_bert(kind, words), CONFIG))
    embedded = reference.embeddings(TOKENS)
    assert torch.allclose(encoder.sentence(TOKENS), embedded, atol=1e-5)
    for block, layer in zip(encoder.blocks, reference.encoder.layer, strict=True):
        expected = layer.output.dense(layer.intermediate(embedded))
        assert torch.allclose(block.feedforward["text"](embedded), expected, atol=1e-5)


@torch.no_grad()
def test_a_sentence_runs_through_the_vits_attention(tmp_path, bert_folder) -> None:
    pictures, words = vit(SQUARE), bert()
    source = write_vit(pictures, "transformers", tmp_path)
    encoder = without_kind(load_hybrid(source, bert_folder, CONFIG))
    mixed = copy.deepcopy(pictures)
    x = words.embeddings(TOKENS)
    for layer, theirs in zip(mixed.layers, words.encoder.layer, strict=True):
        layer.mlp.fc1, layer.mlp.fc2 = theirs.intermediate.dense, theirs.output.dense
        x = layer(x)
    assert torch.allclose(encoder.encode_text(TOKENS).tokens, mixed.layernorm(x), atol=1e-5)


def test_every_entry_of_both_files_is_accounted_for(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    loaded = load_hybrid(source, bert_folder, CONFIG)
    words, pictures = load_file(bert_folder / "model.safetensors"), timm_entries(vit(SQUARE))
    assert loaded.matched + len(loaded.scaffolding) == len(words) + len(pictures)
    assert loaded.unknown == () and loaded.missing == ()
    behind = {n for n in words if ".attention." in n or ".output.LayerNorm" in n or "pooler" in n}
    assert set(loaded.scaffolding) == behind | {"head.weight", "head.bias"}
    assert loaded.matched == 8 + 2 * 12 - 2 + 5 + 2 * 4  # no class token or table has a bias


def test_the_type_embedding_is_drawn_alike_each_time(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    first, again = (load_hybrid(source, bert_folder, CONFIG) for _ in range(2))
    kind = first.state["picture.kind"]
    assert torch.equal(kind, again.state["picture.kind"])
    assert kind.shape == (1, 193, 32) and kind.std() == pytest.approx(0.02, rel=0.2)
    assert any("type embedding" in note for note in first.notes)


def test_a_shorter_text_takes_the_first_positions(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    loaded = load_hybrid(source, bert_folder, replace(CONFIG, text_length=8))
    table = bert().embeddings.position_embeddings.weight
    assert torch.equal(loaded.state["sentence.place"], table[:8])


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"hidden_size": 64}, "word_embeddings.weight is 60 x 64, where the encoder takes 60 x 32"),
        ({"num_hidden_layers": 3}, "encoder.layer.2.intermediate.dense.* has no place"),
        ({"num_hidden_layers": 1}, "lacks the weights for blocks.1.feedforward.text"),
    ],
)
def test_a_bert_of_another_size_is_refused(sizes, says, tmp_path) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    bert(**sizes).save_pretrained(tmp_path / "bert")
    with pytest.raises(WeightsError, match=says) as error:
        load_hybrid(source, tmp_path / "bert", CONFIG)
    assert str(tmp_path / "bert" / "model.safetensors") in str(error.value)


def test_a_vit_of_other_patches_is_refused(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    with pytest.raises(WeightsError, match=r"patch_embed\.proj\.weight is 32 x 3 x 16 x 16"):
        load_hybrid(source, bert_folder, replace(CONFIG, patch=8, stride=8))


def test_positions_of_no_known_grid_are_refused(tmp_path, bert_folder) -> None:
    source = write_vit(vit((160, 48)), "timm", tmp_path)
    with pytest.raises(WeightsError, match=r"30 patches.*config\.json"):
        load_hybrid(source, bert_folder, CONFIG)


def test_halves_in_the_wrong_places_are_named(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    with pytest.raises(WeightsError, match="holds no picture transformer"):
        load_hybrid(bert_folder, source, CONFIG)
    with pytest.raises(WeightsError, match="holds no BERT"):
        load_hybrid(source, source, CONFIG)


def test_a_third_of_the_attention_is_missed(tmp_path, bert_folder) -> None:
    entries = vit(SQUARE).state_dict()
    del entries["layers.1.attention.k_proj.bias"]
    torch.save(entries, tmp_path / "vit.pt")
    with pytest.raises(WeightsError, match=r"layers\.1\.attention.*beside it"):
        load_hybrid(tmp_path / "vit.pt", bert_folder, CONFIG)


def test_a_stem_has_no_patches_to_start_from(tmp_path, bert_folder) -> None:
    source = write_vit(vit(SQUARE), "timm", tmp_path)
    stem = replace(CONFIG, stem=(8, 16, 32))
    with pytest.raises(ValueError, match="stem"):
        load_hybrid(source, bert_folder, stem)
