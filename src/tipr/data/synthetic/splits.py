"""Which families are for training and which for testing: 70, 10 and 20 % of them.

Nobody is in two splits, and a person's near-duplicates are in theirs. Two of the eight cameras
and twenty of the annotators appear in the test split only.
"""

from __future__ import annotations

from collections.abc import Iterable

from tipr.data.synthetic.annotators import ANNOTATORS, HELD_OUT
from tipr.data.synthetic.rng import Rng

SPLITS = ("train", "val", "test")
HELD_OUT_CAMERAS = 2


def split_families(families: Iterable[int], seed: int) -> dict[int, str]:
    """The split of each family; with three families or more no split is empty."""
    order = Rng(seed, "splits").shuffled(sorted(set(families)))
    test = max(1, round(0.2 * len(order)))
    val = max(1, round(0.1 * len(order)))
    names = ["test"] * test + ["val"] * val + ["train"] * len(order)
    return dict(zip(order, names, strict=False))


def cameras_of(split: str, cameras: int) -> int:
    """How many of the cameras, counted from the first, take pictures for this split."""
    return cameras if split == "test" else cameras - HELD_OUT_CAMERAS


def annotators_of(split: str) -> int:
    """How many of the annotators, counted from the first, write for this split."""
    return ANNOTATORS if split == "test" else ANNOTATORS - HELD_OUT
