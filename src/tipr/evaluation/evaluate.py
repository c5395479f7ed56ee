"""The protocol: unique images against all captions, through the same door as a user's search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.embedder import Embedder
from tipr.evaluation.metrics import RetrievalMetrics, averaged, retrieval_metrics, scored


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

    @property
    def metrics(self) -> RetrievalMetrics:
        return averaged(self.values, self.gallery, self.areas)


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


def evaluate(embedder: Embedder, pairs: Sequence[Pair]) -> Report:
    """Scores a split; the gallery is its unique images, the queries are all its captions.

    Raises:
        ValueError: the split is empty, or no query has a match.
    """
    similarity, text_ids, image_ids = _compared(embedder, pairs)
    return Report(
        t2i=retrieval_metrics(similarity, text_ids, image_ids),
        i2t=retrieval_metrics(similarity.T, image_ids, text_ids),
        persons=len(set(image_ids.tolist())),
    )


def queries(embedder: Embedder, pairs: Sequence[Pair]) -> Queries:
    """Text-to-image scores of every caption of a split. Raises ValueError when it is empty."""
    similarity, text_ids, image_ids = _compared(embedder, pairs)
    values, areas = scored(similarity, text_ids, image_ids)
    return Queries(text_ids, values, len(image_ids), areas)


def _compared(
    embedder: Embedder, pairs: Sequence[Pair]
) -> tuple[Float[Tensor, "T I"], Int[Tensor, " T"], Int[Tensor, " I"]]:
    """Similarity of all captions to all pictures, and the people of both."""
    if not pairs:
        raise ValueError("the split is empty; choose another with --split")
    gallery = {pair.image_id: pair for pair in pairs}
    images = torch.from_numpy(embedder.embed_images([p.image for p in gallery.values()]))
    texts = torch.from_numpy(embedder.embed_texts([p.caption for p in pairs]))
    text_ids = torch.tensor([p.person_id for p in pairs])
    image_ids = torch.tensor([p.person_id for p in gallery.values()])
    return texts @ images.T, text_ids, image_ids
