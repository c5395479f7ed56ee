"""Where a model is good and where it is not: the metrics of groups of queries.

Each group is scored by itself, in the whole gallery, with an interval over redrawn people
(`bootstrap`). A group of few people is counted and not scored. Groups are not compared with each
other: captions that differ in one thing differ in others.

A near-duplicate is a forced choice of two: whether the best picture of the person asked for scores
above the best of the one who differs in a single attribute (ties half; a guess has one half). Where
the caption does not mention that attribute nobody could tell, so those that do are scored again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64, Int64
from PIL import Image
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.data.shards import member_bytes, shard_of
from tipr.evaluation.bootstrap import bootstrapped, people_scored
from tipr.evaluation.records import Record, aligned
from tipr.evaluation.rendered import Kin, Rendered, rendered
from tipr.evaluation.vectors import Vectors
from tipr.evaluation.vocabulary import CLOTHES, COLOURS, clothes, colours, negated

FEWEST = 5  # people that a group is scored from
SAMPLES = 2_000
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")

Members = dict[str, list[int]]  # the queries of each group


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some queries, and how they fared: for each metric its mean and where that may lie."""

    by: str  # what they have in common: camera, colour, ...
    name: str
    queries: int
    people: int
    scores: dict[str, dict[str, float]] | None  # None: too few people

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def breakdown(
    record: Record,
    pairs: Sequence[Pair],
    person: Callable[[int], str] = str,
    known: Rendered | None = None,
) -> list[Group]:
    """The record by what captions say, where pictures were taken and how much they show.

    Raises:
        ValueError: the pairs are not those that were evaluated.
    """
    asked = aligned(record, pairs, person)
    grouped = {**by_caption(asked), **by_picture(asked)}
    if known is not None:
        grouped |= by_rendering(asked, known)
    columns = record.facts["columns"]
    return [
        scored(by, name, record.values[members], record.person_ids[members], columns)
        for by, groups in grouped.items()
        for name, members in groups.items()
        if members
    ]


def broken_down(
    record: Record, vectors: Vectors, pairs: Sequence[Pair], person: Callable[[int], str] = str
) -> list[Group]:
    """All groups of a split; where it was rendered, those that only the renderer knows too.

    Near-duplicates are told apart by all pictures, so they are left out where cameras count.
    """
    known = rendered(pairs)
    choices = []
    if known is not None and vectors.asked_by is None:
        choices = forced_choices(vectors, pairs, known)
    return [*breakdown(record, pairs, person, known), *choices]


