"""Small random weights as others write them, for tests of everything that reads such files."""

from __future__ import annotations

import torch
from torch import Tensor


def openai_clip(
    width: int = 64, layers: int = 1, patch: int = 16, grid: int = 3, vocabulary: int = 600,
    length: int = 20,
) -> dict[str, Tensor]:  # fmt: skip
    """A CLIP in OpenAI's naming whose two towers are equally wide."""
    draw = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw) * 0.05

    weights = {
        "visual.conv1.weight": random(width, 3, patch, patch),
        "visual.class_embedding": random(width),
        "visual.positional_embedding": random(grid * grid + 1, width),
        "visual.proj": random(width, width),
        "token_embedding.weight": random(vocabulary, width),
        "positional_embedding": random(length, width),
        "text_projection": random(width, width),
        "logit_scale": torch.tensor(4.6),
    }
    for norm in ("visual.ln_pre", "visual.ln_post", "ln_final"):
        weights |= {f"{norm}.weight": 1 + random(width), f"{norm}.bias": random(width)}
    for tower in ("visual.transformer", "transformer"):
        for layer in range(layers):
            block = f"{tower}.resblocks.{layer}"
            for name, (rows, columns) in {
                "attn.in_proj_": (3 * width, width), "attn.out_proj.": (width, width),
                "mlp.c_fc.": (4 * width, width), "mlp.c_proj.": (width, 4 * width),
            }.items():  # fmt: skip
                weights[f"{block}.{name}weight"] = random(rows, columns)
                weights[f"{block}.{name}bias"] = random(rows)
            for norm in ("ln_1", "ln_2"):
                weights[f"{block}.{norm}.weight"] = 1 + random(width)
                weights[f"{block}.{norm}.bias"] = random(width)
    return weights
