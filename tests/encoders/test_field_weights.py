"""Checkpoints of the IRRA family, saved as their released code saves them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from references.positions import resized
from torch import Tensor

from tipr.encoders.pretrained.clip import clip_weights
from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.field import family_of, load_field, read_settings
from tipr.encoders.pretrained.find import load_weights
from tipr.encoders.pretrained.folders import LARGEST
from tipr.encoders.pretrained.tensors import UnsafeWeights

pytest.importorskip("transformers")
from references.published import openai_entries, small_clip

IRRA = (
    "classifier.weight", "classifier.bias", "cross_attn.in_proj_weight",
    "cross_attn.out_proj.bias", "cross_modal_transformer.resblocks.0.attn.in_proj_bias",
    "ln_pre_t.weight", "ln_pre_i.bias", "ln_post.weight", "mlm_head.dense.weight",
    "mlm_head.ln.bias", "mlm_head.fc.weight",
)  # fmt: skip
RDE = (
    "visul_emb_layer.linear.weight", "visul_emb_layer.fc.bias", "visul_emb_layer.mlp.bns.0.weight",
    "visul_emb_layer.mlp.bns.0.num_batches_tracked", "texual_emb_layer.linear.weight",
    "texual_emb_layer.mlp.layers.1.bias",
)  # fmt: skip
SEN = (
    "classifier.weight", "cross_attn_mlm.in_proj_weight", "ln_pre_t.weight", "mlm_head.fc.bias",
    "cross_modal_transformer_mlm.resblocks.3.ln_1.weight", "decoder_embed.weight", "mask_token",
    "decoder_pos_embed", "cross_attn_TextImage.in_proj_bias", "cross_attn_Text.out_proj.weight",
    "cross_attn_Image.in_proj_weight", "cross_modal_transformer_mae.resblocks.0.mlp.c_fc.weight",
    "norm_1.weight", "norm_7.bias", "decoder_pred.bias", "fuse_head.fc.weight",
    "norm_image.weight", "norm_text.bias",
)  # fmt: skip
HALVED = ("conv1", "in_proj", "out_proj", "c_fc", "c_proj", "visual.proj", "text_projection")
TOKENS = torch.tensor([[58, 9, 8, 59, 0, 0], [58, 7, 6, 5, 4, 59]])
GRID = (24, 8)


@pytest.fixture(scope="module")
def original() -> dict[str, Tensor]:
    """CLIP's weights for 224 x 224, of which every number survives half precision."""
    entries = openai_entries(small_clip())
    del entries["logit_scale"]  # which IRRA's network has not
    return {name: tensor.half().float() for name, tensor in entries.items()}


def person(original: dict[str, Tensor], grid: tuple[int, int] = GRID) -> dict[str, Tensor]:
    """The weights as IRRA's code keeps them: positions resized, products in half precision."""
    table = "visual.positional_embedding"
    entries = original | {table: resized(original[table], (14, 14), grid)}
    return {n: t.half() if any(h in n for h in HALVED) else t for n, t in entries.items()}


def checkpoint(
    original: dict[str, Tensor], beside: tuple[str, ...] = IRRA, grid: tuple[int, int] = GRID
) -> dict[str, Tensor]:
    encoder = {f"base_model.{name}": tensor for name, tensor in person(original, grid).items()}
    return encoder | {name: torch.zeros(2, dtype=torch.half) for name in beside}


def write(saved: dict[str, Tensor], folder: Path, configs: str = "", wrapped: str = "") -> Path:
    named = {wrapped + name: tensor for name, tensor in saved.items()}
    folder.mkdir(exist_ok=True)
    torch.save({"model": named, "epoch": 60, "iteration": 3, "num_epoch": 60}, folder / "best.pth")
    if configs:
        (folder / "configs.yaml").write_text(configs, encoding="utf-8")
    return folder


CONFIGS = """\
MLM: true
batch_size: 64
dataset_name: CUHK-PEDES
img_size: !!python/tuple
- 384
- 128
loss_names: sdm+mlm+id
milestones: !!python/tuple
- 20
- 50
stride_size: 16
text_length: 20
vocab_size: 60
"""


