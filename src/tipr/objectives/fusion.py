"""MHAF: a vector enriched by others of the same person (LCR2S, Yan et al., ACM MM 2023).

Described mechanism, reconstructed: the paper's text says that a sample and its support set are
fused by multi-head attention; the layers inside are not published and are chosen here. One module
has one form: `(sample, supports, present) -> sample enriched`, blind to the order of the supports.

xattn     the sample asks, the sample and its supports answer
selfattn  all ask all, and the answers are averaged (the sample's own answer would be `xattn`)
gate      every head scores each vector by itself and takes the weighted mean
mean max  without parameters: what attention has to be better than
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tipr.transformer import CrossAttention, QuickGELU, attention_to

FusionKind = Literal["xattn", "selfattn", "gate", "mean", "max"]


class Fusion(nn.Module):
    """The sample among its supports; at first, and always where there are none, the sample itself.

    `anchor=False` leaves the sample out of what is looked at (strict leave-one-out); the residual
    stays. `feedforward` adds the four times wider layer that a CLIP host gets.
    """

    def __init__(
        self,
        width: int,
        heads: int = 8,
        kind: FusionKind = "xattn",
        feedforward: bool = False,
        dropout: float = 0.1,
        anchor: bool = True,
    ) -> None:
        super().__init__()
        if feedforward and kind in ("mean", "max"):
            raise ValueError(f"{kind} fusion has no parameters; set feedforward to false")
        self.anchor = anchor
        self.mix = _mixer(kind, width, heads, dropout)
        self.feedforward = FeedForward(width) if feedforward else nn.Identity()

    def forward(
        self,
        sample: Float[Tensor, "B D"],
        supports: Float[Tensor, "B S D"],
        present: Bool[Tensor, "B S"],
    ) -> Float[Tensor, "B D"]:
        """`present` is False where a row has no such support."""
        supported = present.any(dim=1, keepdim=True)
        members = torch.cat([sample[:, None], supports], dim=1)
        visible = torch.cat([~supported | self.anchor, present], dim=1)  # never nothing at all
        enriched = self.feedforward(self.mix(sample, members, visible))
        return torch.where(supported, enriched, sample)


class CrossFusion(nn.Module):
    """f + Attention(LN(f), LN([f; supports])); the last layer begins at zero."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads, dropout)
        silenced(self.attention.out)

    def forward(
        self,
        sample: Float[Tensor, "B D"],
        members: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B M"],
    ) -> Float[Tensor, "B D"]:
        query, memory = self.norm(sample)[:, None], self.norm(members)
        return sample + self.attention(query, memory, attention_to(visible))[:, 0]


class SelfFusion(nn.Module):
    """f + the mean over the members of what each takes from all."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads, dropout)
        silenced(self.attention.out)

    def forward(
        self,
        sample: Float[Tensor, "B D"],
        members: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B M"],
    ) -> Float[Tensor, "B D"]:
        rows = self.norm(members)
        taken = self.attention(rows, rows, attention_to(visible, rows.shape[1]))
        return sample + mean_of(taken, visible)


class GateFusion(nn.Module):
    """f + W [weighted mean of LN(x), head by head]; the weight of x is softmax(w tanh(U x))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} does not divide into {heads} heads")
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Parameter(torch.randn(heads, width // heads) * (heads / width) ** 0.5)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, width)
        silenced(self.out)

    def forward(
        self,
        sample: Float[Tensor, "B D"],
        members: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B M"],
    ) -> Float[Tensor, "B D"]:
        rows = self.norm(members)
        hidden = self.hidden(rows).tanh().unflatten(-1, self.score.shape)
        scores = (hidden * self.score).sum(dim=-1).masked_fill(~visible[..., None], -torch.inf)
        weights = self.dropout(scores.softmax(dim=1))
        mean = (weights[..., None] * rows.unflatten(-1, self.score.shape)).sum(dim=1)
        return sample + self.out(mean.flatten(1))


class MeanFusion(nn.Module):
    def forward(
        self,
        sample: Float[Tensor, "B D"],
        members: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B M"],
    ) -> Float[Tensor, "B D"]:
        return mean_of(members, visible)


class MaxFusion(nn.Module):
    def forward(
        self,
        sample: Float[Tensor, "B D"],
        members: Float[Tensor, "B M D"],
        visible: Bool[Tensor, "B M"],
    ) -> Float[Tensor, "B D"]:
        return members.masked_fill(~visible[..., None], -torch.inf).amax(dim=1)


class FeedForward(nn.Module):
    """x + MLP(LN(x)), four times as wide inside; the last layer begins at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.activation = QuickGELU()
        silenced(self.out)

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return x + self.out(self.activation(self.wide(self.norm(x))))


def mean_of(members: Float[Tensor, "B M D"], visible: Bool[Tensor, "B M"]) -> Float[Tensor, "B D"]:
    weights = F.normalize(visible.to(members.dtype), p=1.0, dim=1)
    return (weights[..., None] * members).sum(dim=1)


def silenced(layer: nn.Linear) -> None:
    """The layer gives zero until it learns, so that what it is added to begins unchanged."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _mixer(kind: FusionKind, width: int, heads: int, dropout: float) -> nn.Module:
    if kind == "mean":
        return MeanFusion()
    if kind == "max":
        return MaxFusion()
    attending = {"xattn": CrossFusion, "selfattn": SelfFusion, "gate": GateFusion}
    return attending[kind](width, heads, dropout)
