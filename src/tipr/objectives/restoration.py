"""Restore the pixels of a mostly hidden picture from what its sentence says: SEN's TIR."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tipr.transformer import Attention, Block, CrossAttention, QuickGELU, attention_to

Guide = Literal["text", "none"]


def sincos_positions(grid: tuple[int, int], width: int) -> Float[Tensor, "N D"]:
    """Fixed positions of patches in reading order (MAE, He et al., CVPR 2022).

    A quarter each of sines and cosines of the column, then of the row, at falling frequencies.
    """
    if width % 4:
        raise ValueError(f"positions in two dimensions need a width divisible by 4, not {width}")
    down, across = (torch.arange(count, dtype=torch.float64) for count in grid)
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    frequency = 10000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = [place.reshape(-1, 1) * frequency for place in (columns, rows)]
    waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
    return torch.cat(waves, dim=1).to(torch.get_default_dtype())


class Guidance(nn.Module):
    """Every place of the picture asks the sentence, and what it hears replaces what it was.

    So pixels are told from words alone; the picture only steers which words are listened to. With
    `residual` the answer is added to what was there.
    """

    def __init__(self, width: int, heads: int, residual: bool) -> None:
        super().__init__()
        self.norm_places, self.norm_words = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads)
        self.norm_heard = nn.LayerNorm(width)
        self.residual = residual

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        text_tokens: Float[Tensor, "B L D"],
        visible: Bool[Tensor, "B 1 1 L"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        heard = self.attention(self.norm_places(x), self.norm_words(text_tokens), visible)
        return self.norm_heard(x + heard if self.residual else heard)


class Restoration(nn.Module):
    """The decoder of text-guided image restoration (Liu et al., Neural Networks, 2025; released).

    It reads the visible patches at their places, an empty token everywhere else, and predicts the
    pixels of all patches. With `guidance="none"` it never hears the sentence and is the decoder of
    a masked autoencoder.
    """

    places: Tensor  # zeros for the whole picture, then one row per patch

    def __init__(
        self,
        width: int,
        grid: tuple[int, int],
        patch: int,
        depth: int = 4,
        guidance: Guide = "text",
        residual: bool = False,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"a decoder has at least one block, not {depth}")
        heads = max(width // 64, 1)
        self.norm_seen, self.embed = nn.LayerNorm(width), nn.Linear(width, width)
        self.hidden = nn.Parameter(torch.zeros(1, 1, width))
        places = torch.cat([torch.zeros(1, width), sincos_positions(grid, width)])
        self.register_buffer("places", places, persistent=False)
        self.guide = Guidance(width, heads, residual) if guidance == "text" else None
        self.blocks = nn.ModuleList(Block(width, heads, QuickGELU) for _ in range(depth))
        self.norm_out, self.pixels = nn.LayerNorm(width), nn.Linear(width, 3 * patch * patch)
        self._initialise(width, depth)

    def forward(
        self,
        image_embedding: Float[Tensor, "B D"],
        image_tokens: Float[Tensor, "B K D"],
        keep: Int[Tensor, "B K"],
        text_tokens: Float[Tensor, "B L D"],
        padding: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B N P"]:
        """`keep` says which patches the image tokens are; `padding` which text tokens to ignore."""
        seen = torch.cat([image_embedding[:, None], image_tokens], dim=1)
        seen = self.embed(self.norm_seen(seen))
        x = torch.cat([seen[:, :1], self._placed(seen[:, 1:], keep)], dim=1) + self.places
        if self.guide is not None:
            x = self.guide(x, text_tokens, None if padding is None else attention_to(~padding))
        for block in self.blocks:
            x = block(x)
        return self.pixels(self.norm_out(x))[:, 1:]

    def _placed(
        self, seen: Float[Tensor, "B K D"], keep: Int[Tensor, "B K"]
    ) -> Float[Tensor, "B N D"]:
        rows, _, width = seen.shape
        empty = self.hidden.to(seen.dtype).expand(rows, len(self.places) - 1, -1)
        return empty.scatter(1, keep[..., None].expand(-1, -1, width), seen)

    def _initialise(self, width: int, depth: int) -> None:
        """As CLIP initialises its towers; norms, the embedding and the pixels as torch does."""
        into, out, wide = width**-0.5, (2 * depth * width) ** -0.5, (2 * width) ** -0.5
        for module in self.modules():
            if isinstance(module, Attention):
                _normal(module.qkv, into)
                _normal(module.out, out)
            elif isinstance(module, CrossAttention):
                _normal(module.query, into)
                _normal(module.key_value, into)
                _normal(module.out, out)
            elif isinstance(module, Block):
                inner, outer = (p for p in module.feedforward.parameters() if p.ndim == 2)
                nn.init.normal_(inner, std=wide)
                nn.init.normal_(outer, std=out)


def _normal(layer: nn.Linear, std: float) -> None:
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
