"""A dual encoder small enough to be trained and searched with on a CPU.

The image tower begins with convolutions (Xiao et al., NeurIPS 2021: a convolutional stem makes
small transformers learn faster and more steadily), each halving the picture; the text tower is a
bidirectional transformer. Normalisation never mixes pictures, so photographs from a new camera
are read as training pictures were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tipr.encoders.encoder import Encoded, Encoder, Modality, parameters_of, visible_only
from tipr.transformer import Block, Recompute, attention_to, chosen, in_turn, recomputed


@dataclass(frozen=True, kw_only=True)
class CompactConfig:
    image_size: tuple[int, int] = (128, 64)
    stem: tuple[int, ...] = (32, 64, 128, 192)  # channels after each halving; the last is the width
    image_layers: int = 2
    text_width: int = 192
    text_layers: int = 2
    heads: int = 4
    embedding: int = 192
    vocabulary: int = 2048
    text_length: int = 48

    def build(self) -> CompactEncoder:
        return CompactEncoder(self)


class CompactEncoder(Encoder):
    mask_id = 1

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.vocabulary = config.embedding, config.vocabulary
        self.word_ids = range(4, config.vocabulary)
        self.patch = 2 ** len(config.stem)
        self.grid = (config.image_size[0] // self.patch, config.image_size[1] // self.patch)
        wide = config.stem[-1]
        self.stem = stem(config.stem)
        self.place = nn.Parameter(0.02 * torch.randn(1, self.num_patches, wide))
        self.image_blocks = blocks(wide, config.heads, config.image_layers)
        self.image_out = nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, config.embedding))
        self.word = nn.Embedding(config.vocabulary, config.text_width)
        nn.init.normal_(self.word.weight, std=0.02)
        self.order = nn.Parameter(0.02 * torch.randn(1, config.text_length, config.text_width))
        self.text_blocks = blocks(config.text_width, config.heads, config.text_layers)
        self.text_out = nn.Sequential(
            nn.LayerNorm(config.text_width), nn.Linear(config.text_width, config.embedding)
        )

    def stages(self, modality: Modality) -> list[list[nn.Parameter]]:
        if modality == "image":
            first, layers, last = (self.stem, self.place), self.image_blocks, self.image_out
        else:
            first, layers, last = (self.word, self.order), self.text_blocks, self.text_out
        return [parameters_of(*first), *map(parameters_of, layers), parameters_of(last)]

    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        if keep is not None:  # the stem's convolutions would look across the patch's border
            images = visible_only(images, keep, self.grid)
        x = (
            self.stem(images.contiguous(memory_format=torch.channels_last)).flatten(2).mT
            + self.place
        )
        if keep is not None:
            x = chosen(x, keep)
        for block in self.image_blocks:
            x = block(x)
        x = self.image_out(x)
        return Encoded(embedding=x.mean(dim=1), tokens=x)

    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        padding = tokens == 0
        x = self.word(tokens) + self.order[:, : tokens.shape[1]]
        if keep is not None:
            x, padding = chosen(x, keep), padding.gather(1, keep)
        visible = attention_to(~padding, x.shape[1])
        for block in self.text_blocks:
            x = block(x, visible)
        x = self.text_out(x)
        present = (~padding)[..., None].to(x.dtype)
        embedding = (x * present).sum(dim=1) / present.sum(dim=1)
        return Encoded(embedding=embedding, tokens=x, padding=padding)


def blocks(width: int, heads: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(Block(width, heads) for _ in range(layers))


class Stem(nn.Sequential):
    """Convolutions, each with a norm and an activation that training need not keep."""

    recompute: Recompute = "none"

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        first, *rest = self
        x = first(input)
        for start in range(0, len(rest), 3):  # norm, activation and the next convolution
            x = recomputed(self, ("norms", "blocks"), in_turn(*rest[start : start + 3]), x)
        return x


def stem(channels: tuple[int, ...]) -> Stem:
    """Halves the picture once for each number of channels."""
    layers: list[nn.Module] = []
    for before, after in zip((3, *channels), channels, strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(1, after), nn.GELU()]
    tower = Stem(*layers)
    for weight in tower.parameters():
        if weight.ndim == 4:  # twice as fast on CPUs
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return tower
