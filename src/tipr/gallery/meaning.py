"""What is wanted, in words, pictures and marked hits, as a few vectors that any store can search.

An alternative of the description becomes one vector, and a picture's score is its best cosine with
any of them. Within an alternative everything adds up:

    AND         the clauses are read as one sentence; a weight above 1 adds its clause once more
    NOT         the mean of what is denied is taken away
    examples    their mean is added, less the gallery's own mean
    feedback    the mean of right hits is added, that of wrong ones taken away
                (Rocchio, in Salton's The SMART Retrieval System, 1971)

Sentences and pictures differ in how far apart they bring the scores of a gallery, by model, so each
part is first scaled to the same spread there. `Strengths` says how much each counts, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tipr.data.images import UnreadableImage, open_image
from tipr.gallery.filters import Among, Filter
from tipr.gallery.gallery import EmbedderLike
from tipr.gallery.meaning_text import Alternative, Clause, MeaningError, alternatives
from tipr.gallery.record import Hit
from tipr.gallery.store import Store, Vectors
from tipr.gallery.understood import Understood, read

__all__ = ["Compiled", "MeaningError", "Strengths", "Understood", "Wanted", "compiled", "search"]

ANYBODY = "a person"  # what is read where only the unwanted is named
SAMPLE = 1024  # rows that tell a gallery's mean and the spread of scores
ENOUGH = 32  # with fewer they tell nothing, and parts are added as they are


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A description, example pictures, and ids of hits that were right and that were wrong."""

    description: str = ""
    images: tuple[Image.Image | Path, ...] = ()
    more_like: tuple[str, ...] = ()
    less_like: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """How much each part counts beside a sentence, which counts 1.

    Chosen with `tipr bench queries` on rendered people.
    """

    emphasis: float = 0.25  # from 0.5 on the other clauses are lost, and soon this one too
    denied: float = 0.75  # from 1 on what is wanted is lost with what is denied
    denied_alone: float = 1.0  # takes away all that "a person" has in common with what is denied
    example: float = 1.0  # both are heard; from 2 on the sentence hardly is
    more: float = 2.0  # right hits fit the sentence already, so they may outweigh it
    less: float = 1.0  # half of `more`; with as much as `more`, right and wrong cancel
    less_alone: float = 0.1  # wrong hits look like right ones: without a right one they mislead


@dataclass(frozen=True, eq=False)
class Compiled:
    """The vectors (A, D), unit length, of the alternatives, and how the query was understood."""

    vectors: Vectors
    understood: Understood


def compiled(
    wanted: Wanted, embedder: EmbedderLike, store: Store, strengths: Strengths | None = None
) -> Compiled:
    """The query for a store that this embedder filled.

    Raises:
        MeaningError: it cannot be understood, or names a hit or a picture that is not there.
    """
    found, strengths = alternatives(wanted.description), strengths or Strengths()
    understood = Understood(
        alternatives=found,
        examples=len(wanted.images),
        more_like=tuple(dict.fromkeys(wanted.more_like)),
        less_like=tuple(dict.fromkeys(wanted.less_like)),
    )
    if understood.is_text and not found:
        raise MeaningError("nothing is asked for; say what the person looks like, give an example "
                           "picture, or mark hits")  # fmt: skip
    ground = _Ground(store)
    beside = _examples(wanted.images, bool(found), embedder, ground, strengths)
    beside += _feedback(understood, store, strengths)
    if not found and all(strength < 0 for strength, _ in beside):
        found = ((Clause(ANYBODY),),)
    needed = [text for every in found for text in _needed(every, bool(beside))]
    texts = _embedded(dict.fromkeys(needed), embedder)
    rows = [_parts(every, texts, strengths, bool(beside)) for every in found] or [[]]
    return Compiled(np.stack([_unit([*parts, *beside], ground) for parts in rows]), understood)


def search(
    store: Store, compiled: Compiled, k: int, where: Filter | None = None, exact: bool = False
) -> list[Hit]:
    """The `k` rows that are best for any of the alternatives, each by its best score.

    Equal scores keep the order of the store, as in a search for one vector.
    """
    found = store.search_many(compiled.vectors, k, where, exact=exact)
    if len(found) == 1:
        return found[0]
    best: dict[str, Hit] = {}
    for hit in (hit for hits in found for hit in hits):
        if hit.record.id not in best or hit.score > best[hit.record.id].score:
            best[hit.record.id] = hit
    times = Counter(hit.score for hit in best.values())
    tied = tuple(id for id, hit in best.items() if times[hit.score] > 1)
    order = {id: row for row, id in enumerate(store.ids(Among("id", tied)))} if tied else {}
    ranked = sorted(best.values(), key=lambda h: (-h.score, order.get(h.record.id, 0)))
    return ranked[:k]


