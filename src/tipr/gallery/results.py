"""Results as people want them: grouped, spread over the cameras, in pages, above a probability.

All of it reads a ranking from its best hit on, and what lies deeper never changes the order above
it. So pages do not overlap and lose nothing, as long as `search(k)` gives the first k hits of
`search(2 * k)`, which an exact search does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from operator import itemgetter
from typing import Any, Literal, get_args

import numpy as np

from tipr.gallery.filters import All, Among, Filter
from tipr.gallery.record import Hit, Record
from tipr.gallery.store import Store

By = Literal["none", "track", "duplicate"]
Track = tuple[str, str, str]

_LEAST = 128  # hits looked at; one depth for the first pages, so they see the same groups
_SPREAD = 200  # groups that cameras take turns in; a far worse hit of a rare camera comes later
_BLOCK = 128  # hits compared at once
_ROUNDING = 1e-6  # of a cosine in float32: equal pictures are near-duplicates at 1.0 too


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which results to show and how; pages count from 1.

    `per_camera` groups of a camera come before other cameras have their turn (0: the plain order),
    within each 200 groups of the ranking. `at_least` is a probability, `duplicate` the cosine from
    which two pictures are near-duplicates.
    """

    by: By = "none"
    per_camera: int = 0
    page: int = 1
    size: int = 10
    at_least: float = 0.0
    duplicate: float = 0.95

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise ValueError(f"results are grouped by {', '.join(get_args(By))}, not {self.by!r}")
        if self.page < 1 or self.size < 1:
            raise ValueError(
                f"pages count from 1 and hold at least 1; this is page {self.page} of {self.size}"
            )
        if self.per_camera < 0:
            raise ValueError(f"groups per camera are 1 or more, 0 for all; not {self.per_camera}")
        if not 0 <= self.at_least <= 1:
            raise ValueError(f"a probability lies between 0 and 1; this is {self.at_least}")
        if not 0 < self.duplicate <= 1:
            raise ValueError(
                f"near-duplicates start at a cosine above 0, up to 1; this is {self.duplicate}"
            )


@dataclass(frozen=True)
class Group:
    """Hits that belong together, best first; `best` is the first of them.

    `count`, `first`, `last` and `cameras` tell of the whole track in the gallery, as far as the
    filter lets it through; of near-duplicates they tell of the hits. `hits` are those among what
    was looked at, so a later page may know more of them. `probability` is that of the best shot.
    """

    best: Hit
    hits: tuple[Hit, ...]
    count: int
    first: datetime | None
    last: datetime | None
    cameras: tuple[str, ...]
    probability: float | None

    def to_json(self) -> dict[str, Any]:
        """Times as ISO 8601 in UTC."""
        return {
            "best": _shown(self.best),
            "hits": [_shown(hit) for hit in self.hits],
            "count": self.count,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "cameras": list(self.cameras),
            "probability": self.probability,
        }


@dataclass(frozen=True)
class Results:
    """One page; `more` says whether another follows, `looked_at` how many hits were weighed."""

    groups: tuple[Group, ...]
    more: bool
    looked_at: int


