from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("textblob", reason="needs tipr[nlp]")

from tipr.data.batching import PairBatcher
from tipr.data.images import ImageTransform
from tipr.data.pairs import Pair
from tipr.data.pruning import Pruning, pruned
from tipr.data.tagging import Tag
from tipr.data.text import words
from tipr.data.tokenizers import read_tokenizer

CAPTION = "The man is wearing a navy t-shirt and carrying a khaki bag on his left shoulder."
KEPT = "man navy t-shirt khaki bag his left shoulder"


def test_nouns_adjectives_and_pronouns_stay_in_order() -> None:
    assert pruned(CAPTION) == KEPT


@pytest.mark.parametrize("caption", ["", "...", "is wearing"])
def test_a_caption_of_which_nothing_would_stay_stays(caption: str) -> None:
    assert pruned(caption) == caption


@given(st.lists(st.sampled_from(words(CAPTION))))
def test_pruning_invents_no_words(chosen: list[str]) -> None:
    caption = " ".join(chosen)
    left = iter(words(caption))
    assert all(word in left for word in words(pruned(caption)))


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    Image.new("RGB", (8, 16)).save(tmp_path / "picture.png")
    return [Pair(tmp_path / "picture.png", CAPTION, person, person) for person in range(200)]


@pytest.fixture
def plain() -> PairBatcher:
    return PairBatcher(ImageTransform((16, 8)), read_tokenizer("own", 64))


def lengths(plain: PairBatcher, pruning: Pruning, pairs: list[Pair]) -> list[int]:
    batcher = pickle.loads(pickle.dumps(pruning.build(plain, pairs)))
    return (batcher(pairs).tokens != 0).sum(dim=1).tolist()


def test_about_the_given_share_is_pruned(plain: PairBatcher, pairs: list[Pair]) -> None:
    torch.manual_seed(0)
    whole, short = (int((plain.tokenizer([c]) != 0).sum()) for c in (CAPTION, KEPT))
    found = lengths(plain, Pruning(rate=0.25), pairs)
    assert set(found) == {whole, short}
    assert 0.15 < found.count(short) / len(pairs) < 0.35


def test_at_no_rate_batches_are_plain(plain: PairBatcher, pairs: list[Pair]) -> None:
    batch = Pruning(rate=0.0).build(plain, pairs)(pairs[:3])
    assert batch.tokens.equal(plain(pairs[:3]).tokens)
    assert batch.tags is None


def test_tags_are_those_of_the_pruned_caption(plain: PairBatcher, pairs: list[Pair]) -> None:
    batch = Pruning(rate=1.0, tags=True).build(plain, pairs)(pairs[:2])
    assert batch.tags[batch.words > 0].ne(Tag.OTHER).all()
    assert batch.tags[batch.words == 0].eq(Tag.OTHER).all()


def test_a_share_is_a_share() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Pruning(rate=20)
