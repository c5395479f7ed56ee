"""What reading a CLIP tells, keeps and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign import openai_clip
from safetensors.torch import save_file

from tipr.encoders.clip import CLIPConfig
from tipr.encoders.pretrained.clip import clip_weights, load_clip
from tipr.encoders.pretrained.clip_config import clip_facts
from tipr.encoders.pretrained.clip_names import HUGGING_FACE
from tipr.encoders.pretrained.folders import LARGEST
from tipr.encoders.pretrained.loaded import Loaded, expected
from tipr.encoders.pretrained.tensors import WeightsError

SIZE = (64, 32)


def config_of(loaded: Loaded) -> CLIPConfig:
    assert isinstance(loaded.config, CLIPConfig)
    return loaded.config


def test_sizes_are_read_off_the_tensors() -> None:
    config = clip_weights(openai_clip(width=64, layers=2, vocabulary=600), image_size=SIZE).config
    assert config == CLIPConfig(
        image_size=SIZE, image_width=64, image_layers=2, image_heads=1, text_width=64,
        text_layers=2, text_heads=1, text_length=20, vocabulary=600, embedding=64, end_id=599,
    )  # fmt: skip


def test_half_precision_becomes_fp32_and_is_told() -> None:
    halves = {name: tensor.half() for name, tensor in openai_clip().items()}
    loaded = clip_weights(halves, image_size=SIZE)
    assert {tensor.dtype for tensor in loaded.state.values()} == {torch.float32}
    assert "float16 made float32" in loaded.notes


def test_what_is_read_shares_no_memory_with_file_or_encoder() -> None:
    tensors = openai_clip()
    loaded = clip_weights(tensors, image_size=None)
    before = loaded.state["word.weight"].clone()
    encoder = loaded.build()
    with torch.no_grad():
        tensors["token_embedding.weight"].zero_()
        encoder.get_parameter("word.weight").zero_()
    assert torch.equal(loaded.state["word.weight"], before)
    assert encoder.get_parameter("word.weight").requires_grad


def test_no_size_keeps_the_one_of_the_weights() -> None:
    tensors = openai_clip(grid=3, patch=16)
    loaded = clip_weights(tensors, image_size=None)
    assert loaded.config.image_size == (48, 48)
    assert torch.equal(loaded.state["place"][0], tensors["visual.positional_embedding"])
    assert not any("resized" in note for note in loaded.notes)


def test_overlapping_patches_have_more_places() -> None:
    loaded = clip_weights(openai_clip(grid=3), image_size=SIZE, stride=12)
    assert loaded.build().grid == (5, 2)
    assert "position embeddings resized from 3x3 to 5x2 (bilinear)" in loaded.notes


def test_places_that_were_trained_on_the_wanted_grid_are_kept() -> None:
    tensors = openai_clip() | {"visual.positional_embedding": torch.randn(1 + 4 * 2, 64)}
    loaded = clip_weights(tensors, image_size=SIZE)
    assert torch.equal(loaded.state["place"][0], tensors["visual.positional_embedding"])
    tensors["visual.positional_embedding"] = torch.randn(1 + 8 * 2, 64)
    facts = {"grid": (8, 2)}  # 16 could as well be 4x4
    kept = clip_weights(tensors, image_size=(128, 32), facts=facts)
    assert torch.equal(kept.state["place"][0], tensors["visual.positional_embedding"])
    assert "resized from 4x4 to 8x2" in clip_weights(tensors, image_size=(128, 32)).notes[0]


def test_facts_say_what_tensors_do_not() -> None:
    facts = {"activation": "gelu", "image_heads": 2, "text_heads": 4, "end_id": 3}
    loaded = clip_weights(openai_clip(), image_size=SIZE, facts=facts)
    config = config_of(loaded)
    assert (config.activation, config.image_heads, config.text_heads) == ("gelu", 2, 4)
    assert config.end_id == 3
    assert not any("GELU" in note for note in loaded.notes)


def test_an_assumed_activation_is_told() -> None:
    assert any("quick_gelu" in note for note in clip_weights(openai_clip(), image_size=SIZE).notes)


def test_leftovers_are_told_from_strangers() -> None:
    odd = {"input_resolution": torch.tensor(224), "visual.extra": torch.ones(1)}
    loaded = clip_weights(openai_clip() | odd, image_size=SIZE)
    assert loaded.scaffolding == ("input_resolution", "logit_scale")
    assert loaded.unknown == ("visual.extra",)
    assert loaded.matched == len(openai_clip()) - 1


def test_what_is_missing_is_named_as_the_file_would() -> None:
    tensors = openai_clip()
    del tensors["visual.ln_post.bias"], tensors["transformer.resblocks.0.attn.in_proj_weight"]
    with pytest.raises(WeightsError, match=r"lack 2 entries.*resblocks\.0\.attn\.in_proj_weight"):
        clip_weights(tensors)


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        (["visual.layer1.0.conv1.weight", "token_embedding.weight"], "a ResNet CLIP"),
        (["vision_model.head.probe", "text_model.head.weight"], "SigLIP"),
        (["visual.trunk.patch_embed.proj.weight"], "timm's"),
        (["visual.conv1.weight", "text.cls_emb"], "CoCa"),
        (["visual.transformer.resblocks.0.ls_1.gamma"], "layers that the original lacks"),
        (["visual.conv1.weight", "visual.proj"], "one tower of a CLIP"),
        (["encoder.layer.0.weight", "bert.pooler"], r"no CLIP.*bert\.pooler, encoder\.layer"),
    ],
)
def test_what_is_no_original_clip_is_told_what_it_is(entries: list[str], kind: str) -> None:
    with pytest.raises(WeightsError, match=kind):
        clip_weights({name: torch.ones(1) for name in entries})


def test_shapes_that_no_clip_has_are_refused() -> None:
    odd = openai_clip() | {"visual.transformer.resblocks.0.mlp.c_fc.weight": torch.ones(128, 64)}
    with pytest.raises(WeightsError, match=r"feedforward\.0\.weight has the shape \(128, 64\)"):
        clip_weights(odd, image_size=SIZE)
    with pytest.raises(WeightsError, match=r"visual\.conv1\.weight has the shape \(1,\)"):
        clip_weights(openai_clip() | {"visual.conv1.weight": torch.ones(1)})
    with pytest.raises(WeightsError, match="width of 96 does not divide into heads of 64"):
        clip_weights(openai_clip(width=96), image_size=SIZE)
    with pytest.raises(WeightsError, match="smaller than a patch"):
        clip_weights(openai_clip(), image_size=(64, 8))


def hub_folder(folder: Path, image: dict[str, Any], text: dict[str, Any]) -> Path:
    """One of Hugging Face's names is enough to be read as theirs up to the configuration."""
    names = ["vision_model.embeddings.patch_embedding.weight"]
    names += ["text_model.embeddings.token_embedding.weight"]
    save_file({name: torch.ones(1) for name in names}, folder / "model.safetensors")
    described = {"vision_config": image, "text_config": text}
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("image", "text", "says"),
    [
        ({"hidden_act": "gelu"}, {}, r"config\.json: the towers differ in hidden_act"),
        ({"layer_norm_eps": 1e-6}, {}, r"config\.json: layer_norm_eps is 1e-06; only 1e-05"),
        (
            {"hidden_act": "relu"},
            {"hidden_act": "relu"},
            r"config\.json: hidden_act is 'relu'; only quick_gelu and gelu",
        ),
        ([], {}, r"config\.json does not describe a CLIP"),
    ],
)
def test_a_configuration_that_cannot_be_kept_is_named(tmp_path, image, text, says) -> None:
    with pytest.raises(WeightsError, match=says):
        load_clip(hub_folder(tmp_path, image, text))


