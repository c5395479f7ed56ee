from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rectangles import draw

from tipr.data.augment import PublishedAugmentation
from tipr.data.batching import PairBatcher
from tipr.data.bpe import BytePairs
from tipr.data.images import ImageTransform
from tipr.data.levels import Levels, attributes, clause, noun_phrases, phrase, sentence
from tipr.data.pairs import Pair
from tipr.data.text import Tokenizer, words

RED = (
    "The man is wearing a red shirt, blue jeans and white shoes. "
    "He carries a black backpack on his back."
)
CAPTIONS = st.one_of(
    st.text(alphabet="abc ,.-'[]", max_size=40),
    st.lists(st.sampled_from([*words(RED), "no", "without", "and", "-", "green"])).map(" ".join),
)


def _drawn(level, caption: str, times: int = 60) -> set[str]:
    torch.manual_seed(0)
    return {level(caption) for _ in range(times)}


def test_a_phrase_is_the_longest_clause_or_the_rest_of_its_sentence() -> None:
    assert _drawn(phrase, RED) == {
        "The man is wearing a red shirt",
        "blue jeans and white shoes",
        "He carries a black backpack on his back",
    }
    assert _drawn(phrase, "[a long first one, a hat, a bag.]") == {
        "a long first one",
        "a hat, a bag",
    }


def test_of_two_longest_clauses_the_first_is_taken_out() -> None:
    assert _drawn(phrase, "red coats, tan boots, a bag") == {"red coats", "tan boots, a bag"}


def test_short_parts_do_not_count_and_no_caption_is_too_short() -> None:
    assert _drawn(phrase, "a tall man, a hat") == {"a tall man"}
    assert phrase("man.") == "man." and clause("man, hat") == "man, hat"


def test_a_clause_stands_between_commas() -> None:
    assert _drawn(clause, "a man in red, blue jeans, hat, and a bag.") == {
        "a man in red", "blue jeans", "and a bag",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (RED, ["man", "red shirt", "blue jeans", "white shoes", "black backpack", "back"]),
        ("she wears red and white shoes", ["red and white shoes"]),
        ("shoes in red, white and dark blue", ["shoes", "red, white and dark blue"]),
        ("a shirt and shoes", ["shirt", "shoes"]),
        ("a green button-up shirt", ["green button-up shirt"]),
        ("a man without a hat, walking slowly", ["man"]),
        ("he has no bag and doesn't wear a hat", ["no bag"]),
        ("long curly hair tied up, a bag on her arm", ["long curly hair", "bag", "arm"]),
        ("a hat. a hat", ["hat"]),
        ("is he on it?", []),
    ],
)
def test_noun_phrases_stay_whole(caption: str, expected: list[str]) -> None:
    assert noun_phrases(caption) == expected


def test_attributes_are_some_of_the_noun_phrases() -> None:
    phrases = set(noun_phrases(RED))
    drawn = _drawn(attributes, RED, 200)
    assert all(set(text.split(", ")) <= phrases for text in drawn)
    assert {len(text.split(", ")) for text in drawn} == set(range(1, 7))
    assert attributes("is he on it, really?") in {"is he on it", "really?"}


@given(CAPTIONS)
def test_a_level_says_nothing_that_the_caption_does_not(caption: str) -> None:
    for level in (sentence, phrase, clause, attributes):
        told = level(caption)
        assert bool(told) == bool(caption)
        assert _spelled(told) <= _spelled(caption)


def _spelled(text: str) -> set[str]:
    return {word for word in words(text) if word[0].isalnum()}


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, colour in zip(paths, ("red", "blue"), strict=True):
        draw(colour, "white").save(path)
    return [Pair(path, RED, i, 10 + i, 20 + i) for i, path in enumerate(paths)]


def _batcher() -> PairBatcher:
    return PairBatcher(
        ImageTransform((64, 32)), Tokenizer(BytePairs([]), 200), PublishedAugmentation()
    )


def test_levels_are_blocks_of_rows_each_with_its_own_view(pairs) -> None:
    torch.manual_seed(0)
    batch = Levels().build(_batcher(), pairs)(pairs)
    assert len(batch) == 6 and batch.tokens.shape[0] == 6
    assert batch.person_ids.tolist() == [0, 1] * 3
    assert batch.caption_ids.tolist() == [20, 21] * 3
    word, phrases, whole = batch.images.chunk(3)
    assert not torch.equal(word, phrases) and not torch.equal(phrases, whole)
    lengths = (batch.tokens != 0).sum(dim=1)
    assert (lengths[4:] > lengths[2:4]).all() and lengths[4] == lengths[5]


def test_the_sentence_alone_is_the_plain_batch(pairs) -> None:
    torch.manual_seed(0)
    plain = _batcher()(pairs)
    torch.manual_seed(0)
    alone = Levels(levels=("sentence",)).build(_batcher(), pairs)(pairs)
    assert torch.equal(plain.images, alone.images) and torch.equal(plain.tokens, alone.tokens)


def test_the_word_level_may_be_a_clause(pairs) -> None:
    torch.manual_seed(0)
    levels = Levels(levels=("word",), word="clause")
    batch = levels.build(_batcher(), pairs)(pairs * 8)
    clauses = _batcher().tokenizer([part.strip(" .") for part in RED.split(",")])
    lengths = set((clauses != 0).sum(dim=1).tolist())
    assert set((batch.tokens != 0).sum(dim=1).tolist()) == lengths


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ValueError, match="word, phrase, sentence"):
        Levels(levels=("letter",))  # ty: ignore[invalid-argument-type]
    with pytest.raises(ValueError, match="word, phrase, sentence"):
        Levels(levels=())
    with pytest.raises(ValueError, match="phrases, clause"):
        Levels(word="noun")  # ty: ignore[invalid-argument-type]
