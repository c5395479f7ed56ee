"""Ways to ask for rendered people, and how good is what each finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tipr.bench.crowd import Crowd, Shown
from tipr.gallery.meaning import ANYBODY, Strengths, Wanted

TOP = 10
BUILT_IN = Strengths()
THINGS = (  # in words, the verb, the attribute, and which kind of it
    ("a hat", "wearing", "hat", ""),
    ("a bag", "carrying", "bag", ""),
    ("a backpack", "carrying", "bag", "backpack"),
    ("glasses", "wearing", "glasses", ""),
    ("a skirt", "wearing", "lower", "skirt"),
    ("stripes", "wearing", "pattern", "stripes"),
)
_CLAUSES = re.compile(r"[.;,]\s+(?:and\s+)?|\.$|\band\b")

Good = list[float]  # one number for each column of a table


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to ask for a person; some ask several times, or not for everybody."""

    name: str
    asks: Callable[[int], Iterator[Good]]
    built_in: bool = False


def together(crowd: Crowd) -> Iterator[Way]:
    """R@1 and mAP of a caption, whole and in clauses."""

    def joined(person: int) -> str:
        return " AND ".join(map(_quoted, _clauses(_caption(crowd, person))))

    def whole(person: int) -> Iterator[Good]:
        yield _by_identity(crowd, person, Wanted(description=_quoted(_caption(crowd, person))))

    def parted(person: int) -> Iterator[Good]:
        yield _by_identity(crowd, person, Wanted(description=joined(person)))

    def added(person: int) -> Iterator[Good]:
        vectors = crowd.embedder.embed_texts(_clauses(_caption(crowd, person)))
        hits = crowd.store.search(vectors.sum(axis=0), len(crowd.store))
        yield _precision(crowd, person, [int(hit.record.id) for hit in hits])

    yield Way(name="the whole sentence", asks=whole)
    yield Way(name="its clauses joined by AND", asks=parted, built_in=True)
    yield Way(name="the sum of its clauses' vectors", asks=added)


def weights(crowd: Crowd) -> Iterator[Way]:
    """Of an outfit and trousers: how many of the first wear the one, and the other."""

    def way(weight: int, emphasis: float) -> Way:
        def asks(person: int) -> Iterator[Good]:
            like, how = _first(crowd, person), replace(BUILT_IN, emphasis=emphasis)
            if like.looks["lower"] != "dress":
                told = f"{_outfit(like)} AND {like.garment('lower')} ^{weight}"
                found = crowd.found(Wanted(description=told), how, TOP)
                yield _shares(crowd, found, _alike(like), lambda s: s.wears("lower", like))

        name = f"trousers ^{weight}, each adds {emphasis:g}" if weight > 1 else "no weight"
        return Way(name=name, asks=asks, built_in=emphasis == BUILT_IN.emphasis)

    yield way(1, BUILT_IN.emphasis)
    yield from (way(weight, emphasis) for emphasis in (0.25, 0.5, 1.0) for weight in (2, 4))


def denials(crowd: Crowd) -> Iterator[Way]:
    """Of an outfit without a thing: how many of the first show it, and how many the outfit."""

    def way(name: str, text: str, denied: float = BUILT_IN.denied, built_in: bool = False) -> Way:
        def asks(person: int) -> Iterator[Good]:
            like, how = _first(crowd, person), replace(BUILT_IN, denied=denied)
            for thing, verb, attribute, kind in THINGS:
                told = text.format(a=_outfit(like), verb=verb, thing=thing)
                found = crowd.found(Wanted(description=told), how, TOP)
                yield _shares(crowd, found, _having(attribute, kind), _alike(like))

        return Way(name=name, asks=asks, built_in=built_in)

    yield way("not asked for", "{a}")
    yield way("in the sentence, read as it stands", '"{a} not {verb} {thing}"')
    for denied in (0.25, 0.5, 0.75, 1.0):
        built_in = denied == BUILT_IN.denied
        yield way(f"taken away, {denied:g}", "{a} not {verb} {thing}", denied, built_in)


def only_denials(crowd: Crowd) -> Iterator[Way]:
    """Of nothing but a thing denied: how many of the first show it. The same for every person."""

    def way(name: str, text: str, denied: float, built_in: bool = False) -> Way:
        def asks(person: int) -> Iterator[Good]:
            how = replace(BUILT_IN, denied_alone=denied)
            for thing, _, attribute, kind in THINGS if person == min(crowd.rows) else ():
                found = crowd.found(Wanted(description=text.format(thing=thing)), how, TOP)
                yield _shares(crowd, found, _having(attribute, kind))

        return Way(name=name, asks=asks, built_in=built_in)

    yield way(ANYBODY, ANYBODY, 0.0)
    for denied in (0.5, 0.75, 1.0, 1.25):
        yield way(f"taken away, {denied:g}", "NOT {thing}", denied, denied == BUILT_IN.denied_alone)