def test_an_end_token_of_2_means_the_last_id(tmp_path: Path) -> None:
    """As early configurations have it; transformers then takes the highest id of the sentence."""
    for said, meant in ((2, None), (7, 7)):
        folder = hub_folder(tmp_path, {}, {"eos_token_id": said})
        assert clip_facts(folder, HUGGING_FACE)["end_id"] == meant
    loaded = clip_weights(openai_clip(), image_size=SIZE, facts={"end_id": None})
    assert config_of(loaded).end_id == 599


def open_folder(folder: Path, **switches: dict[str, Any]) -> Path:
    save_file(openai_clip(), folder / "open_clip_model.safetensors")
    image = {"width": 64, "head_width": 32} | switches.get("image", {})
    model = {"vision_cfg": image, "text_cfg": {"heads": 4} | switches.get("text", {})}
    (folder / "open_clip_config.json").write_text(json.dumps(model), encoding="utf-8")
    return folder


def test_open_clips_heads_and_activation_come_from_its_configuration(tmp_path: Path) -> None:
    config = config_of(load_clip(open_folder(tmp_path), SIZE))
    assert (config.image_heads, config.text_heads, config.activation) == (2, 4, "gelu")


@pytest.mark.parametrize(
    ("image", "text", "says"),
    [
        ({}, {"eos_token_id": "49407"}, "eos_token_id is '49407'; it must be one whole number"),
        ({}, {"eos_token_id": [599]}, r"eos_token_id is \[599\]"),
        ({"num_attention_heads": "1"}, {}, "num_attention_heads is '1'"),
        ({}, {"num_attention_heads": 0}, "num_attention_heads is 0"),
    ],
)
def test_a_setting_that_counts_nothing_is_named(tmp_path, image, text, says) -> None:
    with pytest.raises(WeightsError, match=r"config\.json: " + says):
        load_clip(hub_folder(tmp_path, image, text))


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        ({"text": {"no_causal_mask": True}}, r"text_cfg\.no_causal_mask is True; only False"),
        ({"image": {"pool_type": "avg"}}, r"vision_cfg\.pool_type is 'avg'; only 'tok'"),
        ({"text": {"norm_kwargs": {"eps": 1e-6}}}, r"text_cfg\.norm_kwargs"),
        ({"text": {"heads": "4"}}, "heads is '4'"),
        ({"image": {"width": 64.0}}, r"width // head_width is 2\.0"),
    ],
)
def test_a_switch_that_computes_something_else_is_named(tmp_path, switches, says) -> None:
    with pytest.raises(WeightsError, match=r"open_clip_config\.json: " + says):
        load_clip(open_folder(tmp_path, **switches))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ("{}" + " " * LARGEST, "has more than 16 MiB"),
        ('{"vision_cfg": {"width": 64, "head_width": 0}, "text_cfg": {}}', "describe a CLIP"),
    ],
    ids=["cut off", "deep", "large", "no heads"],
)
def test_broken_json_beside_the_weights_is_named(tmp_path: Path, text: str, says: str) -> None:
    (open_folder(tmp_path) / "open_clip_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match=r"open_clip_config\.json .*" + says):
        load_clip(tmp_path)


def test_a_folder_without_weights_or_with_too_many_lists_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no weights.*model\.safetensors"):
        load_clip(tmp_path)
    torch.save(openai_clip(), tmp_path / "ViT-B-16.pt")
    assert config_of(load_clip(tmp_path, SIZE)).embedding == 64
    torch.save(openai_clip(), tmp_path / "ViT-B-32.pt")
    with pytest.raises(WeightsError, match=r"several candidates \(ViT-B-16\.pt, ViT-B-32\.pt\)"):
        load_clip(tmp_path)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt: this is no CLIP"):
        load_clip(tmp_path / "w.pt")
    torch.save(openai_clip(), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt: .*neither|w\.pt: .*smaller than a patch"):
        load_clip(tmp_path / "w.pt", (8, 8))


@pytest.mark.parametrize(("size", "grid"), [(None, (14, 14)), ((384, 128), (24, 8))])
def test_vit_b16_is_read_at_its_published_size(size, grid) -> None:
    """149,620,737 parameters with the temperature, at 224 x 224; shapes alone, no memory."""
    loaded = clip_weights(vit_b16(), image_size=size)
    config = config_of(loaded)
    assert (config.image_heads, config.text_heads, config.end_id) == (12, 8, 49407)
    assert {name: tensor.shape for name, tensor in loaded.state.items()} == expected(config)
    places = (1 + grid[0] * grid[1]) - (1 + 14 * 14)
    count = sum(tensor.numel() for tensor in loaded.state.values())
    assert count == 149_620_737 - 1 + places * 768


def vit_b16() -> dict[str, torch.Tensor]:
    shapes = {
        "visual.conv1.weight": (768, 3, 16, 16), "visual.class_embedding": (768,),
        "visual.positional_embedding": (197, 768), "visual.proj": (768, 512),
        "token_embedding.weight": (49408, 512), "positional_embedding": (77, 512),
        "text_projection": (512, 512), "logit_scale": (),
    }  # fmt: skip
    for norm, width in (("visual.ln_pre", 768), ("visual.ln_post", 768), ("ln_final", 512)):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for tower, width in (("visual.transformer", 768), ("transformer", 512)):
        for layer in range(12):
            block = f"{tower}.resblocks.{layer}."
            for name, rows, columns in (
                ("attn.in_proj_", 3, 1), ("attn.out_proj.", 1, 1), ("mlp.c_fc.", 4, 1),
                ("mlp.c_proj.", 1, 4),
            ):  # fmt: skip
                shapes[f"{block}{name}weight"] = (rows * width, columns * width)
                shapes[f"{block}{name}bias"] = (rows * width,)
            for norm in ("ln_1", "ln_2"):
                shapes |= {f"{block}{norm}.{end}": (width,) for end in ("weight", "bias")}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
