"""The ranks of every query's matches: exact, without sorting the gallery or holding Q x G scores.

1. Blocks     `products` yields the scores of some queries after another, from the embeddings
2. Counting   a match ranks behind what scores higher and behind what scores the same before it
3. Cameras    `Items.cameras`: what the query's own camera saw of its person is left out

A block holds whole rows of the gallery, so a match's score and the scores it is compared with are
of one product, and nobody is above himself by a rounding. Counting is chosen by measurement: the
field's galleries hold about 20 pictures of a person, for which a comparison of each match with the
row takes a fifteenth of a stable sort and a third of a sort of the values alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BLOCK = 1 << 23  # scores held at once: 32 MiB
ROWS = 64  # queries that are held at once where the gallery is larger than that allows
SORTED_FROM = 64  # matches of a query from which sorting the scores takes less than comparing


@dataclass(frozen=True)
class Items:
    """Whom each query or each row of the gallery shows."""

    people: Int[Tensor, " N"]
    cameras: Int[Tensor, " N"] | None = None  # which one saw them, negative where it is not known


@dataclass(frozen=True)
class Ranks:
    """Where the matches of some queries stand, from 1: best first, one query after another."""

    ranks: Int[Tensor, " N"]
    counts: Int[Tensor, " B"]  # how many of them are each query's


def products(
    queries: Float[Tensor, "Q D"], gallery: Float[Tensor, "G D"], *, gallery_first: bool = False
) -> Iterator[Float[Tensor, "_ G"]]:
    """The scores of all queries in equal blocks; in one block where they are few.

    `gallery_first` multiplies the other way round, which may round the last bit differently.
    """
    for block in queries.tensor_split(_blocks(len(queries), len(gallery))):
        yield (gallery @ block.T).T if gallery_first else block @ gallery.T


def rows_of(similarity: Float[Tensor, "Q G"]) -> Iterator[Float[Tensor, "_ G"]]:
    """A matrix of scores as blocks of its rows."""
    yield from similarity.tensor_split(_blocks(*similarity.shape))


def ranks(
    blocks: Iterable[Float[Tensor, "_ G"]], queries: Items, gallery: Items
) -> Iterator[Ranks]:
    """The ranks of the queries' matches among the gallery, for each block of scores.

    Equal scores are ranked in gallery order. Where both sides have cameras, a row that shows a
    query's person from the query's camera is left out of that query's ranking.

    Raises:
        ValueError: a score is NaN, or the scores are not of these queries and this gallery.
    """
    order = gallery.people.argsort(stable=True)
    people, start = gallery.people[order], 0
    for block in blocks:
        asked = _part(queries, start, len(block))
        if block.shape != (len(asked.people), len(order)):
            raise ValueError(f"{tuple(block.shape)} scores are not of {len(asked.people)} queries "
                             f"and {len(order)} in the gallery")  # fmt: skip
        _check(block, start)
        start += len(block)
        first = torch.searchsorted(people, asked.people)
        counts = torch.searchsorted(people, asked.people, right=True) - first
        places = order[_ranges(first, counts)]
        found = _ranked(_array(block), places, counts)
        yield _in_order(found, counts, _left_out(places, counts, asked, gallery))
    if start != len(queries.people):
        raise ValueError(f"{start} rows of scores are not of {len(queries.people)} queries")


def _blocks(queries: int, gallery: int) -> int:
    """How many equal blocks of queries keep to `BLOCK` scores.

    None is of a few rows only: a product of those is rounded differently from column to column, so
    that two pictures with the same embedding would no longer score the same.
    """
    rows = max(ROWS, BLOCK // max(1, gallery))
    return max(1, math.ceil(queries / rows))


def _part(items: Items, start: int, count: int) -> Items:
    where = slice(start, start + count)
    people = items.people[where].contiguous()
    return Items(people, None if items.cameras is None else items.cameras[where])


def _check(scores: Float[Tensor, "B G"], start: int) -> None:
    lost = scores.isnan()
    if lost.any():
        row = start + int(lost.any(dim=1).nonzero()[0])
        raise ValueError(f"query {row} has a score that is no number (NaN), so nothing can be "
                         "ranked; the model's weights or an embedding are damaged")  # fmt: skip


def _array(scores: Float[Tensor, "B G"]) -> Float[np.ndarray, "B G"]:
    """The same scores for numpy, which counts in one row without taking new memory."""
    exact = scores if scores.dtype in (torch.float32, torch.float64) else scores.float()
    return exact.detach().cpu().contiguous().numpy()


def _ranges(first: Int[Tensor, " B"], counts: Int[Tensor, " B"]) -> Int[Tensor, " N"]:
    """`first, first + 1, ...`, as many as `counts`, for each."""
    skipped = counts.cumsum(dim=0) - counts
    return torch.arange(int(counts.sum())) + (first - skipped).repeat_interleave(counts)


def _ranked(
    scores: Float[np.ndarray, "B G"], places: Int[Tensor, " N"], counts: Int[Tensor, " B"]
) -> Int[Tensor, " N"]:
    """The rank of each place in its query's row."""
    result = np.empty(len(places), np.int64)
    ends, start = counts.cumsum(dim=0).tolist(), 0
    for row, end in zip(scores, ends, strict=True):
        own = places[start:end].numpy()
        many = len(own) >= SORTED_FROM
        result[start:end] = _by_sorting(row, own) if many else _by_comparing(row, own)
        start = end
    return torch.from_numpy(result)