@pytest.mark.parametrize("wrapped", ["", "module."])
@pytest.mark.parametrize("configs", ["", CONFIGS])
@torch.no_grad()
def test_the_encoder_computes_what_its_clip_computes(wrapped, configs, original, tmp_path) -> None:
    folder = write(checkpoint(original), tmp_path / "run", configs, wrapped)
    loaded, direct = load_weights(folder), clip_weights(original, image_size=(384, 128))
    assert loaded.config == direct.config and loaded.config.image_size == (384, 128)
    ours, theirs = loaded.build().eval(), direct.build().eval()
    images = torch.randn(2, 3, 384, 128)
    pairs = ((ours.encode_image(images), theirs.encode_image(images)),
             (ours.encode_text(TOKENS), theirs.encode_text(TOKENS)))  # fmt: skip
    for one, other in pairs:
        assert torch.allclose(one.embedding, other.embedding, atol=1e-5)
        assert torch.allclose(one.tokens, other.tokens, atol=1e-5)


def test_every_entry_is_the_encoders_or_listed(original, tmp_path) -> None:
    saved = checkpoint(original, (*IRRA, "mystery.weight")) | {
        "base_model.visual.extra": torch.zeros(1)
    }
    loaded = load_weights(write(saved, tmp_path))
    assert set(loaded.scaffolding) == set(IRRA)
    assert set(loaded.unknown) == {"mystery.weight", "base_model.visual.extra"}
    assert loaded.matched == len(original) and loaded.missing == ()
    assert {tensor.dtype for tensor in loaded.state.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("beside", "settings", "family", "says"),
    [
        (IRRA, {}, "IRRA", "IRRA searches with the encoder alone"),
        (IRRA[:2], {}, "IRRA", "IRRA searches with the encoder alone"),
        (RDE, {}, "RDE", "only the global half (BGE) of RDE's score is imported"),
        (SEN, {}, "SEN", "SEN searches with the encoder alone"),
        (IRRA, {"nam": "true"}, "MLLM4Text-ReID", "MLLM4Text-ReID is IRRA's network"),
        ((), {"nam": "true"}, "MLLM4Text-ReID", "MLLM4Text-ReID is IRRA's network"),
        ((), {}, "", "HAM's and MLLM4Text-ReID's pre-trained models are so"),
    ],
)
def test_the_codes_are_told_apart(beside, settings, family, says, original, tmp_path) -> None:
    assert family_of(beside, {key: [value] for key, value in settings.items()}) == family
    configs = "".join(f"{key}: {value}\n" for key, value in settings.items())
    loaded = load_weights(write(checkpoint(original, beside), tmp_path, configs))
    assert set(loaded.scaffolding) == set(beside) and loaded.unknown == ()
    assert any(says in note for note in loaded.notes)


def test_masked_training_is_told(original, tmp_path) -> None:
    """IRRA's mask is 49405 of 49408 tokens."""
    loaded = load_weights(write(checkpoint(original), tmp_path / "masked"))
    assert any("token 57 is its mask" in note for note in loaded.notes)
    loaded = load_weights(write(checkpoint(original, IRRA[:2]), tmp_path / "plain"))
    assert not any("mask" in note for note in loaded.notes)


def test_what_it_was_trained_on_is_told(original, tmp_path) -> None:
    notes = load_weights(write(checkpoint(original), tmp_path, CONFIGS)).notes
    assert "configs.yaml: trained on CUHK-PEDES with sdm+mlm+id" in notes
    assert not any("apart" in note for note in notes)  # nothing was guessed


def test_without_configs_the_guess_is_told(original, tmp_path) -> None:
    notes = load_weights(write(checkpoint(original), tmp_path)).notes
    assert any("no configs.yaml" in note and "384 x 128" in note and "16 apart" in note
               for note in notes)  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        "img_size: !!python/tuple\n- 384\n- 128\nstride_size: 12\n",
        "img_size:\n  - 384\n  - 128\nstride_size: 12\n",
        "img_size: [384, 128]  # height, width\nstride_size: '12'\n",
        "stride_size: 12\r\nimg_size: !!python/tuple [384,128]\r\nroot_dir: '/data: [1]'\r\n",
        "img_size: (384, 128)\nstride_size: 12",
    ],
)
def test_configs_say_the_geometry_in_any_of_yamls_ways(lines: str, original, tmp_path) -> None:
    folder = write(checkpoint(original, grid=(31, 10)), tmp_path, lines)
    settings = read_settings(folder / "configs.yaml")
    assert settings["img_size"] == ["384", "128"] and settings["stride_size"] == ["12"]
    loaded = load_weights(folder)
    assert loaded.config.stride == 12 and loaded.build().grid == (31, 10)
    assert not any("resized" in note for note in loaded.notes)


