"""Align two sets of embeddings, knowing which rows show the same person.

Similarity is (text, image): rows are queries. Embeddings need not be normalised.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def cosine(a: Float[Tensor, "A D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def same_person(person_ids: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    return person_ids[:, None] == person_ids[None, :]


def info_nce(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    temperature: Float[Tensor, ""] | float = 0.07,
) -> Float[Tensor, ""]:
    """Image-text contrast (CLIP, ICML 2021): each row's partner against all others, both ways."""
    logits = cosine(text, image) / temperature
    log_rows, log_columns = logits.log_softmax(dim=1), logits.log_softmax(dim=0)
    return -(log_rows.diagonal().mean() + log_columns.diagonal().mean()) / 2


def sdm(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    person_ids: Int[Tensor, " B"],
    temperature: float = 0.02,
    epsilon: float = 1e-8,
) -> Float[Tensor, ""]:
    """Similarity distribution matching (IRRA, Jiang & Ye, CVPR 2023).

    The Kullback-Leibler divergence from who-is-who to the softmax of cosines, summed over both
    directions.
    """
    labels = same_person(person_ids).float()
    target = labels / labels.sum(dim=1, keepdim=True)
    logits = cosine(text, image) / temperature
    return _divergence(logits, target, epsilon) + _divergence(logits.T, target, epsilon)


def _divergence(
    logits: Float[Tensor, "B B"], target: Float[Tensor, "B B"], epsilon: float
) -> Float[Tensor, ""]:
    log_p = logits.log_softmax(dim=1)
    return (log_p.exp() * (log_p - (target + epsilon).log())).sum(dim=1).mean()
