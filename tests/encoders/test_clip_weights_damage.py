"""Entries that no encoder can be made of are named, whoever published them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from foreign import openai_clip
from torch import Tensor

from tipr.encoders.pretrained.clip import clip_weights
from tipr.encoders.pretrained.field import load_field
from tipr.encoders.pretrained.find import load_weights
from tipr.encoders.pretrained.ivt import load_ivt
from tipr.encoders.pretrained.loaded import Loaded
from tipr.encoders.pretrained.tensors import WeightsError
from tipr.encoders.shared import SharedConfig

SHARED = SharedConfig(image_size=(32, 32), width=64, layers=2, heads=1, vocabulary=9, text_length=5)
WORDS, BLOCKS = "embeddings.word_embeddings.weight", "visual.transformer.resblocks"
NAMES = {  # of entries of IVT's by ours, the longer first
    "picture.patches": "patch_embed.proj", "picture.class_token": "cls_token",
    "picture.place": "pos_embed", "picture.kind": "type_embed",
    "sentence.word": WORDS, "sentence.place": "embeddings.position_embeddings.weight",
    "sentence.segment": "embeddings.token_type_embeddings.weight",
    "sentence.norm": "embeddings.LayerNorm", "norm_attention": "norm1",
    "norm_feedforward": "norm2", "attention.qkv": "attn.qkv", "attention.out": "attn.proj",
    "feedforward.image.0": "mlp_vis.fc1", "feedforward.image.2": "mlp_vis.fc2",
    "feedforward.text.0": "mlp_txt.fc1", "feedforward.text.2": "mlp_txt.fc2",
}  # fmt: skip


def clip() -> dict[str, Tensor]:
    return openai_clip(grid=2)


def ivt() -> dict[str, Tensor]:
    torch.manual_seed(0)
    entries = {}
    for name, tensor in SHARED.build().state_dict().items():
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        entries[name] = tensor
    return entries


def read_clip(entries: dict[str, Tensor]) -> Loaded:
    return clip_weights(entries, image_size=(32, 32))


def read_field(entries: dict[str, Tensor]) -> Loaded:
    named = {f"base_model.{name}": tensor for name, tensor in entries.items()}
    return load_field(named, image_size=(32, 32))


def read_ivt(entries: dict[str, Tensor]) -> Loaded:
    return load_ivt(entries, image_size=(32, 32))


Reader = Callable[[dict[str, Tensor]], Loaded]
TABLES: list[tuple[Reader, Callable[[], dict[str, Tensor]], str]] = [
    *((read, clip, name) for read in (read_clip, read_field) for name in (
        "visual.conv1.weight", "visual.positional_embedding", "visual.proj", "positional_embedding",
        "token_embedding.weight", "text_projection", "visual.class_embedding")),
    *((read_ivt, ivt, name) for name in (
        "patch_embed.proj.weight", "pos_embed", "type_embed", "cls_token", WORDS,
        "embeddings.position_embeddings.weight")),
]  # fmt: skip
IDS = [f"{i} {name}" for i, (_, _, name) in enumerate(TABLES)]


@pytest.mark.parametrize(("read", "entries", "name"), TABLES, ids=IDS)
def test_what_is_no_weights_is_named(read: Reader, entries, name: str) -> None:
    whole = entries()
    assert read(whole).unknown == ()
    table = whole[name]
    odd = {
        "holds int8": table.mul(100).to(torch.int8),
        "holds bool": table > 0,
        "holds complex64": table.to(torch.complex64),
        "holds float8_e4m3fn": table.to(torch.float8_e4m3fn),
        r"infinite or none \(NaN\)": table * float("nan"),
        "infinite or none": torch.full_like(table, 1e300, dtype=torch.float64),
        "is empty": table[:0],
        r"has the shape \(\)": torch.tensor(1.0),
    }
    for says, tensor in odd.items():
        with pytest.raises(WeightsError, match=f"{name}.* {says}"):
            read(whole | {name: tensor})


def test_one_number_that_is_none_is_enough() -> None:
    whole = clip()
    whole["ln_final.bias"][3] = float("inf")
    with pytest.raises(WeightsError, match=r"ln_final\.bias holds numbers that are infinite"):
        read_clip(whole)


def test_patches_without_pixels_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"visual\.conv1\.weight is empty, \(64, 3, 0, 0\)"):
        read_field(clip() | {"visual.conv1.weight": torch.zeros(64, 3, 0, 0)})


@pytest.mark.parametrize("number", ["100000000", "9" * 5000], ids=["large", "endless"])
def test_a_block_of_an_absurd_number_is_unknown(number: str) -> None:
    for read, whole, name in (
        (read_clip, clip(), f"{BLOCKS}.{number}.ln_1.weight"),
        (read_ivt, ivt(), f"blocks.{number}.norm1.weight"),
    ):
        loaded = read(whole | {name: torch.ones(64)})
        assert loaded.unknown == (name,)
        assert loaded.config == read(whole).config


def test_blocks_with_a_gap_are_not_whole() -> None:
    whole = {name.replace("resblocks.0.", "resblocks.7."): t for name, t in clip().items()}
    with pytest.raises(WeightsError, match=r"lack 24 .* transformer\.resblocks\.0\.attn"):
        read_clip(whole)
    whole = {name.replace("blocks.0.", "blocks.7."): t for name, t in ivt().items()}
    with pytest.raises(WeightsError, match=r"lacks the weights for blocks\.0\."):
        read_ivt(whole)


def test_parts_of_the_attention_of_other_widths_are_told(tmp_path: Path) -> None:
    tiny = {f"encoder.layer.0.attention.attention.{part}.weight": torch.ones(2, wide)
            for part, wide in (("query", 2), ("key", 3), ("value", 2))}  # fmt: skip
    tiny["embeddings.patch_embeddings.projection.weight"] = torch.ones(2, 3, 4, 4)
    torch.save(tiny, tmp_path / "vit.pt")
    with pytest.raises(WeightsError, match=r"vit\.pt: .*query\.weight does not fit .*\(2, 3\)"):
        load_weights(f"{tmp_path / 'vit.pt'}+{tmp_path / 'vit.pt'}")


@pytest.mark.parametrize(("size", "stride"), [((256, 192), 16), ((384, 128), 14)])
def test_the_size_that_is_asked_for_comes_before_the_fields(size, stride: int) -> None:
    """256 x 192 has as many patches as 384 x 128; 14 is a step of patches of 16 too."""
    config = replace(SHARED, image_size=size, stride=stride)
    assert config.grid[0] * config.grid[1] in (192, 243)
    whole = ivt()
    for name in ("pos_embed", "type_embed"):
        whole[name] = torch.randn(1, 1 + config.grid[0] * config.grid[1], 64)
    loaded = load_ivt(whole, image_size=size)
    assert loaded.config == config
    assert torch.equal(loaded.state["picture.place"], whole["pos_embed"])