def examples(crowd: Crowd) -> Iterator[Way]:
    """R@1 and mAP of another picture of the person, alone and beside a caption."""

    def way(name: str, how: Strengths = BUILT_IN, of: str = "both", built_in: bool = False) -> Way:
        def asks(person: int) -> Iterator[Good]:
            row = crowd.rows[person][1]
            wanted = Wanted(
                description="" if of == "picture" else _quoted(_caption(crowd, person)),
                images=(crowd.picture(row),) if of in ("picture", "both") else (),
                more_like=(str(row),) if of == "raw" else (),
            )
            yield _by_identity(crowd, person, wanted, how, {row})

        return Way(name=name, asks=asks, built_in=built_in)

    yield way("the caption", of="caption")
    yield way("the picture", of="picture", built_in=True)
    for example in (0.5, 1.0, 2.0):
        how = replace(BUILT_IN, example=example)
        yield way(f"both, picture {example:g}", how, built_in=how == BUILT_IN)
    yield way("both, picture 1, mean not taken off", replace(BUILT_IN, more=1.0), "raw")


def mixtures(crowd: Crowd) -> Iterator[Way]:
    """Of a picture, and "a person in ..." another's trousers: how many look like both."""
    people = [p for p in crowd.rows if _first(crowd, p).looks["lower"] != "dress"]
    other = dict(zip(people, [*people[1:], *people[:1]], strict=True))

    def way(name: str, how: Strengths = BUILT_IN, of: str = "both", built_in: bool = False) -> Way:
        def asks(person: int) -> Iterator[Good]:
            if person not in other:
                return
            like, worn = _first(crowd, person), _first(crowd, other[person])
            row, own = crowd.rows[person][0], set(crowd.rows[person])
            wanted = Wanted(
                description="" if of == "picture" else f"a person in {worn.garment('lower')}",
                images=(crowd.picture(row),) if of in ("picture", "both") else (),
                more_like=(str(row),) if of == "raw" else (),
            )
            found = [r for r in crowd.found(wanted, how, TOP + len(own)) if r not in own][:TOP]
            wears = lambda s: s.wears("lower", worn)  # noqa: E731 - the three columns side by side
            yield _shares(crowd, found, _alike(like), wears, lambda s: _alike(like)(s) and wears(s))

        return Way(name=name, asks=asks, built_in=built_in)

    yield way("the sentence", of="sentence")
    yield way("the picture", of="picture")
    for example in (0.5, 1.0, 2.0):
        how = replace(BUILT_IN, example=example)
        yield way(f"both, picture {example:g}", how, built_in=how == BUILT_IN)
    yield way("both, picture 1, mean not taken off", replace(BUILT_IN, more=1.0), "raw")


def feedback(crowd: Crowd) -> Iterator[Way]:
    """R@1 and mAP of a caption before and after its first right and three wrong hits are marked.

    The marked ones are left out of every ranking.
    """

    def way(name: str, right: int, wrong: int, more: float, less: float) -> Way:
        how = replace(BUILT_IN, more=more, less=less, less_alone=less)

        def asks(person: int) -> Iterator[Good]:
            text, own = _quoted(_caption(crowd, person)), crowd.rows[person]
            before = crowd.found(Wanted(description=text), BUILT_IN)
            fits = [row for row in before if row in own][:1]
            misses = [row for row in before if row not in own][:3]
            marked = [tuple(map(str, side)) for side in (fits[:right], misses[:wrong])]
            wanted = Wanted(description=text, more_like=marked[0], less_like=marked[1])
            yield _by_identity(crowd, person, wanted, how, {*fits, *misses})

        alone = BUILT_IN.less if right else BUILT_IN.less_alone
        return Way(name=name, asks=asks, built_in=(more, less) == (BUILT_IN.more, alone))

    yield way("before", 0, 0, 0.0, 0.0)
    yield from (way(f"wrong {less:g}", 0, 3, BUILT_IN.more, less) for less in (0.1, 0.3))
    for more, less in ((1.0, 0.0), (1.0, 0.5), (2.0, 0.0), (2.0, 1.0), (2.0, 2.0)):
        yield way(f"right {more:g}" + (f", wrong {less:g}" if less else ""), 1, 3, more, less)


def _by_identity(
    crowd: Crowd,
    person: int,
    wanted: Wanted,
    how: Strengths = BUILT_IN,
    without: set[int] | None = None,
) -> Good:
    found = [row for row in crowd.found(wanted, how) if row not in (without or ())]
    return _precision(crowd, person, found)


def _precision(crowd: Crowd, person: int, found: Sequence[int]) -> Good:
    """Whether the first shows the person, and the average precision of a whole ranking."""
    right = np.isin(found, crowd.rows[person])
    precisions = right.cumsum() / np.arange(1, len(right) + 1)
    return [float(right[0]), float(precisions[right].mean())]


def _shares(crowd: Crowd, found: Sequence[int], *fits: Callable[[Shown], bool]) -> Good:
    return [sum(fit(crowd.pictures[row]) for row in found) / len(found) for fit in fits]


def _alike(like: Shown) -> Callable[[Shown], bool]:
    return lambda shown: shown.wears(like.top, like)


def _having(attribute: str, kind: str) -> Callable[[Shown], bool]:
    return lambda shown: shown.has(attribute, kind)


def _first(crowd: Crowd, person: int) -> Shown:
    return crowd.pictures[crowd.rows[person][0]]


def _outfit(like: Shown) -> str:
    who = "man" if like.looks["sex"] == "male" else "woman"
    return f"a {who} in a {like.garment(like.top)}"


def _caption(crowd: Crowd, person: int) -> str:
    return _first(crowd, person).captions[0].replace('"', "")


def _clauses(caption: str) -> list[str]:
    return [part for part in (part.strip(" .,;") for part in _CLAUSES.split(caption)) if part]


def _quoted(text: str) -> str:
    return f'"{text}"'
