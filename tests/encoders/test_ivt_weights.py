"""IVT's checkpoint as its released code saves it becomes the shared encoder, entry by entry."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from references.positions import resized
from torch import Tensor

from tipr.encoders.pretrained.faults import WeightsError
from tipr.encoders.pretrained.find import load_weights
from tipr.encoders.pretrained.ivt import Geometry, load_ivt, own_geometry
from tipr.encoders.shared import SharedConfig, SharedEncoder

CONFIG = SharedConfig(width=128, layers=2, heads=2, vocabulary=60, text_length=20)
TOKENS = torch.tensor([[2, 9, 8, 3, 0, 0], [2, 7, 6, 5, 4, 3]])
THEIRS = {  # our names to those of the released code's modules
    r"picture\.patches\.(.*)": r"patch_embed.proj.\1",
    r"picture\.class_token": "cls_token",
    r"picture\.place": "pos_embed",
    r"picture\.kind": "type_embed",
    r"sentence\.word": "embeddings.word_embeddings.weight",
    r"sentence\.place": "embeddings.position_embeddings.weight",
    r"sentence\.segment": "embeddings.token_type_embeddings.weight",
    r"sentence\.norm\.(.*)": r"embeddings.LayerNorm.\1",
    r"norm\.(.*)": r"norm.\1",
    r"blocks\.(\d)\.norm_attention\.(.*)": r"blocks.\1.norm1.\2",
    r"blocks\.(\d)\.norm_feedforward\.(.*)": r"blocks.\1.norm2.\2",
    r"blocks\.(\d)\.attention\.qkv\.(.*)": r"blocks.\1.attn.qkv.\2",
    r"blocks\.(\d)\.attention\.out\.(.*)": r"blocks.\1.attn.proj.\2",
    r"blocks\.(\d)\.feedforward\.image\.0\.(.*)": r"blocks.\1.mlp_vis.fc1.\2",
    r"blocks\.(\d)\.feedforward\.image\.2\.(.*)": r"blocks.\1.mlp_vis.fc2.\2",
    r"blocks\.(\d)\.feedforward\.text\.0\.(.*)": r"blocks.\1.mlp_txt.fc1.\2",
    r"blocks\.(\d)\.feedforward\.text\.2\.(.*)": r"blocks.\1.mlp_txt.fc2.\2",
}
SCAFFOLDING = {
    "temp": torch.tensor(0.5),
    "classifier_img.weight": torch.zeros(5, 128),
    "bottleneck_img.weight": torch.zeros(128),
    "bottleneck_img.running_mean": torch.zeros(128),
    "loss_cmpm.W": torch.zeros(128, 5),
    "encoder_fusion.bert.encoder.layer.0.attention.self.query.weight": torch.zeros(2, 2),
    "encoder_fusion.cls.predictions.bias": torch.zeros(60),
    "itm.weight": torch.zeros(2, 128),
    "encoder_vl.embeddings.position_ids": torch.arange(20)[None],
}


def trained(config: SharedConfig = CONFIG) -> SharedEncoder:
    torch.manual_seed(0)
    encoder = config.build().eval()
    for weight in encoder.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return encoder


def entries(encoder: SharedEncoder, prefix: str = "encoder_vl.") -> dict[str, Tensor]:
    return {prefix + _theirs(name): tensor for name, tensor in encoder.state_dict().items()}


def _theirs(name: str) -> str:
    return next(re.sub(p, to, name) for p, to in THEIRS.items() if re.fullmatch(p, name))


@pytest.mark.parametrize("wrapped", ["", "module."])
@torch.no_grad()
def test_the_encoder_computes_what_it_computed(wrapped: str, tmp_path: Path) -> None:
    encoder = trained()
    saved = {wrapped + name: t for name, t in (entries(encoder) | SCAFFOLDING).items()}
    path = tmp_path / "checkpoint_best.pth"
    torch.save({"epoch": 60, "state_dict": saved, "optimizer": {}}, path)
    loaded = load_weights(tmp_path)
    assert loaded.config == CONFIG and loaded.unknown == ()
    assert all(torch.equal(loaded.state[n], t) for n, t in encoder.state_dict().items())
    again, images = loaded.build().eval(), torch.randn(2, 3, 384, 128)
    expected = encoder.encode_image(images).tokens
    assert torch.equal(again.encode_image(images).tokens, expected)
    expected = encoder.encode_text(TOKENS).embedding
    assert torch.equal(again.encode_text(TOKENS).embedding, expected)


def test_what_only_training_needed_stays_behind() -> None:
    saved = entries(trained()) | SCAFFOLDING | {"novel.weight": torch.zeros(1)}
    loaded = load_ivt(saved)
    assert set(loaded.scaffolding) == set(SCAFFOLDING)
    assert loaded.unknown == ("novel.weight",)
    assert loaded.matched == len(saved) - len(SCAFFOLDING) - 1


def test_the_encoder_alone_needs_no_prefix() -> None:
    loaded = load_ivt(entries(trained(), prefix=""))
    assert set(loaded.state) == set(trained().state_dict()) and loaded.unknown == ()


@pytest.mark.parametrize(("rows", "stride", "grid"), [(193, 16, (24, 8)), (311, 12, (31, 10))])
def test_the_number_of_positions_tells_the_stride(rows: int, stride: int, grid) -> None:
    saved = entries(trained(replace(CONFIG, stride=stride)))
    assert len(saved["encoder_vl.pos_embed"][0]) == rows
    loaded = load_ivt(saved)
    assert loaded.config == replace(CONFIG, stride=stride)
    assert loaded.build().grid == grid
    assert any(f"{grid[0]} x {grid[1]}" in note and f"{stride} apart" in note
               for note in loaded.notes)  # fmt: skip


@pytest.mark.parametrize(
    ("count", "patch", "stride", "grid"),
    [
        (192, 16, 16, (24, 8)),
        (310, 16, 12, (31, 10)),
        (243, 14, 14, (27, 9)),
        (243, 16, 14, (27, 9)),
        (161, 32, 16, (23, 7)),
        (48, 32, 32, (12, 4)),
    ],
)
def test_the_patches_of_a_person_are_known(count: int, patch: int, stride: int, grid) -> None:
    own = own_geometry(count, patch, None, None, "best.pth")
    assert own == Geometry(image_size=(384, 128), stride=stride, grid=grid)


def test_positions_and_types_are_resized_when_asked() -> None:
    """Fine-tuning at another stride, which the released code does with random types."""
    encoder = trained()
    loaded = load_ivt(entries(encoder), stride=12)
    assert loaded.config.stride == 12 and loaded.build().grid == (31, 10)
    for name in ("place", "kind"):
        expected = resized(getattr(encoder.picture, name)[0], (24, 8), (31, 10))
        assert torch.allclose(loaded.state[f"picture.{name}"][0], expected, atol=1e-5)
    assert any("24 x 8 to 31 x 10" in note for note in loaded.notes)
    smaller = load_ivt(entries(encoder), image_size=(256, 128))
    assert smaller.build().grid == (16, 8) and smaller.config.stride == 16


def test_other_pictures_must_be_named() -> None:
    saved = entries(trained(replace(CONFIG, image_size=(256, 96))))
    with pytest.raises(WeightsError, match=r"96 patches.*--image-size"):
        load_ivt(saved)
    loaded = load_ivt(saved, image_size=(256, 96))
    assert loaded.config == replace(CONFIG, image_size=(256, 96))
    assert not any("resized" in note for note in loaded.notes)


def test_half_precision_becomes_single() -> None:
    halves = {name: tensor.half() for name, tensor in entries(trained()).items()}
    state = load_ivt(halves, stride=12).state
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    word = halves["encoder_vl.embeddings.word_embeddings.weight"]
    assert torch.equal(state["sentence.word"], word.float())


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ("type_embed", "lacks the weights for picture.kind"),
        ("blocks.1.mlp_txt.fc2.bias", "lacks the weights for blocks.1.feedforward.text.2.bias"),
    ],
)
def test_a_checkpoint_that_lacks_an_entry_is_refused(lost: str, says: str) -> None:
    saved = entries(trained())
    del saved[f"encoder_vl.{lost}"]
    with pytest.raises(WeightsError, match=f"epoch_9.pth {says}"):
        load_ivt(saved, file="epoch_9.pth")


def test_an_entry_of_another_shape_is_named() -> None:
    saved = entries(trained())
    saved["encoder_vl.blocks.0.attn.qkv.bias"] = torch.zeros(7)
    with pytest.raises(WeightsError, match=r"encoder_vl\.blocks\.0\.attn\.qkv\.bias is 7, where"):
        load_ivt(saved)
