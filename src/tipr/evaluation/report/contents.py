"""What a report tells of one evaluation, all of it measured on the same vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.evaluation.bootstrap import bootstrapped
from tipr.evaluation.breakdown import Group, breakdown, forced_choices
from tipr.evaluation.evaluate import Unread
from tipr.evaluation.metrics import COLUMNS, measured
from tipr.evaluation.openset import (
    Detection,
    OpenSet,
    Searches,
    detection,
    held_out,
    open_set,
    searched,
)
from tipr.evaluation.ranks import Items, products, ranks
from tipr.evaluation.records import Record, recorded
from tipr.evaluation.rendered import rendered
from tipr.evaluation.report.ranklists import RankList, rank_lists
from tipr.evaluation.vectors import Vectors

NAMES = (*COLUMNS, "mAP_trapezoid", "R_precision")  # of the estimates
_STEPS = 40  # rates of the detection curve


@dataclass(frozen=True)
class Estimate:
    """A mean, and where 95 of 100 means of redrawn people lie."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Direction:
    """How one side of the split finds the other."""

    estimates: dict[str, Estimate]  # by the names of `NAMES`
    ranks: Int64[Tensor, " M"]  # of the first match, for each query that has one
    matches: Int64[Tensor, " M"]  # how many it has
    unmatched: int
    gallery: int

    def found(self, k: int) -> float:
        """R@k."""
        return (self.ranks <= k).double().mean().item()

    def by_chance(self, k: int) -> float:
        """R@k that a gallery in random order is expected to have."""
        everything = torch.tensor(self.gallery).double()
        wrong = everything - self.matches
        left, rest = ((many - k).clamp(min=0) for many in (everything, wrong))
        log = (wrong + 1).lgamma() - (rest + 1).lgamma()  # of C(wrong, k) / C(everything, k)
        log = log - (everything + 1).lgamma() + (left + 1).lgamma()
        return (1 - torch.where(wrong < k, 0.0, log.exp())).mean().item()


@dataclass(frozen=True, kw_only=True)
class Contents:
    record: Record
    t2i: Direction
    i2t: Direction
    open_set: OpenSet
    detections: tuple[Detection, ...]  # at more rates, for a curve
    groups: list[Group]
    choices: list[Group]  # forced choices between near-duplicates; none where none are known
    lists: dict[str, list[RankList]]
    cut: Unread


def contents(
    vectors: Vectors,
    pairs: Sequence[Pair],
    facts: Mapping[str, Any],
    *,
    person: Callable[[int], str] = str,
    validation: Vectors | None = None,
    cut: Unread | None = None,
) -> Contents:
    """Everything of a split whose vectors are there already, and in which cameras do not count.

    `validation` are those that probabilities are fitted on; without it none are told.

    Raises:
        ValueError: fewer than two people were asked for and are in the gallery.
    """
    record = recorded(vectors, pairs, facts, person)
    test = _searched(vectors)
    known = rendered(pairs)
    texts, images = vectors.texts, vectors.images
    return Contents(
        record=record,
        t2i=_direction(products(texts, images), vectors.captions, vectors.pictures),
        i2t=_direction(
            products(images, texts, gallery_first=True), vectors.pictures, vectors.captions
        ),
        open_set=open_set(test, None if validation is None else _searched(validation)),
        detections=_detections(test),
        groups=breakdown(record, pairs, person, known),
        choices=[] if known is None else forced_choices(vectors, pairs, known),
        lists=rank_lists(record, vectors, pairs, person),
        cut=Unread(0) if cut is None else cut,
    )


def _searched(vectors: Vectors) -> Searches:
    return searched(vectors, held_out(vectors.shown))


def _direction(
    blocks: Iterable[Float[Tensor, "B G"]], queries: Items, gallery: Items
) -> Direction:  # fmt: skip
    parts = list(ranks(blocks, queries, gallery))
    scores = measured(parts)
    values = torch.cat([scores.values, scores.areas[:, None], scores.r_precisions[:, None]], dim=1)
    found = bootstrapped(values, queries.people)
    ends = zip(found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    counts = torch.cat([part.counts for part in parts])
    firsts = torch.cat([part.ranks for part in parts])[(counts.cumsum(dim=0) - counts)[counts > 0]]
    return Direction(
        estimates={name: Estimate(*end) for name, end in zip(NAMES, ends, strict=True)},
        ranks=firsts,
        matches=counts[counts > 0],
        unmatched=int((counts == 0).sum()),
        gallery=len(gallery.people),
    )


def _detections(test: Searches) -> tuple[Detection, ...]:
    """From the least rate that the absent queries can tell from none, to nearly all."""
    least = torch.tensor(1 / max(2, int((~test.present).sum()))).log10().item()
    rates = torch.logspace(least, 0, _STEPS + 1, dtype=torch.float64)[:-1]
    return tuple(detection(test, rate) for rate in rates.tolist())
