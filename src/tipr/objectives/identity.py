"""Classify embeddings by person, with one classifier for both modalities."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class IdentityLoss(nn.Module):
    """Instance loss (Zheng et al., TOMM 2020) as IRRA uses it: the mean over both modalities."""

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
        image_loss = F.cross_entropy(self.classifier(image), person_ids)
        text_loss = F.cross_entropy(self.classifier(text), person_ids)
        return (image_loss + text_loss) / 2
