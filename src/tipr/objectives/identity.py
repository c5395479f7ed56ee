"""Classify embeddings by person, with one classifier for both modalities."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def identity_loss(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    person_ids: Int[Tensor, " B"],
    weight: Float[Tensor, "C D"],
    bias: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, ""]:
    """Instance loss (Zheng et al., TOMM 2020) as IRRA uses it: the mean over both modalities."""
    image_loss = F.cross_entropy(F.linear(image, weight, bias), person_ids)
    text_loss = F.cross_entropy(F.linear(text, weight, bias), person_ids)
    return (image_loss + text_loss) / 2


class IdentityLoss(nn.Module):
    """`identity_loss` with a classifier of its own."""

    def __init__(self, width: int, num_persons: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, num_persons)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)

    def forward(
        self,
        image: Float[Tensor, "B D"],
        text: Float[Tensor, "B D"],
        person_ids: Int[Tensor, " B"],
    ) -> Float[Tensor, ""]:
        classifier = self.classifier
        return identity_loss(image, text, person_ids, classifier.weight, classifier.bias)
