"""The vectors of a split, compared block by block so that no whole matrix is ever held.

Pictures that a query's own camera took of its person count like others (`cameras="all"`), as the
field reports it. `cameras="other"` leaves them out, query by query, as re-identification does
(Zheng et al., ICCV 2015): the caption of a picture then has to find its person in another camera.
Pictures whose camera is not known are never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from tipr.data.pairs import Dataset, Pair
from tipr.embedder import Embedder
from tipr.evaluation.metrics import Scores, measured
from tipr.evaluation.ranks import Items, Ranks, products, ranks

Cameras = Literal["all", "other"]


@dataclass(frozen=True)
class Fared:
    """What each query found. Row q of everything is the same query."""

    scores: Scores
    ranks: Int64[Tensor, " Q"]  # of the first picture of the person, from 1; 0 is none
    own: Float32[Tensor, " Q"]  # the score of that picture; NaN where there is none
    others: Float32[Tensor, " Q"]  # that of the best picture of anybody else, or NaN


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of all captions and of the pictures they are searched among, and of whom.

    Where cameras count, both sides have them: a number each, negative where it is not known.
    """

    texts: Float32[Tensor, "Q D"]
    images: Float32[Tensor, "G D"]
    asked: Int64[Tensor, " Q"]
    shown: Int64[Tensor, " G"]
    asked_by: Int64[Tensor, " Q"] | None = None
    shown_by: Int64[Tensor, " G"] | None = None

    @property
    def captions(self) -> Items:
        return Items(self.asked, self.asked_by)

    @property
    def pictures(self) -> Items:
        return Items(self.shown, self.shown_by)

    def t2i(self) -> Scores:
        """How well each caption finds its person's pictures."""
        blocks = products(self.texts, self.images)
        return measured(ranks(blocks, self.captions, self.pictures))

    def i2t(self) -> Scores:
        """How well each picture finds its person's captions."""
        blocks = products(self.images, self.texts, gallery_first=True)
        return measured(ranks(blocks, self.pictures, self.captions))

    def fared(self) -> Fared:
        """Equal scores are ranked in gallery order."""
        found, firsts, owns, others = [], [], [], []
        start = 0
        for block in products(self.texts, self.images):
            here = slice(start, start + len(block))
            start += len(block)
            cameras = None if self.asked_by is None else self.asked_by[here]
            part = next(ranks([block], Items(self.asked[here], cameras), self.pictures))
            right = self.shown == self.asked[here, None]
            counted = right if cameras is None else right & ~self._same_camera(cameras)
            found.append(part)
            firsts.append(_first(part))
            owns.append(_best(block, counted))
            others.append(_best(block, ~right))
        return Fared(measured(found), torch.cat(firsts), torch.cat(owns), torch.cat(others))

    def _same_camera(self, cameras: Int64[Tensor, " B"]) -> Bool[Tensor, "B G"]:
        if self.shown_by is None:
            return torch.zeros(len(cameras), len(self.shown), dtype=torch.bool)
        return (self.shown_by >= 0) & (self.shown_by == cameras[:, None])


def embedded(embedder: Embedder, pairs: Sequence[Pair], cameras: Cameras = "all") -> Vectors:
    """The captions of a split and its unique pictures.

    Raises:
        ValueError: the split is empty, or `cameras` is "other" and no picture has one.
    """
    if not pairs:
        raise ValueError("the split is empty; choose another with --split")
    gallery = list({pair.image_id: pair for pair in pairs}.values())
    codes = _codes(pairs, cameras)
    images = embedder.embed_images([pair.image for pair in gallery])
    texts = embedder.embed_texts([pair.caption for pair in pairs])
    sides = (pairs, gallery)
    asked, shown = (torch.tensor([pair.person_id for pair in side]) for side in sides)
    asked_by, shown_by = (_seen_by(side, codes) for side in sides)
    return Vectors(
        torch.from_numpy(texts), torch.from_numpy(images), asked, shown, asked_by, shown_by
    )


def validation(embedder: Embedder, dataset: Dataset, split: str) -> Vectors | None:
    """What probabilities are fitted on; None where it is the split itself, or of one person."""
    if split == "val" or len(dataset.people("val")) < 2:
        return None
    return embedded(embedder, dataset.val)


def _seen_by(pairs: Sequence[Pair], codes: dict[str, int] | None) -> Int64[Tensor, " N"] | None:
    if codes is None:
        return None
    return torch.tensor([codes.get(pair.camera, -1) for pair in pairs])


def _codes(pairs: Sequence[Pair], cameras: Cameras) -> dict[str, int] | None:
    """The number of each camera, where cameras count."""
    if cameras not in ("all", "other"):
        raise ValueError(f"cameras is 'all' or 'other'; this is {cameras!r}")
    if cameras == "all":
        return None
    names = sorted({pair.camera for pair in pairs} - {""})
    if not names:
        raise ValueError("no picture of the split has a camera, so there are no others; "
                         "evaluate with cameras 'all'")  # fmt: skip
    return {name: number for number, name in enumerate(names)}


def _first(found: Ranks) -> Int64[Tensor, " B"]:
    """The best rank of each query; 0 without a match."""
    matched = found.counts > 0
    first = torch.zeros_like(found.counts)
    first[matched] = found.ranks[(found.counts.cumsum(dim=0) - found.counts)[matched]]
    return first


def _best(scores: Float[Tensor, "B G"], mask: Bool[Tensor, "B G"]) -> Float32[Tensor, " B"]:
    """The highest of the scores that the mask leaves; NaN where it leaves none."""
    best = scores.masked_fill(~mask, -torch.inf).amax(dim=1)
    return best.masked_fill(~mask.any(dim=1), torch.nan)