def _by_comparing(
    scores: Float[np.ndarray, " G"], places: Int[np.ndarray, " P"]
) -> Int[np.ndarray, " P"]:
    """Counts what is better: what scores as much before a match, and what scores more behind it."""
    result = np.ones(len(places), np.int64)
    for match, place in enumerate(places.tolist()):
        result[match] += np.count_nonzero(scores[:place] >= scores[place])
        result[match] += np.count_nonzero(scores[place + 1 :] > scores[place])
    return result


def _by_sorting(
    scores: Float[np.ndarray, " G"], places: Int[np.ndarray, " P"]
) -> Int[np.ndarray, " P"]:
    """Sorts the values alone; where a match's score is not its own, their order too."""
    ascending, own = np.sort(scores), scores[places]
    reached = np.searchsorted(ascending, own, side="right")
    if (reached - np.searchsorted(ascending, own, side="left") == 1).all():
        return 1 + len(scores) - reached
    result = np.empty(len(scores), np.int64)
    result[np.argsort(-scores, kind="stable")] = np.arange(1, 1 + len(scores))
    return result[places]


def _left_out(
    places: Int[Tensor, " N"], counts: Int[Tensor, " B"], queries: Items, gallery: Items
) -> Bool[Tensor, " N"]:
    """Which matches were seen by their query's own camera."""
    if queries.cameras is None or gallery.cameras is None:
        return torch.zeros(len(places), dtype=torch.bool)
    seen_by = gallery.cameras[places]
    return (seen_by >= 0) & (seen_by == queries.cameras.repeat_interleave(counts))


def _in_order(
    found: Int[Tensor, " N"], counts: Int[Tensor, " B"], left_out: Bool[Tensor, " N"]
) -> Ranks:
    """Each query's ranks, best first, as if what is left out were not in the gallery.

    All that is left out shows the query's person, so it is among the matches that were ranked.
    """
    owner = torch.arange(len(counts)).repeat_interleave(counts)
    order = torch.from_numpy(np.lexsort((found.numpy(), owner.numpy())))
    gone = torch.cat([counts.new_zeros(1), left_out[order].cumsum(dim=0)])
    ends = counts.cumsum(dim=0)
    starts = ends - counts
    closer = found[order] - gone[:-1] + gone[starts].repeat_interleave(counts)
    return Ranks(closer[~left_out[order]], counts - gone[ends] + gone[starts])
