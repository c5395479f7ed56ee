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

from tipr.gallery.answers import Answer, Judge
from tipr.gallery.confidence import reading
from tipr.gallery.filters import Filter
from tipr.gallery.gallery import EmbedderLike, Gallery, GalleryError
from tipr.gallery.meaning import Compiled, Wanted, compiled, search
from tipr.gallery.record import Hit
from tipr.gallery.results import Wish, results
from tipr.gallery.store import check_k

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

    def search(
        self, description: str, k: int = 10, where: Filter | None = None, *, exact: bool = False
    ) -> list[Hit]:
        """The `k` pictures that fit the description best, best first, among those the filter lets
        through. The description may have clauses with AND, OR and NOT (`tipr.gallery.meaning`).

        A hit's score is always the cosine of the embeddings, comparable between all searches of a
        gallery. With a reranker the order of the first `depth` hits is its own, so scores need not
        fall there; pictures that are gone from the disk come last among them. A description longer
        than the model reads gives the warning `UnreadText`, which names the first lost word.

        Raises:
            GalleryError: not one picture could be opened to be re-ranked.
        """
        check_k(k)
        if not description.strip():
            raise ValueError("the description is empty; say what the person looks like")
        query = self._compiled(Wanted(description=description))
        self._warn(self._unread(query))
        return self._ranked(query, k, where, exact)

    def find(
        self,
        wanted: Wanted | str,
        wish: Wish | None = None,
        where: Filter | None = None,
        *,
        exact: bool = False,
    ) -> Answer:
        """A page of results, grouped as wished, with how likely they are where that can be told."""
        wanted = Wanted(description=wanted) if isinstance(wanted, str) else wanted
        wish, store = wish or Wish(), self.gallery.store
        query = self._compiled(wanted)
        searched = store.count(where)
        calibration = reading(store) if query.understood.is_text else None
        judge = None if calibration is None else Judge(calibration, query, searched)
        found = results(
            lambda k: self._ranked(query, k, where, exact),
            store, wish, where, judge,
        )  # fmt: skip
        best = self._best(query, where, judge)
        return Answer(
            groups=found.groups,
            more=found.more,
            looked_at=found.looked_at,
            searched=searched,
            understood=query.understood,
            where=where,
            verdict=None if calibration is None else calibration.word(best),
            probability=None if calibration is None else best,
            stale=calibration is not None and calibration.stale(len(store)),
            unread=self._unread(query),
        )

    def _best(self, query: Compiled, where: Filter | None, judge: Judge | None) -> float:
        """The probability of the best hit, also where a later page is shown."""
        hits = search(self.gallery.store, query, 1, where) if judge else []
        return judge(hits[0]) if judge and hits else 0.0

    def _compiled(self, wanted: Wanted) -> Compiled:
        self.gallery.check(self.embedder)  # it may have been indexed anew since it was opened
        return compiled(wanted, self.embedder, self.gallery.store)

    def _ranked(self, query: Compiled, k: int, where: Filter | None, exact: bool) -> list[Hit]:
        store, sentences = self.gallery.store, query.understood.sentences
        if self.reranker is None or self.depth == 0 or not sentences:
            return search(store, query, k, where, exact=exact)
        hits = search(store, query, max(k, self.depth), where, exact=exact)
        again = _reordered(hits[: self.depth], sentences, self.reranker)
        return [*again, *hits[self.depth :]][:k]

    def _unread(self, query: Compiled) -> str | None:
        """Of the clauses that are read one by one, the first that is too long."""
        lost = (self.embedder.unread(text) for text in query.understood.texts)
        return next((word for word in lost if word is not None), None)

    def _warn(self, lost: str | None) -> None:
        if lost is not None:
            warnings.warn(f"the description is longer than the model reads: {lost!r} and what "
                          "follows was not read; say less, or read it by clauses "
                          "(long_texts='clauses', --long-texts clauses)",
                          UnreadText, stacklevel=3)  # fmt: skip

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


def _reordered(hits: Sequence[Hit], sentences: Sequence[str], reranker: Reranker) -> list[Hit]:
    """By the reranker's best score for any of the sentences; equal ones and, at the end, NaN keep
    the order of the hits."""
    if not hits:
        return []
    paths = [Path(hit.record.path) for hit in hits]
    told = [np.asarray(reranker.scores(sentence, paths)) for sentence in sentences]
    for scores in told:
        if scores.shape != (len(hits),):
            raise ValueError(f"the reranker gave scores {scores.shape} for {len(hits)} pictures")
    scores = np.fmax.reduce(told)
    if np.isnan(scores).all():
        raise GalleryError(
            f"none of the {len(hits)} pictures to re-rank could be opened, as "
            f"{hits[0].record.path}; were they moved? Index them where they are now, or search "
            "without re-ranking"
        )
    return [hits[place] for place in np.argsort(-scores, kind="stable")]
