"""The people who describe: each has favourite words, a dialect, and habits of their own.

A dataset has 120 of them. The captions of one cluster by their words, as real captions do, and
captions of the last twenty can be kept out of training to see whether a model learnt a language
or a handful of writers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tipr.data.synthetic.lexicon import AMERICAN, BRITISH
from tipr.data.synthetic.rng import Rng

ANNOTATORS = 120
HELD_OUT = 20
FAVOURITE = 0.5
DIALECT = 0.85


@dataclass(frozen=True)
class Annotator:
    """What one writer always does the same way; chances are per caption."""

    seed: int
    number: int
    british: bool
    order: str  # top, salient, bottom
    says_sex: bool  # or writes "a person" throughout
    they: bool  # of such a person: "they" rather than "the person"
    definite: bool  # "The man ..." rather than "A man ..."
    serial_comma: bool
    typos: float

    def favourite(self, concept: str, options: Sequence[str]) -> str:
        return Rng(self.seed, "annotator", self.number, "word", concept).pick(options)


@lru_cache(maxsize=4 * ANNOTATORS)
def annotator(seed: int, number: int) -> Annotator:
    """Writer `number` of the dataset with this seed."""
    habits = Rng(seed, "annotator", number)
    return Annotator(
        seed=seed,
        number=number,
        british=habits.chance(0.4),
        order=habits.weighted([("top", 0.55), ("salient", 0.33), ("bottom", 0.12)]),
        says_sex=habits.chance(0.93),
        they=habits.chance(0.5),
        definite=habits.chance(0.45),
        serial_comma=habits.chance(0.7),
        typos=0.03 if habits.chance(0.25) else 0.0,
    )


@lru_cache(maxsize=4096)
def in_dialect(options: tuple[str, ...], british: bool) -> tuple[str, ...]:
    """The options without words of the other side of the ocean, unless none is left."""
    foreign = AMERICAN if british else BRITISH
    kept = tuple(
        option for option in options if foreign.isdisjoint(option.replace("|", " ").split())
    )
    return kept or options


@dataclass(frozen=True)
class Voice:
    """An annotator at work on one caption."""

    annotator: Annotator
    rng: Rng

    def word(self, concept: str, options: Sequence[str]) -> str:
        """One of the options: often the writer's favourite for the concept, in their dialect."""
        options = tuple(options)
        if self.rng.chance(DIALECT):
            options = in_dialect(options, self.annotator.british)
        if self.rng.chance(FAVOURITE):
            return self.annotator.favourite(concept, options)
        return self.rng.pick(options)
