"""The contract every encoder keeps. An encoder is the only thing a trained method ships."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Encoded:
    """`embedding` is searched with; `tokens` are patches or words, for objectives only."""

    embedding: Float[Tensor, "B D"]
    tokens: Float[Tensor, "B N D"]
    padding: Bool[Tensor, "B N"] | None = None  # True where a token is not there


class Encoder(nn.Module, ABC):
    """Images or token ids in, embeddings of one width out, not yet normalised."""

    config: Any  # the frozen dataclass it was built from
    width: int  # D
    patch: int  # pixels per side of a patch
    grid: tuple[int, int]  # patches (down, across)
    vocabulary: int
    mask_id: int  # the token that hides a word
    word_ids: range  # the ids that are pieces of words, not signs of their own

    @property
    def image_size(self) -> tuple[int, int]:
        """The (height, width) in pixels that `encode_image` expects."""
        return self.grid[0] * self.patch, self.grid[1] * self.patch

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @abstractmethod
    def encode_image(
        self, images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        """`keep` lists the patches to look at, by index in reading order; default all.

        Nothing of the other patches reaches the result.
        """

    @abstractmethod
    def encode_text(
        self, tokens: Int[Tensor, "B L"], keep: Int[Tensor, "B K"] | None = None
    ) -> Encoded:
        """`tokens` are ids of this encoder's vocabulary; 0 is padding.

        `keep` lists the places to look at, ascending; the others are as if never written, and
        those that stay keep their positions. Default all.
        """


def visible_only(
    images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"], grid: tuple[int, int]
) -> Float[Tensor, "B 3 H W"]:
    """The pictures with every patch blank that is not kept."""
    seen = images.new_zeros(len(images), grid[0] * grid[1]).scatter(1, keep, 1.0)
    seen = seen.view(len(images), 1, *grid)
    return images * F.interpolate(seen, size=images.shape[-2:], mode="nearest")