def scored(
    by: str,
    name: str,
    values: Float64[Tensor, "Q M"],
    person_ids: Int64[Tensor, " Q"],
    columns: Sequence[str],
) -> Group:
    """A group's means with their intervals, where there are people enough."""
    facts = {"by": by, "name": name, "queries": len(values), "people": len(person_ids.unique())}
    if people_scored(values, person_ids) < FEWEST:
        return Group(**facts, scores=None)
    found = bootstrapped(values, person_ids, SAMPLES)
    parts = zip(columns, found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    told = {column: {"mean": m, "low": low, "high": high} for column, m, low, high in parts}
    return Group(**facts, scores=told)


def by_caption(pairs: Sequence[Pair]) -> dict[str, Members]:
    """By length, negation, and the colours and clothes that are mentioned."""
    lengths = [float(len(_WORD.findall(pair.caption))) for pair in pairs]
    negations = ["negated" if negated(pair.caption) else "plain" for pair in pairs]
    worn = [clothes(pair.caption) for pair in pairs]
    found = {
        "caption length": quarters(lengths, "words"),
        "negation": _members(({name} for name in negations), ("negated", "plain")),
        "colour": _members((colours(pair.caption) for pair in pairs), COLOURS),
    }
    for kind, names in CLOTHES.items():
        found[kind] = _members((told[kind] for told in worn), names)
    return found


def by_picture(pairs: Sequence[Pair]) -> dict[str, Members]:
    """By camera where it is known, and by the height of the picture that a caption is about."""
    found = {}
    if any(pair.camera for pair in pairs):
        cameras = sorted({pair.camera for pair in pairs}, key=lambda name: (len(name), name))
        groups = _members(({pair.camera} for pair in pairs), cameras)
        found["camera"] = {name or "unknown": members for name, members in groups.items()}
    heights = {picture: float(height(picture)) for picture in {pair.image for pair in pairs}}
    found["picture height"] = quarters([heights[pair.image] for pair in pairs], "pixels")
    return found


def by_rendering(pairs: Sequence[Pair], known: Rendered) -> dict[str, Members]:
    """By how much of the person is seen in their box, and by whether they have a near-duplicate."""
    shares = [round(100 * known.shown(pair.image)) for pair in pairs]
    ties: dict[int, set[str]] = {}
    for kin in known.kin:
        for one in (kin.original, kin.duplicate):
            ties.setdefault(one, set()).add(f"has a {kin.relation}")
    names = ("nobody alike", "has a twin", "has a swap")
    return {
        "visible share": quarters([float(share) for share in shares], "% of the box"),
        "near-duplicates": _members(
            (ties.get(pair.person_id, {names[0]}) for pair in pairs), names
        ),
    }


def forced_choices(vectors: Vectors, pairs: Sequence[Pair], known: Rendered) -> list[Group]:
    """How often a person is told from their near-duplicate: by kind and by what differs.

    `pairs` are those of the vectors, in their order. The groups `..., mentioned` have the captions
    that speak of what differs.
    """
    choices = [choice for kin in known.kin for choice in _choices(kin, vectors, pairs, known)]
    groups: dict[tuple[str, str], list[_Choice]] = {}
    for choice in choices:
        for by, name in (
            ("two-way", choice.kin.relation),
            ("two-way by attribute", choice.kin.named),
        ):
            groups.setdefault((by, name), []).append(choice)
            if choice.mentioned:
                groups.setdefault((by, f"{name}, mentioned"), []).append(choice)
    return [_chosen(by, name, found) for (by, name), found in sorted(groups.items())]


def quarters(values: Sequence[float], unit: str) -> Members:
    """Four groups of about equal size, fewer where values are the same, named by their ends."""
    known = torch.tensor(values, dtype=torch.float64)
    edges = known.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    place = (known[:, None] > edges).sum(dim=1)
    groups = {}
    for quarter in place.unique().tolist():
        members = (place == quarter).nonzero()[:, 0]
        low, high = known[members].min().item(), known[members].max().item()
        groups[f"{low:g}..{high:g} {unit}"] = members.tolist()
    return groups


def height(picture: Path) -> int:
    """Pixels from top to bottom, from the file's header alone."""
    source = io.BytesIO(member_bytes(picture)) if shard_of(picture) else picture
    with Image.open(source) as opened:
        return opened.height


@dataclass(frozen=True)
class _Choice:
    kin: Kin
    won: float  # 1, or 0.5 when both score the same
    mentioned: bool


def _choices(
    kin: Kin, vectors: Vectors, pairs: Sequence[Pair], known: Rendered
) -> Iterable[_Choice]:
    """Of every caption about either of the two."""
    for own, other in ((kin.original, kin.duplicate), (kin.duplicate, kin.original)):
        queries = (vectors.asked == own).nonzero()[:, 0]
        right, wrong = (
            (vectors.texts[queries] @ vectors.images[vectors.shown == one].T).amax(dim=1)
            for one in (own, other)
        )
        won = (right > wrong).double() + 0.5 * (right == wrong).double()
        for query, result in zip(queries.tolist(), won.tolist(), strict=True):
            told = set(kin.attributes) <= known.told(pairs[query])
            yield _Choice(kin, result, told)


def _chosen(by: str, name: str, choices: Sequence[_Choice]) -> Group:
    """Both of a pair are redrawn together, so an interval counts families as people."""
    won = torch.tensor([[choice.won] for choice in choices], dtype=torch.float64)
    families = torch.tensor([choice.kin.original for choice in choices])
    return scored(by, name, won, families, ("right",))


def _members(found: Iterable[Iterable[str]], names: Iterable[str]) -> Members:
    groups: Members = {name: [] for name in names}
    for query, told in enumerate(found):
        for name in told:
            groups[name].append(query)
    return groups
