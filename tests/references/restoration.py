"""Positions and restoration by the book: shuffle, append empty tokens, unshuffle, attend."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tipr.objectives.restoration import Restoration


def sincos(row: int, column: int, width: int) -> list[float]:
    """The position of one patch."""
    quarter = width // 4
    rates = [10000 ** (-k / quarter) for k in range(quarter)]
    out: list[float] = []
    for place in (column, row):
        out += [math.sin(place * rate) for rate in rates]
        out += [math.cos(place * rate) for rate in rates]
    return out


def prediction(
    r: Restoration, embedding: Tensor, tokens: Tensor, order: Tensor, text: Tensor
) -> Tensor:
    """One row's pixels; `order` lists all patches, the visible ones first."""
    assert r.guide is not None
    seen = r.embed(r.norm_seen(torch.stack([embedding, *tokens])))
    shuffled = [*seen[1:], *[r.hidden[0, 0]] * (len(order) - len(tokens))]
    restored = {int(patch): token for patch, token in zip(order, shuffled, strict=True)}
    x = torch.stack([seen[0], *(restored[patch] for patch in range(len(order)))]) + r.places
    g, words = r.guide, r.guide.norm_words(text)
    heard = _attention(g.attention)(g.norm_places(x), words, words)[0]
    x = g.norm_heard(x + heard if g.residual else heard)[None]
    for block in r.blocks:
        x = block(x)
    return r.pixels(r.norm_out(x))[0, 1:]


def _attention(own: nn.Module) -> nn.MultiheadAttention:
    width = own.query.weight.shape[0]
    theirs = nn.MultiheadAttention(width, own.heads, batch_first=True).double()
    theirs.in_proj_weight.data = torch.cat([own.query.weight, own.key_value.weight]).data
    theirs.in_proj_bias.data = torch.cat([own.query.bias, own.key_value.bias]).data
    theirs.out_proj.load_state_dict(own.out.state_dict())
    return theirs