Vector = NDArray[np.float64]
Part = tuple[float, Vector]  # how much, and of what


class _Ground:
    """What a gallery's first rows tell of all its rows; read only where something is asked."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """(N, D), none where there are too few to tell anything."""
        rows = next((vectors for vectors, _ in self.store.scan(SAMPLE)), np.zeros((0, 0)))
        return rows.astype(np.float64)[: len(rows) if len(rows) >= ENOUGH else 0]

    @property
    def mean(self) -> Vector | float:
        return self.rows.mean(axis=0) if len(self.rows) else 0.0

    def spread(self, vector: Vector) -> float:
        """How far apart the vector brings the scores; 1 where the gallery does not tell."""
        return max(float((self.rows @ vector).std()), 1e-3) if len(self.rows) else 1.0


def _needed(every: Alternative, mixed: bool) -> list[str]:
    """The texts that an alternative's vector is made of."""
    sentence, *denied = read(every)
    weighed = [clause.text for clause in every if not clause.negated and clause.weight != 1]
    return [sentence or ANYBODY, *denied, *weighed] if sentence or not mixed else denied


def _embedded(texts: Iterable[str], embedder: EmbedderLike) -> dict[str, Vector]:
    told = list(texts)
    vectors = embedder.embed_texts(told).astype(np.float64) if told else ()
    return dict(zip(told, vectors, strict=True))


def _parts(
    every: Alternative, texts: dict[str, Vector], strengths: Strengths, mixed: bool
) -> list[Part]:
    """The text of an alternative, as one part; `mixed` where other parts stand beside it."""
    sentence, *denied = read(every)
    away = sum((c.weight * texts[c.text] for c in every if c.negated), np.zeros(1))
    away = away / max(1, len(denied))  # of many, each less: the sentence has to outweigh them
    if not sentence and mixed:
        return [(-strengths.denied, away)]
    if not sentence:
        return [(1.0, texts[ANYBODY] - strengths.denied_alone * away)]
    weighed = [c for c in every if not c.negated and c.weight != 1]
    said = texts[sentence] + strengths.emphasis * sum(
        (c.weight - 1) * texts[c.text] for c in weighed
    )
    return [(1.0, said / np.linalg.norm(said) - strengths.denied * away)]


def _examples(
    images: Sequence[Image.Image | Path],
    mixed: bool,
    embedder: EmbedderLike,
    ground: _Ground,
    strengths: Strengths,
) -> list[Part]:
    """The mean of the example pictures.

    Beside a sentence it is less the gallery's mean: what all pictures share would drown a short
    sentence. Alone it is not, because what they share also tells good pictures from bad.
    """
    if not images:
        return []
    mean = embedder.embed_images([_opened(image) for image in images]).mean(axis=0)
    if not np.isfinite(mean).all():
        raise MeaningError("the model cannot make sense of an example picture; give another")
    return [(strengths.example, mean.astype(np.float64) - (ground.mean if mixed else 0.0))]


def _opened(image: Image.Image | Path) -> Image.Image:
    try:
        return open_image(image)
    except UnreadableImage as error:
        raise MeaningError(f"the example picture cannot be used ({error}); give another") from error


def _feedback(understood: Understood, store: Store, strengths: Strengths) -> list[Part]:
    more, less = understood.more_like, understood.less_like
    if both := [id for id in more if id in less]:
        raise MeaningError(f"{both[0]} is marked as right and as wrong; leave one of them out")
    known = store.known([*more, *less]) if more or less else set()
    if lost := [id for id in (*more, *less) if id not in known]:
        raise MeaningError(f"there is no picture {lost[0]} in this gallery to be marked; give the "
                           "id of a hit, as a search in this gallery shows it")  # fmt: skip
    sides = ((strengths.more, more), (-(strengths.less if more else strengths.less_alone), less))
    return [
        (strength, store.vectors(ids).astype(np.float64).mean(axis=0))
        for strength, ids in sides if ids
    ]  # fmt: skip


def _unit(parts: Sequence[Part], ground: _Ground) -> Vectors:
    """The sum of the parts at unit length; where there are several, each scaled first."""
    spreads = [ground.spread(vector) if len(parts) > 1 else 1.0 for _, vector in parts]
    scaled = [s / spread * vector for (s, vector), spread in zip(parts, spreads, strict=True)]
    total = np.sum(scaled, axis=0)
    length = np.linalg.norm(total)
    if length < 1e-6:
        raise MeaningError("what is wanted and what is not cancel each other out; say more of what "
                           "the person looks like")  # fmt: skip
    return (total / length).astype(np.float32)
