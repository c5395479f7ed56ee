"""How a query tells people and programs what it was understood as."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bag import Bag, every_set, picture

from tipr.gallery import MemoryStore, Store
from tipr.gallery.meaning import Wanted, compiled


@pytest.fixture
def bag() -> Bag:
    return Bag()


@pytest.fixture
def store(bag: Bag) -> MemoryStore:
    return every_set(bag)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(description="red coat ^2 AND backpack NOT hat OR blue dress"),
         "red coat (weight 2) and backpack, not hat; or: blue dress"),
        (Wanted(description="a man without a hat or a bag."), "a man, not a hat, not a bag"),
        (Wanted(description="no hat"), "anybody, not hat"),
        (Wanted(description="coat ^3"), "coat"),
        (Wanted(description="coat NOT hat ^3"), "coat, not hat (weight 3)"),
        (Wanted(description="coat", images=(picture(),), more_like=("hat", "bag"),
                less_like=("red",)), "coat; near 1 example; like 2 hits, unlike 1 hit"),
        (Wanted(images=(picture(), picture())), "near 2 examples"),
        (Wanted(less_like=("red",)), "unlike 1 hit"),
    ],
)  # fmt: skip
def test_the_query_is_told_in_words(wanted: Wanted, expected: str, bag: Bag, store: Store) -> None:
    assert compiled(wanted, bag, store).understood.words() == expected


def test_the_query_is_told_as_json_and_as_the_texts_that_are_read(bag: Bag, store: Store) -> None:
    wanted = Wanted(description="red AND coat NOT hat ^2 OR no hat", less_like=("hat",))
    understood = compiled(wanted, bag, store).understood
    assert understood.texts == ("red, coat", "hat")
    assert not understood.is_text
    assert compiled(Wanted(description="no hat"), bag, store).understood.is_text
    assert not compiled(Wanted(images=(picture(),)), bag, store).understood.is_text
    assert json.loads(json.dumps(understood.to_json())) == {
        "alternatives": [
            [{"text": "red", "weight": 1.0, "negated": False},
             {"text": "coat", "weight": 1.0, "negated": False},
             {"text": "hat", "weight": 2.0, "negated": True}],
            [{"text": "hat", "weight": 1.0, "negated": True}],
        ],
        "examples": 0, "more_like": [], "less_like": ["hat"],
    }  # fmt: skip


def test_understanding_a_query_needs_no_torch() -> None:
    check = "import sys, tipr.gallery.meaning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60).returncode == 0
