"""A sentence in, the most similar pictures of a gallery out.

The model is the one the gallery names, so searching needs no other argument; a model from elsewhere
is accepted only with the same fingerprint. A `Reranker` may look again at the best of them, with
the sentence in hand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tipr.gallery.gallery import EmbedderLike, Gallery, GalleryError
from tipr.gallery.store import Hit, check_k

if TYPE_CHECKING:
    from tipr.embedder.embedder import Embedder, LongTexts


class UnreadText(UserWarning):
    """A description is longer than the model reads, and its end has no say in the answer."""


class Reranker(Protocol):
    """Scores pictures for a description by reading both together: better, and far slower."""

    def scores(self, description: str, images: Sequence[Path]) -> NDArray[np.floating]:
        """(N,) in the order of `images`, higher is better; NaN for a file that cannot be read."""
        ...


class Searcher:
    """An embedder and the gallery it filled; a reranker orders the first `depth` hits again."""

    def __init__(
        self,
        embedder: EmbedderLike,
        gallery: Gallery,
        reranker: Reranker | None = None,
        depth: int = 128,
    ) -> None:
        if depth < 0:
            raise ValueError(f"depth is the number of hits to re-rank, 0 or more; not {depth}")
        gallery.check(embedder)
        self.embedder, self.gallery = embedder, gallery
        self.reranker, self.depth = reranker, depth

    @classmethod
    def open(
        cls,
        gallery: Path | str,
        device: str = "cpu",
        model: Path | str | None = None,
        reranker: Callable[[Embedder], Reranker] | None = None,
        depth: int = 128,
        long_texts: LongTexts = "cut",
    ) -> Searcher:
        """The gallery at this path with its model; `model` says where that lies if it was moved.

        `long_texts` is the embedder's: what becomes of a description longer than the model reads.
        `reranker` makes one for the model, as `tipr.evaluation.reranking.PairwiseReranker.beside`.
        """
        opened = Gallery.open(gallery)
        from tipr.embedder import Embedder  # brings in torch: only once the gallery is known good

        source = opened.manifest.model if model is None else model
        try:
            embedder = Embedder.load(source, device, long_texts)
        except ValueError as error:
            raise GalleryError(
                f"{gallery} was indexed with the model {opened.manifest.model}, and {error}; "
                "pass --model with the place where that model lies now"
            ) from error
        return cls(embedder, opened, None if reranker is None else reranker(embedder), depth)

    def search(self, description: str, k: int = 10) -> list[Hit]:
        """The `k` pictures that fit the description best, best first.

        A hit's score is always the cosine of the embeddings, comparable between all searches of a
        gallery. With a reranker the order of the first `depth` hits is its own, so scores need not
        fall there; pictures that are gone from the disk come last among them. A description longer
        than the model reads gives the warning `UnreadText`, which names the first lost word.

        Raises:
            GalleryError: not one picture could be opened to be re-ranked.
        """
        if not description.strip():
            raise ValueError("the description is empty; say what the person looks like")
        check_k(k)
        lost = self.embedder.unread(description)
        if lost is not None:
            warnings.warn(f"the description is longer than the model reads: {lost!r} and what "
                          "follows was not read; say less, or read it by clauses "
                          "(long_texts='clauses', --long-texts clauses)",
                          UnreadText, stacklevel=2)  # fmt: skip
        query = self.embedder.embed_texts([description])[0]
        if self.reranker is None or self.depth == 0:
            return self.gallery.store.search(query, k)
        hits = self.gallery.store.search(query, max(k, self.depth))
        again = _reordered(hits[: self.depth], description, self.reranker)
        return [*again, *hits[self.depth :]][:k]

    def unread(self, description: str) -> str | None:
        """The first word of a description that is not read; None when all of it is."""
        return self.embedder.unread(description)

    def close(self) -> None:
        self.gallery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _reordered(hits: Sequence[Hit], description: str, reranker: Reranker) -> list[Hit]:
    """By the reranker's scores; equal ones and, at the end, NaN keep the order of the hits."""
    if not hits:
        return []
    scores = np.asarray(reranker.scores(description, [Path(hit.record.path) for hit in hits]))
    if scores.shape != (len(hits),):
        raise ValueError(f"the reranker gave scores {scores.shape} for {len(hits)} pictures")
    if np.isnan(scores).all():
        raise GalleryError(
            f"none of the {len(hits)} pictures to re-rank could be opened, as "
            f"{hits[0].record.path}; were they moved? Index them where they are now, or search "
            "without re-ranking"
        )
    return [hits[place] for place in np.argsort(-scores, kind="stable")]
