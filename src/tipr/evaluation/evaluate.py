"""The protocol: unique images against all captions, through the same door as a user's search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float64, Int
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.embedder import Embedder
from tipr.evaluation.metrics import RetrievalMetrics, averaged
from tipr.evaluation.vectors import Cameras, Vectors, embedded


@dataclass(frozen=True)
class Report:
    """Text-to-image (`t2i`, the task) and image-to-text (`i2t`) retrieval on one split."""

    t2i: RetrievalMetrics
    i2t: RetrievalMetrics
    persons: int

    @property
    def chance(self) -> float:
        """R@1 of a guess among the split's people."""
        return 1 / self.persons

    def to_json(self) -> dict[str, Any]:
        return {"t2i": self.t2i.to_json(), "i2t": self.i2t.to_json(), "persons": self.persons}


@dataclass(frozen=True)
class Queries:
    """How well each caption of a split finds its person; what intervals are made of."""

    person_ids: Int[Tensor, " Q"]
    values: Float64[Tensor, "Q 5"]  # the columns of `metrics.COLUMNS`
    gallery: int
    areas: Float64[Tensor, " Q"] | None = None  # each one's `metrics.trapezoid`, where known
    r_precisions: Float64[Tensor, " Q"] | None = None  # `metrics.r_precision`, where known

    @property
    def metrics(self) -> RetrievalMetrics:
        return averaged(self.values, self.gallery, self.areas, self.r_precisions)


@dataclass(frozen=True)
class Unread:
    """How many captions are longer than the model reads; `told` says so in words."""

    count: int
    told: str = ""


def unread(embedder: Embedder, pairs: Sequence[Pair]) -> Unread:
    """Which of the captions lose their end, so that none is cut silently."""
    lost = [(pair, word) for pair in pairs if (word := embedder.unread(pair.caption)) is not None]
    if not lost:
        return Unread(0)
    pair, word = lost[0]
    return Unread(len(lost), (
        f"{len(lost)} of {len(pairs)} captions are longer than the {embedder.tokenizer.length} "
        f"tokens that are read: of {pair.image.name} {word!r} and what follows was not"
    ))  # fmt: skip


def evaluate(embedder: Embedder, pairs: Sequence[Pair], cameras: Cameras = "all") -> Report:
    """Scores a split; the gallery is its unique images, the queries are all its captions.

    Raises:
        ValueError: the split is empty, no query has a match, or `cameras` is "other" and no
            picture has one.
    """
    return reported(embedded(embedder, pairs, cameras))


def reported(split: Vectors) -> Report:
    """The same of a split whose vectors are there already."""
    return Report(
        t2i=split.t2i().averaged(len(split.images)),
        i2t=split.i2t().averaged(len(split.texts)),
        persons=len(split.shown.unique()),
    )


def queries(embedder: Embedder, pairs: Sequence[Pair], cameras: Cameras = "all") -> Queries:
    """Text-to-image scores of every caption of a split. Raises ValueError when it is empty."""
    split = embedded(embedder, pairs, cameras)
    found = split.t2i()
    return Queries(split.asked, found.values, len(split.images), found.areas, found.r_precisions)
