"""Text-guided extraction for one query and one picture, head by head, in plain loops."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.matching import softmax

Weights = dict[str, Tensor]


def norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    spread = (x - x.mean()).square().mean()
    unit = (x - x.mean()) / (spread + 1e-5).sqrt()
    return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def look(query: Tensor, image: list[Tensor], weights: Weights, at: int, heads: int) -> Tensor:
    each = len(query) // heads
    asked = linear(query, weights, f"looks.{at}.query")
    told = torch.zeros_like(query)
    both = [linear(token, weights, f"memories.{at}.key_value") for token in image]
    for head in range(heads):
        part = slice(head * each, (head + 1) * each)
        keys, values = [b[: len(query)][part] for b in both], [b[len(query) :][part] for b in both]
        shares = softmax([float(asked[part] @ key) / math.sqrt(each) for key in keys])
        for share, value in zip(shares, values, strict=True):
            told[part] += share * value
    return linear(told, weights, f"looks.{at}.out")


def turn(query: Tensor, found: Tensor, weights: Weights, at: int) -> Tensor:
    query = norm(query + found, weights, f"turns.{at}.norm_found")
    if f"turns.{at}.think.norm.weight" not in weights:
        return query
    inner = linear(query, weights, f"turns.{at}.think.feedforward.0")
    inner = inner / (1 + (-1.702 * inner).exp())
    outer = linear(inner, weights, f"turns.{at}.think.feedforward.2")
    return norm(query + outer, weights, f"turns.{at}.think.norm")


def extraction(
    query: Tensor, tokens: Tensor, weights: Weights, heads: int, iterations: int, shared: bool
) -> Tensor:
    image = [norm(token, weights, "norm_image") for token in tokens]
    asks, found = norm(query, weights, "norm_query"), torch.zeros_like(query)
    for k in range(iterations):
        if k > 0:
            asks = turn(asks, found, weights, 0 if shared else k - 1)
        found = look(asks, image, weights, 0 if shared else k, heads)
    return norm(found, weights, "norm_out")
