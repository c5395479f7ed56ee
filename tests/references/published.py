"""A small random CLIP of transformers', and its weights as other publishers write them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

Activation = Literal["quick_gelu", "gelu"]


def small_clip(activation: Activation = "quick_gelu", seed: int = 0) -> CLIPModel:
    """Weights large enough that every one of them shows in the result."""
    sizes = {"num_hidden_layers": 2, "projection_dim": 24, "hidden_act": activation}
    text = {
        "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512, "vocab_size": 60,
        "max_position_embeddings": 20, "bos_token_id": 58, "eos_token_id": 59,
    }  # fmt: skip
    image = {
        "hidden_size": 64, "num_attention_heads": 1, "intermediate_size": 256,
        "image_size": 224, "patch_size": 16,
    }  # fmt: skip
    config = CLIPConfig(text_config=sizes | text, vision_config=sizes | image, projection_dim=24)
    model = CLIPModel(config).eval()
    draw = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        gain = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weight.data = gain + 0.15 * torch.randn(weight.shape, generator=draw)
    return model


def openai_entries(model: CLIPModel) -> dict[str, Tensor]:
    theirs = model.state_dict()
    entries = {
        "visual.conv1.weight": theirs["vision_model.embeddings.patch_embedding.weight"],
        "visual.class_embedding": theirs["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": theirs["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": theirs["visual_projection.weight"].T,
        "token_embedding.weight": theirs["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": theirs["text_model.embeddings.position_embedding.weight"],
        "text_projection": theirs["text_projection.weight"].T,
        "logit_scale": theirs["logit_scale"],
    }
    norms = {
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
        "ln_final": "text_model.final_layer_norm",
    }
    for ours, name in norms.items():
        entries |= {f"{ours}.{end}": theirs[f"{name}.{end}"] for end in ("weight", "bias")}
    for ours, name in (("visual.", "vision_model"), ("", "text_model")):
        for layer in range(2):
            block = f"{ours}transformer.resblocks.{layer}."
            entries |= _block(theirs, f"{name}.encoder.layers.{layer}.", block)
    return {name: tensor.clone().contiguous() for name, tensor in entries.items()}


def _block(theirs: dict[str, Tensor], source: str, block: str) -> dict[str, Tensor]:
    parts = {
        "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
    }  # fmt: skip
    entries = {}
    for end in ("weight", "bias"):
        qkv = [theirs[f"{source}self_attn.{p}_proj.{end}"] for p in "qkv"]
        entries[f"{block}attn.in_proj_{end}"] = torch.cat(qkv)
        entries |= {
            f"{block}{p}.{end}": theirs[f"{source}{name}.{end}"] for p, name in parts.items()
        }
    return entries


class Archived(nn.Module):
    """A module with the entries as parameters, at their places in the tree."""

    def __init__(self, entries: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in entries.items():
            *path, last = name.split(".")
            part: nn.Module = self
            for step in path:
                if not hasattr(part, step):
                    part.add_module(step, nn.Module())
                part = getattr(part, step)
            part.register_parameter(last, nn.Parameter(tensor))
        for number in ("input_resolution", "context_length", "vocab_size"):
            self.register_buffer(number, torch.tensor(1))


def write_archive(entries: dict[str, Tensor], path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)
        torch.jit.save(torch.jit.script(Archived(entries)), str(path))


def write_open_clip(
    entries: dict[str, Tensor], folder: Path, activation: Activation, custom: bool
) -> None:
    """`custom` puts `text.` before the sentence tower, as open_clip's CustomTextCLIP does."""
    if custom:
        entries = {_custom(name): tensor for name, tensor in entries.items()}
    save_file(entries, folder / "open_clip_model.safetensors", {"format": "pt"})
    image = {"image_size": 224, "layers": 2, "width": 64, "patch_size": 16}
    text = {"context_length": 20, "vocab_size": 60, "width": 128, "heads": 2, "layers": 2}
    model: dict[str, object] = {"embed_dim": 24, "vision_cfg": image, "text_cfg": text}
    if activation == "quick_gelu":
        model["quick_gelu"] = True
    described = {"model_cfg": model, "preprocess_cfg": {"mean": [0.48, 0.46, 0.41]}}
    (folder / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")


def _custom(name: str) -> str:
    return name if name.startswith(("visual.", "logit")) else f"text.{name}"
