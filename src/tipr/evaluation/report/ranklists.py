"""Queries to look at, with what was found first: the worst, the best, and some drawn blindly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.evaluation.naming import digest
from tipr.evaluation.ranks import products
from tipr.evaluation.records import Record
from tipr.evaluation.vectors import Vectors

COUNT = 6  # queries of each kind
DEPTH = 10  # pictures of each


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A picture of the gallery at its rank for a query."""

    rank: int
    score: float
    right: bool
    person: str
    picture: Path


@dataclass(frozen=True, kw_only=True)
class RankList:
    caption: str
    person: str
    rank: int  # of the first picture of the person; 0 is none
    hits: tuple[Hit, ...]  # the first pictures, and the first right one where it is further down


def rank_lists(
    record: Record,
    vectors: Vectors,
    pairs: Sequence[Pair],
    person: Callable[[int], str] = str,
) -> dict[str, list[RankList]]:
    """The chosen queries, each with its first pictures. Equal scores are in gallery order."""
    chosen = choice(record)
    gallery = list({pair.image_id: pair for pair in pairs}.values())
    wanted = {query for queries in chosen.values() for query in queries}
    lists: dict[int, RankList] = {}
    start = 0
    for block in products(vectors.texts, vectors.images):
        for query in wanted.intersection(range(start, start + len(block))):
            pair, rank = pairs[query], int(record.ranks[query])
            hits = _hits(block[query - start], rank, vectors.shown == vectors.asked[query])
            lists[query] = RankList(
                caption=pair.caption,
                person=person(pair.person_id),
                rank=rank,
                hits=tuple(
                    Hit(rank=at, score=score, right=right, picture=gallery[place].image,
                        person=person(gallery[place].person_id))
                    for at, place, score, right in hits
                ),
            )  # fmt: skip
        start += len(block)
    return {kind: [lists[query] for query in queries] for kind, queries in chosen.items()}


def choice(record: Record) -> dict[str, list[int]]:
    """Which queries of the record; the same whatever the order of its rows.

    Worst and best are those whose first right picture ranks lowest and highest, and among these
    has the least or most lead over the best wrong one; no two ask for the same person. Drawn ones
    are the first in the order of a digest of their keys, those without a match among them.
    """
    leads = (record.scores - record.others).nan_to_num(0.0).tolist()
    ranks, keys = record.ranks.tolist(), record.keys
    matched = [query for query in range(len(keys)) if ranks[query]]
    worst = sorted(matched, key=lambda q: (-ranks[q], leads[q], keys[q]))
    best = sorted(matched, key=lambda q: (ranks[q], -leads[q], keys[q]))
    drawn = sorted(range(len(keys)), key=lambda q: digest("drawn", keys[q]))
    return {
        "worst": _of_people(worst, record.people),
        "best": _of_people(best, record.people),
        "drawn": drawn[:COUNT],
    }


def _of_people(queries: Iterable[int], people: Sequence[str]) -> list[int]:
    """The first query of each of the first people."""
    firsts: dict[str, int] = {}
    for query in queries:
        firsts.setdefault(people[query], query)
    return list(firsts.values())[:COUNT]


def _hits(
    scores: Float[Tensor, " G"], rank: int, right: Tensor
) -> list[tuple[int, int, float, bool]]:
    """Rank, place in the gallery, score and whether it is right, of the pictures to show."""
    order: Int64[Tensor, " G"] = scores.argsort(descending=True, stable=True)
    shown = list(range(1, min(DEPTH, len(order)) + 1)) + ([rank] if rank > DEPTH else [])
    places = [int(order[at - 1]) for at in shown]
    return [
        (at, place, scores[place].item(), bool(right[place]))
        for at, place in zip(shown, places, strict=True)
    ]
