"""The transformer block that every encoder is built of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """CLIP's approximation of the GELU (Radford et al., ICML 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head self-attention, fused where the device can."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "B N D"], visible: Bool[Tensor, "B 1 M N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """`visible` is True where a token (row) may look at another (column)."""
        count, length, width = x.shape
        qkv = self.qkv(x).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return self.out(mixed.transpose(1, 2).reshape(count, length, width))


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to what came in."""

    def __init__(self, width: int, heads: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_feedforward = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width)
        )

    def forward(
        self, x: Float[Tensor, "B N D"], visible: Bool[Tensor, "B 1 M N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        x = x + self.attention(self.norm_attention(x), visible)
        return x + self.feedforward(self.norm_feedforward(x))


def chosen(x: Float[Tensor, "B N D"], keep: Int[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """The tokens at the given places of each row."""
    return x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1]))
