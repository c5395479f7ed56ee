"""The transformer parts that encoders and training heads are built of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Recompute = Literal["none", "norms", "blocks"]  # see `recomputed`


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
        return self.mixed(self.qkv(x), visible)

    def mixed(
        self, qkv: Float[Tensor, "B N E"], visible: Bool[Tensor, "B 1 M N"] | None
    ) -> Float[Tensor, "B N D"]:
        """`forward`, after the first of its two projections."""
        return self._mixed(*self._heads(qkv), visible)

    def at(
        self,
        place: Int[Tensor, " B"],
        x: Float[Tensor, "B N D"],
        visible: Bool[Tensor, "B 1 1 N"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """What `forward` gives at one place of each row."""
        query, key, value = self._heads(self.qkv(x))
        rows = torch.arange(x.shape[0], device=x.device)
        return self._mixed(query[rows, :, place][:, :, None], key, value, visible)[:, 0]

    def _heads(self, qkv: Float[Tensor, "B N E"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, N, D / H)."""
        count, length, width = qkv.shape
        each = qkv.view(count, length, 3, self.heads, width // (3 * self.heads))
        query, key, value = each.permute(2, 0, 3, 1, 4)
        return query, key, value

    def _mixed(
        self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None
    ) -> Float[Tensor, "B M D"]:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Multi-head attention of one sequence to another, fused where the device can."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} heads")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "B N D"],
        memory: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B 1 #N M"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """`visible` is True where a token of `x` (row) may look at one of `memory` (column)."""
        count, length, width = x.shape
        heads = (self.heads, width // self.heads)
        query = self.query(x).view(count, length, *heads).transpose(1, 2)
        key, value = self.key_value(memory).view(count, -1, 2, *heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, visible, dropout)
        return self.out(mixed.transpose(1, 2).reshape(count, length, width))


class DropPath(nn.Module):
    """Leaves a residual branch out for some rows during training (Huang et al., ECCV 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), 1, 1, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to what came in."""

    recompute: Recompute = "none"

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
        return recomputed(self, ("blocks",), self._added, x, visible)

    def at(
        self,
        place: Int[Tensor, " B"],
        x: Float[Tensor, "B N D"],
        visible: Bool[Tensor, "B 1 1 N"] | None = None,
    ) -> Float[Tensor, "B D"]:
        """What `forward` gives at one place of each row, without the work for the others."""
        mixed = self.attention.at(place, self.norm_attention(x), visible)
        one = x[torch.arange(x.shape[0], device=x.device), place] + mixed
        return one + self.feedforward(self.norm_feedforward(one))

    def _added(
        self, x: Float[Tensor, "B N D"], visible: Bool[Tensor, "B 1 M N"] | None
    ) -> Float[Tensor, "B N D"]:
        x = x + attended(self, self.norm_attention, self.attention, x, visible)
        return x + fed_forward(self, self.norm_feedforward, self.feedforward, x)


def attended(
    block: nn.Module, norm: nn.Module, attention: Any, x: Tensor, visible: Tensor | None
) -> Tensor:
    """The block's attention to what is normalised; what `norm` gave need not be kept."""
    qkv = recomputed(block, ("norms",), in_turn(norm, attention.qkv), x)
    return attention.mixed(qkv, visible)


def fed_forward(block: nn.Module, norm: nn.Module, layers: nn.Module, x: Tensor) -> Tensor:
    """The block's two layers of what is normalised; what `norm` and the activation gave need not
    be kept."""
    up, activation, down = layers.children()
    hidden = recomputed(block, ("norms",), in_turn(norm, up), x)
    return recomputed(block, ("norms",), in_turn(activation, down), hidden)


def in_turn(*parts: nn.Module) -> Callable[[Tensor], Tensor]:
    """One after the other."""

    def work(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return work


def recomputed(
    block: nn.Module, when: tuple[Recompute, ...], work: Callable[..., Tensor], *inputs: Any
) -> Tensor:
    """`work(*inputs)`; if the block's `recompute` is among `when`, training keeps the inputs alone.

    What the backward pass needs is then worked out again (Chen et al., arXiv:1604.06174), with the
    same random draws. `norms` are cheap: the products that they go into are not done again.
    """
    if block.recompute in when and block.training and torch.is_grad_enabled():
        return checkpoint(work, *inputs, use_reentrant=False)
    return work(*inputs)


def attention_to(present: Bool[Tensor, "B M"], length: int = 1) -> Bool[Tensor, "B 1 N M"]:
    """Every one of `length` tokens looks at those that are there."""
    return present[:, None, None, :].expand(-1, 1, length, -1)


def chosen(x: Float[Tensor, "B N D"], keep: Int[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """The tokens at the given places of each row."""
    return x.gather(1, keep[..., None].expand(-1, -1, x.shape[-1]))