def results(
    search: Callable[[int], list[Hit]],
    store: Store,
    wish: Wish,
    where: Filter | None = None,
    probability: Callable[[Hit], float] | None = None,
) -> Results:
    """The page wished for. `search(k)` gives the k best hits, best first, under the filter `where`.

    A hit without a track stands alone. `probability` of a hit must not rise with its rank: the
    first hit below `wish.at_least` ends the ranking.
    """
    if wish.at_least and probability is None:
        raise ValueError(
            "a least probability needs scores that were calibrated on this gallery; "
            "calibrate it first, or ask without one"
        )
    end = wish.page * wish.size
    wanted = end + 1  # one more tells whether there is another page
    if wish.per_camera:
        wanted = -(-wanted // _SPREAD) * _SPREAD
    k = _LEAST
    while k < wanted:
        k *= 2
    while True:
        hits = search(k)
        likely = hits if probability is None else _likely(hits, wish.at_least, probability)
        groups = _grouped(likely, store, wish)
        if len(groups) >= wanted or len(likely) < k:
            break
        k *= 2
    page = _spread(groups, wish.per_camera)[end - wish.size : end]
    whole = _whole_tracks(page, store, where) if wish.by == "track" else {}
    told = tuple(_told(group, whole, probability) for group in page)
    return Results(told, more=len(groups) > end, looked_at=len(hits))


def _likely(
    hits: Sequence[Hit], at_least: float, probability: Callable[[Hit], float]
) -> Sequence[Hit]:
    if not at_least:
        return hits
    return list(takewhile(lambda hit: probability(hit) >= at_least, hits))


def _grouped(hits: Sequence[Hit], store: Store, wish: Wish) -> list[list[Hit]]:
    """In the order of their best hits."""
    if wish.by == "duplicate":
        return _near_duplicates(hits, store, wish.duplicate)
    groups: defaultdict[Track | str, list[Hit]] = defaultdict(list)
    for hit in hits:
        tracked = wish.by == "track" and hit.record.track
        groups[_track(hit.record) if tracked else hit.record.id].append(hit)
    return list(groups.values())


def _near_duplicates(hits: Sequence[Hit], store: Store, threshold: float) -> list[list[Hit]]:
    """Each hit joins the best group whose best hit it is close to, or opens one."""
    groups: list[list[Hit]] = []
    heads = np.empty((0, store.width), np.float32)
    for start in range(0, len(hits), _BLOCK):
        some = hits[start : start + _BLOCK]
        rows = store.vectors([hit.record.id for hit in some])
        known = np.concatenate([heads, rows])
        close = rows @ known.T >= threshold - _ROUNDING
        is_head = np.arange(len(known)) < len(heads)
        for number, hit in enumerate(some):
            nearest = np.flatnonzero(close[number] & is_head)
            if nearest.size:
                groups[np.count_nonzero(is_head[: nearest[0]])].append(hit)
            else:
                groups.append([hit])
                is_head[len(heads) + number] = True
        heads = known[is_head]
    return groups


def _spread(groups: list[list[Hit]], per_camera: int) -> list[list[Hit]]:
    """Cameras take turns of `per_camera` groups, among each `_SPREAD` of the ranking."""
    if not per_camera:
        return groups
    spread: list[list[Hit]] = []
    for start in range(0, len(groups), _SPREAD):
        turns = []
        seen: Counter[str] = Counter()
        for group in groups[start : start + _SPREAD]:
            camera = group[0].record.camera
            turns.append((seen[camera] // per_camera, group))
            seen[camera] += 1
        spread += [group for _, group in sorted(turns, key=itemgetter(0))]
    return spread


def _whole_tracks(
    groups: Sequence[Sequence[Hit]], store: Store, where: Filter | None
) -> dict[Track, list[Record]]:
    """All records of the groups' tracks that the filter lets through, with one query."""
    tracks = {_track(group[0].record) for group in groups if group[0].record.track}
    if not tracks:
        return {}
    narrowed: Filter = where or All(())
    for name, values in zip(("source", "camera", "track"), zip(*tracks, strict=True), strict=True):
        if all(values):  # no condition matches a record that lacks the field
            narrowed &= Among(name, tuple(sorted(set(values))))
    whole: defaultdict[Track, list[Record]] = defaultdict(list)
    for record in store.records(narrowed):
        whole[_track(record)].append(record)
    return dict(whole)


def _told(
    hits: Sequence[Hit],
    whole: dict[Track, list[Record]],
    probability: Callable[[Hit], float] | None,
) -> Group:
    best = hits[0]
    records = whole.get(_track(best.record)) or [hit.record for hit in hits]
    times = [record.time for record in records if record.time is not None]
    return Group(
        best,
        tuple(hits),
        count=len(records),
        first=min(times, default=None),
        last=max(times, default=None),
        cameras=tuple(dict.fromkeys(record.camera for record in records if record.camera)),
        probability=None if probability is None else probability(best),
    )


def _track(record: Record) -> Track:
    return record.source, record.camera, record.track


def _shown(hit: Hit) -> dict[str, Any]:
    return {"score": hit.score, "record": hit.record.to_json()}
