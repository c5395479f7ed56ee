"""Which rows a search scores: all that the filter lets through, or what coarse codes name of them.

Up to `EXACT` rows every one is scored, and so are those that a filter lets through if they are
fewer bytes than the codes of all rows. Otherwise the codes name candidates; if too few of them pass
the filter, because it goes against the query, every row that passes is scored after all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tipr.gallery.filters import Filter
from tipr.gallery.local import building, scan
from tipr.gallery.local.files import Generation
from tipr.gallery.local.scan import Scored
from tipr.gallery.local.vectors import Slots, Vectors

EXACT = 50_000  # rows
_SMALLER = 16  # codes than vectors
_SPARE = 2  # a filter lets more of the candidates through for one query and fewer for another


def ranked(
    now: Generation, queries: Vectors, k: int, where: Filter | None, exact: bool
) -> Iterator[Scored]:
    """For each query (D,) the `k` best slots and their cosines, best first."""
    count = now.columns.size
    whole = where is None and len(now.columns) == count
    chosen = None if whole else now.columns.chosen(where, now.database)
    many = count if chosen is None else len(chosen)
    codes = None if exact or many <= max(EXACT, count // _SMALLER) else now.coarse()
    if codes is None:
        yield from scan.best(now.file, count, chosen, queries, k)
        return
    wanted = building.candidates(now.database, k)
    coded = codes.rows if chosen is None else int(np.searchsorted(chosen, codes.rows))
    tail = np.arange(codes.rows, count) if chosen is None else chosen[coded:]
    more = wanted if chosen is None else _SPARE * wanted * count // many
    for query, named in zip(queries, codes.candidates(queries, more), strict=True):
        near = named if chosen is None else _passing(named, chosen)
        if len(near) < min(wanted, coded):  # the filter goes against the query
            yield from scan.best(now.file, count, chosen, query[None], k)
        else:
            some = np.concatenate([np.sort(near), tail])
            yield from scan.best(now.file, count, some, query[None], k)


def _passing(slots: Slots, chosen: Slots) -> Slots:
    """Those of the slots that are among the chosen, which ascend."""
    places = np.searchsorted(chosen, slots)
    places[places == len(chosen)] = 0
    return slots[chosen[places] == slots]