def test_settings_too_large_are_refused(tmp_path) -> None:
    path = tmp_path / "configs.yaml"
    path.write_text("a: 1\n" + "#" * LARGEST, "utf-8")
    with pytest.raises(WeightsError, match=r"configs\.yaml has more than 16 MiB"):
        read_settings(path)


def test_settings_beside_lists_are_kept_apart(tmp_path) -> None:
    path = tmp_path / "configs.yaml"
    path.write_text("a: &id001\n- 1\n- 2\nb: null\nc: *id001\nnested:\n  d: 3\ne:\n", "utf-8")
    settings = read_settings(path)
    assert settings["a"] == ["1", "2"] and settings["b"] == ["null"] and settings["e"] == []
    assert "d" not in settings
    assert read_settings(tmp_path / "none.yaml") == {}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("img_size: big\n", r"configs\.yaml: img_size is big; it must be height and width"),
        ("img_size:\n", r"img_size is empty"),
        ("img_size: [384, -1]\n", r"img_size is 384 -1"),
        ("img_size: [384, 128]\nstride_size: 0\n", r"stride_size is 0; it must be one whole"),
        ("img_size: [384, 128]\nstride_size: 12\n", r"310 patches, but best\.pth has 192"),
    ],
)
def test_configs_that_cannot_be_right_are_named(lines, says, original, tmp_path) -> None:
    folder = write(checkpoint(original), tmp_path, lines)
    with pytest.raises(WeightsError, match=says):
        load_weights(folder)


def test_an_unusual_size_must_be_named(original, tmp_path) -> None:
    folder = write(checkpoint(original, grid=(16, 6)), tmp_path)
    with pytest.raises(WeightsError, match=r"best\.pth has positions for 96 .*--image-size"):
        load_weights(folder)
    loaded = load_weights(folder, image_size=(256, 96))
    assert loaded.build().grid == (16, 6) and loaded.config.image_size == (256, 96)


@pytest.mark.parametrize("configs", ["", CONFIGS])
def test_another_size_is_made_of_its_own(configs, original, tmp_path) -> None:
    folder = write(checkpoint(original), tmp_path, configs)
    own, smaller = load_weights(folder), load_weights(folder, image_size=(256, 128))
    assert smaller.config.image_size == (256, 128)
    expected = resized(own.state["place"][0], GRID, (16, 8))
    assert torch.allclose(smaller.state["place"][0], expected, atol=1e-5)


def test_settings_that_contradict_the_weights_are_told(original, tmp_path) -> None:
    configs = CONFIGS.replace("text_length: 20", "text_length: 12")
    notes = load_weights(write(checkpoint(original), tmp_path, configs)).notes
    assert "configs.yaml: text_length is 12, the weights have 20" in notes


def test_a_lost_table_of_positions_is_named(original) -> None:
    saved = checkpoint(original)
    del saved["base_model.visual.positional_embedding"]
    with pytest.raises(WeightsError, match=r"visual\.positional_embedding"):
        load_field(saved)


def test_a_resnet_is_refused(original) -> None:
    resnet = {"base_model.visual.layer1.0.conv1.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match="ResNet"):
        load_field(resnet)


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def test_a_checkpoint_that_would_run_code_is_refused(original, tmp_path) -> None:
    witness = tmp_path / "ran"
    saved = {"model": checkpoint(original), "args": Payload(witness)}
    torch.save(saved, tmp_path / "best.pth")
    with pytest.raises(UnsafeWeights, match=r"best\.pth"):
        load_weights(tmp_path / "best.pth")
    assert not witness.exists()
