"""The contract every encoder keeps. An encoder is the only thing a trained method ships."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, Modality] = ("image", "text")


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

    def stages(self, modality: Modality) -> list[list[nn.Parameter]]:
        """The parameters of a tower from input to output: embedding, each layer, output.

        What both modalities share stands in both towers.
        """
        raise ValueError(f"{type(self).__name__} does not tell its layers apart, so it is trained "
                         "as a whole; define `stages` to freeze parts of it")  # fmt: skip

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

    def embed_image(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """The embedding of `encode_image`, without what only its tokens need."""
        return self.encode_image(images).embedding

    def embed_text(self, tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        """The embedding of `encode_text`, without what only its tokens need."""
        return self.encode_text(tokens).embedding


def parameters_of(*parts: nn.Module | nn.Parameter) -> list[nn.Parameter]:
    """The parameters of each part, in order."""
    every = ([p] if isinstance(p, nn.Parameter) else p.parameters() for p in parts)
    return [parameter for parameters in every for parameter in parameters]


def visible_only(
    images: Float[Tensor, "B 3 H W"], keep: Int[Tensor, "B K"], grid: tuple[int, int]
) -> Float[Tensor, "B 3 H W"]:
    """The pictures with every patch blank that is not kept."""
    seen = images.new_zeros(len(images), grid[0] * grid[1]).scatter(1, keep, 1.0)
    seen = seen.view(len(images), 1, *grid)
    return images * F.interpolate(seen, size=images.shape[-2:], mode="nearest")
