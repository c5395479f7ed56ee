"""The CLIP dual encoder (Radford et al., ICML 2021) in the field's geometry.

Pictures are 384 x 128 pixels in patches of 16, sentences at most 77 tokens; both towers are
projected to 512. The image is its class token, the sentence its end token under a causal mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tipr.encoders.encoder import Encoded, Encoder
from tipr.transformer import Block, QuickGELU, chosen


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Defaults are ViT-B/16 at the 384 x 128 pixels that the field uses."""

    image_size: tuple[int, int] = (384, 128)
    patch: int = 16
    image_width: int = 768
    image_layers: int = 12
    image_heads: int = 12
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    text_length: int = 77
    vocabulary: int = 49408
    embedding: int = 512

    def build(self) -> CLIPEncoder:
        return CLIPEncoder(self)


class CLIPEncoder(Encoder):
    mask_id = 1
    end_id = 3

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.patch, self.vocabulary = config.embedding, config.patch, config.vocabulary
        self.word_ids = range(4, config.vocabulary)
        self.grid = (config.image_size[0] // config.patch, config.image_size[1] // config.patch)
        wide, deep = config.image_width, config.text_width
        self.patches = nn.Conv2d(3, wide, config.patch, config.patch, bias=False)
        self.image_class = nn.Parameter(wide**-0.5 * torch.randn(1, 1, wide))
        self.place = nn.Parameter(wide**-0.5 * torch.randn(1, 1 + self.num_patches, wide))
        self.norm_patches, self.norm_image = nn.LayerNorm(wide), nn.LayerNorm(wide)
        self.image_blocks = _blocks(wide, config.image_heads, config.image_layers)
        self.image_out = nn.Linear(wide, config.embedding, bias=False)
        self.word = nn.Embedding(config.vocabulary, deep)
        nn.init.normal_(self.word.weight, std=0.02)
        self.order = nn.Parameter(0.01 * torch.randn(1, config.text_length, deep))
        self.text_blocks = _blocks(deep, config.text_heads, config.text_layers)
        self.norm_text = nn.LayerNorm(deep)
        self.text_out = nn.Linear(deep, config.embedding, bias=False)

    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        x = self.patches(images).flatten(2).mT + self.place[:, 1:]
        if keep is not None:
            x = chosen(x, keep)
        first = (self.image_class + self.place[:, :1]).expand(len(x), -1, -1)
        x = self.norm_patches(torch.cat([first, x], dim=1))
        for block in self.image_blocks:
            x = block(x)
        x = self.image_out(self.norm_image(x))
        return Encoded(embedding=x[:, 0], tokens=x[:, 1:])

    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        """Raises ValueError when `keep` leaves out a sentence's end token, its embedding."""
        x = self.word(tokens) + self.order[:, : tokens.shape[1]]
        if keep is not None:
            x, tokens = chosen(x, keep), tokens.gather(1, keep)
            if not (tokens == self.end_id).any(dim=1).all():
                raise ValueError("a sentence lost its end token, which CLIP reads it from; drop "
                                 "words row by row (shared_positions=False)")  # fmt: skip
        length = tokens.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
        visible = earlier.expand(len(tokens), 1, length, length)
        for block in self.text_blocks:
            x = block(x, visible)
        x = self.text_out(self.norm_text(x))
        end = (tokens == self.end_id).int().argmax(dim=1)
        rows = torch.arange(len(x), device=x.device)
        return Encoded(embedding=x[rows, end], tokens=x, padding=tokens == 0)


def _blocks(width: int, heads: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(Block(width, heads, QuickGELU) for _ in range(layers))
