"""Align two sets of embeddings, knowing which rows show the same person.

Similarity is (text, image): rows are queries. Embeddings need not be normalised. Formulas of
embeddings compare the rows of every process (`objectives/gathering.py`); those of a similarity that
is known already, the rows at hand.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tipr.objectives.gathering import everyone

LabelNorm = Literal["l1", "l2"]


def cosine(a: Float[Tensor, "A D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
    """In single precision or better: half precision would blur what a temperature magnifies."""
    return products(_unit(a), _unit(b))


def products(a: Float[Tensor, "A D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
    """Every row of `a` with every row of `b`, as precisely as `cosine`."""
    with torch.autocast(a.device.type, enabled=False):
        return _precise(a) @ _precise(b).T


def _precise(x: Float[Tensor, "A D"]) -> Float[Tensor, "A D"]:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _unit(x: Float[Tensor, "A D"]) -> Float[Tensor, "A D"]:
    return F.normalize(_precise(x), dim=-1)


def same_person(person_ids: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    return person_ids[:, None] == person_ids[None, :]


def info_nce(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    temperature: Float[Tensor, ""] | float = 0.07,
) -> Float[Tensor, ""]:
    """Image-text contrast (CLIP, ICML 2021): each row's partner against all others, both ways."""
    image, text = everyone(image, text)
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
    image, text, person_ids = everyone(image, text, person_ids)
    return sdm_of(cosine(text, image), person_ids, temperature, epsilon)


def sdm_of(
    similarity: Float[Tensor, "B B"],
    person_ids: Int[Tensor, " B"],
    temperature: float = 0.02,
    epsilon: float = 1e-8,
) -> Float[Tensor, ""]:
    """`sdm` of similarities that are known already, however they were found.

    Of the rows at hand: several processes each match their own, since a similarity of pairs cannot
    be completed from the rows of others.
    """
    labels, logits = same_person(person_ids), similarity / temperature
    by_text = divergence(logits, labels, epsilon=epsilon)
    by_image = divergence(logits.T, labels, epsilon=epsilon)
    return by_text + by_image


def cmpm(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    person_ids: Int[Tensor, " B"],
    label_norm: LabelNorm = "l1",
    epsilon: float = 1e-8,
) -> Float[Tensor, ""]:
    """Cross-modal projection matching (Zhang & Lu, ECCV 2018): the length of a query is its
    sharpness, so there is no temperature. Both directions summed.

    The authors' code, and what grew from it, divides the labels by their Euclidean norm
    (`label_norm="l2"`): not a distribution once a person has several rows.
    """
    image, text, person_ids = everyone(image, text, person_ids)
    labels = same_person(person_ids)
    by_image = divergence(products(image, _unit(text)), labels, label_norm, epsilon)
    by_text = divergence(products(text, _unit(image)), labels, label_norm, epsilon)
    return by_image + by_text


def divergence(
    logits: Float[Tensor, "Q G"],
    labels: Bool[Tensor, "Q G"],
    label_norm: LabelNorm = "l1",
    epsilon: float = 1e-8,
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence from the labels to the softmax of each query's logits.

    Worked in single precision at least, where `epsilon` is more than nothing.
    """
    log_p = logits.log_softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
    log_q = (label_distribution(labels, label_norm, log_p.dtype) + epsilon).log()
    return (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


def label_distribution(
    labels: Bool[Tensor, "Q G"],
    label_norm: LabelNorm = "l1",
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "Q G"]:
    """Each row shared equally among its matches: its sum is 1, or with "l2" its Euclidean norm."""
    matches = labels.sum(dim=1, keepdim=True).clamp(min=1).to(dtype)
    return labels / (matches.sqrt() if label_norm == "l2" else matches)


def hardest_triplet(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    person_ids: Int[Tensor, " B"],
    margin: float = 0.05,
) -> Float[Tensor, ""]:
    """A row's partner beats the most similar row of another person by `margin`, in cosines.

    As SEN (Neural Networks, 2025) releases it: both directions summed, the choice of the most
    similar row on detached similarities. Nothing to learn where everybody is one person.
    """
    image, text, person_ids = everyone(image, text, person_ids)
    similarity, others = cosine(text, image), ~same_person(person_ids)
    return _hardest_of_rows(similarity, others, margin) + _hardest_of_rows(
        similarity.T, others, margin
    )


def _hardest_of_rows(
    similarity: Float[Tensor, "B B"], others: Bool[Tensor, "B B"], margin: float
) -> Float[Tensor, ""]:
    hardest = similarity.detach().masked_fill(~others, -torch.inf).argmax(dim=1, keepdim=True)
    negative = similarity.gather(1, hardest).squeeze(1)
    lacking = F.relu(negative - similarity.diagonal() + margin)
    return (lacking * others.any(dim=1)).mean()
