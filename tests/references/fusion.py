"""Attentional fusion one head and one number at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tipr.objectives.fusion import CrossFusion


def normed(x: list[float], norm: nn.LayerNorm) -> list[float]:
    mean = sum(x) / len(x)
    spread = sum((v - mean) ** 2 for v in x) / len(x)
    scales, shifts = norm.weight.tolist(), norm.bias.tolist()
    return [
        scale * (v - mean) / math.sqrt(spread + norm.eps) + shift
        for v, scale, shift in zip(x, scales, shifts, strict=True)
    ]


def cross_fusion(layer: CrossFusion, sample: Tensor, supports: list[Tensor]) -> list[float]:
    """One sample with the supports that are there."""
    attention, width = layer.attention, len(sample)
    rows = [
        torch.tensor(normed(x.tolist(), layer.norm), dtype=x.dtype) for x in [sample, *supports]
    ]
    query = attention.query(rows[0]).tolist()
    keys = [attention.key_value(x)[:width].tolist() for x in rows]
    values = [attention.key_value(x)[width:].tolist() for x in rows]
    size, mixed = width // attention.heads, []
    for head in range(attention.heads):
        part = range(head * size, (head + 1) * size)
        scores = [sum(query[d] * key[d] for d in part) / math.sqrt(size) for key in keys]
        total = sum(math.exp(s) for s in scores)
        weights = [math.exp(s) / total for s in scores]
        mixed += [sum(w * v[d] for w, v in zip(weights, values, strict=True)) for d in part]
    out = attention.out(torch.tensor(mixed, dtype=sample.dtype)).tolist()
    return [a + b for a, b in zip(sample.tolist(), out, strict=True)]
