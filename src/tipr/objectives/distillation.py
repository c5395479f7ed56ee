"""Pull a student's embeddings towards those of a teacher, who learns nothing from it."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tipr.objectives.gathering import everyone
from tipr.objectives.matching import cosine

Space = Literal["unit", "raw"]


def feature_distance(
    student: Float[Tensor, "B D"], teacher: Float[Tensor, "B D"], space: Space = "unit"
) -> Float[Tensor, ""]:
    """How far each row is from the teacher's (the feature term of LCR2S, ACM MM 2023).

    "unit" is the squared distance between directions, 0 to 4, averaged over rows. "raw" is the
    mean squared error of the coordinates as they are. The paper's choice is not published.
    """
    teacher = teacher.detach()
    if space == "raw":
        return F.mse_loss(student, teacher)
    apart = F.normalize(student, dim=-1) - F.normalize(teacher, dim=-1)
    return apart.square().sum(dim=-1).mean()


def relation_distance(
    student: tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]],
    teacher: tuple[Float[Tensor, "B E"], Float[Tensor, "B E"]],
) -> Float[Tensor, ""]:
    """How far the cosines of all images with all texts are from the teacher's (LCR2S, ACM MM 2023).

    Both are given as (image, text). The squared Frobenius norm of the difference per row of the
    batch, that of all processes together: described mechanism, reconstructed scale.
    """
    image, text, rich_image, rich_text = everyone(*student, *(x.detach() for x in teacher))
    apart = cosine(image, text) - cosine(rich_image, rich_text)
    return apart.square().sum() / len(apart)
