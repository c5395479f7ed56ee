"""Known vocabularies read as released: CLIP's, merge by merge, and what BERT takes for words."""

from __future__ import annotations

import gzip
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.bpe import clip_ids, pieces_of, vocabulary

from tipr.data.bpe import ClipPairs
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import CLIP_VOCABULARY, read_tokenizer
from tipr.data.wordpiece import WordPieces

BERT = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "co", "##at", "'"]
HARD = [
    "Caf\u00e9 na\u00efve fa\u00e7ade \u00c5NGSTR\u00d6M e\u0301le\u0300ve \u0130stanbul \u1e9e",
    "\u5979\u7a7f\u7740\u7ea2\u8272\u5916\u5957\u3002 \u8d64\u3044\u670d\u3092 \ube68\uac04",
    "\U0001f9d1\U0001f3fd\u200d\U0001f9b0 wears \U0001f45f\U0001f45f and \u2764\ufe0f",
    "Tom &amp; Jerry&#39;s &lt;red&gt; &amp;amp; &nbsp; coat &#x1F600; &bogus;",
    " ".join(f"word{i}, red coat" for i in range(100)),
    "<|startoftext|>a red coat<|endoftext|> <|mask|> [SEP] [MASK] [PAD] <|ENDOFTEXT|>",
    "It's  the man'S\u2019s \u201cbag\u201d",
    "\n\t won\u00e2\u20ac\u2122t 1234 \u0663\u00bd \u2014 !!!...!?",
    "'\u017ftrong \u2126 \u212a \ufb01 \u03a3\u0391\u03a3 \ufeff \x85 \x1c \u2028 a\x00b \ud83d",
    "",
    " \n ",
    "jekyll and hyde",
]  # fmt: skip


@cache
def clip() -> Tokenizer:
    return read_tokenizer("clip", 77)


@cache
def released() -> tuple[dict, dict]:
    """The ranks and ids of OpenAI's file, read anew."""
    lines = gzip.decompress(CLIP_VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    merges = [(a, b) for a, b in map(str.split, lines[1 : 49152 - 256 - 2 + 1])]
    return {pair: rank for rank, pair in enumerate(merges)}, vocabulary(merges)


def test_the_vocabulary_of_clip_gives_its_known_ids() -> None:
    assert clip()(["a photo of a cat"]).tolist() == [[49406, 320, 1125, 539, 320, 2368, 49407]]
    assert clip().encode("hello world") == [3306, 1002]
    assert clip().vocabulary == 49408
    signs = clip().specials
    assert (signs.padding, signs.mask, signs.start, signs.end) == (0, 49405, 49406, 49407)
    assert clip().word_ids == range(1, 49405)


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
def test_hard_texts_get_the_ids_of_the_release(text: str) -> None:
    assert clip()([text])[0].tolist() == clip_ids(text, *released())


@given(st.text(max_size=60) | st.text("aAsS'\u017f<|>&;#39 \u00e9\u0301\n", max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_the_ids_of_the_release(text: str) -> None:
    assert clip()([text])[0].tolist() == clip_ids(text, *released())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "a</w>"])),
                unique=True), st.text("abc ", max_size=20))  # fmt: skip
def test_any_merges_are_applied_as_the_release_does(merges: list, text: str) -> None:
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    found = Tokenizer(ClipPairs(merges), 77)([text])[0].tolist()
    assert found == clip_ids(text, ranks, vocabulary(merges))


@st.composite
def rankings(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges of merges, in any order: also one before those that make its pieces."""
    pieces, merges = ["a", "b", "a</w>", "b</w>"], []
    for _ in range(draw(st.integers(1, 20))):
        first = draw(st.sampled_from([p for p in pieces if not p.endswith("</w>")]))
        merges.append((first, draw(st.sampled_from(pieces))))
        pieces.append("".join(merges[-1]))
    return draw(st.permutations(list(dict.fromkeys(merges))))


@given(rankings(), st.text("ab", min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_merges_of_any_rank_are_applied_as_the_release_does(merges: list, word: str) -> None:
    ranks, ids = {pair: rank for rank, pair in enumerate(merges)}, vocabulary(merges)
    assert ClipPairs(merges).ids(word) == tuple(ids[piece] for piece in pieces_of(word, ranks))


class Counted(dict):
    """Ranks that count how often they are asked."""

    asked = 0

    def get(self, key, default=None):
        self.asked += 1
        return super().get(key, default)


def test_a_long_word_costs_little_more_than_many_short_ones(monkeypatch) -> None:
    word = "".join(Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=2000))
    ranks = Counted(released()[0])
    pieces = ClipPairs(list(ranks))
    monkeypatch.setattr(pieces, "_rank", ranks)
    ids = released()[1]
    assert pieces.ids(word) == tuple(ids[piece] for piece in pieces_of(word, released()[0]))
    assert 2000 < ranks.asked < 10 * 2000


def test_strings_of_special_tokens_are_words() -> None:
    signs = clip().specials
    ids = clip().encode("<|startoftext|> <|endoftext|> <|mask|>")
    assert not {signs.mask, signs.start, signs.end} & set(ids)
    bert = WordPieces(BERT)
    assert bert.words("[SEP] [MASK]") == ["[", "sep", "]", "[", "mask", "]"]


def test_bert_tells_words_apart_at_space_and_punctuation() -> None:
    words = WordPieces(BERT).words
    assert words("A man's RED t-shirt, 20 EUR$.") == [
        "a", "man", "'", "s", "red", "t", "-", "shirt", ",", "20", "eur", "$", "."
    ]  # fmt: skip
    assert words("Caf\u00e9 \u5979\u7a7f red\u00a0\u2028coat\x00s \ufffd") == [
        "cafe", "\u5979", "\u7a7f", "red", "coats"
    ]  # fmt: skip
    assert words("&amp;") == ["&", "amp", ";"]


def test_bert_reads_the_longest_pieces_and_knows_what_it_does_not_know() -> None:
    pieces = WordPieces([*BERT, "c", "##o", "##a", "coa"])
    assert pieces.ids("coat") == (2,)  # the longest is taken, though co and at would do
    assert WordPieces(BERT).ids("coat") == (8, 9)
    assert WordPieces(BERT).ids("coats") == (2,)
    long = WordPieces([*BERT, "##a"])
    assert long.ids("a" * 100) == (6, *[11] * 99)
    assert long.ids("a" * 101) == (2,)
    assert WordPieces(BERT).word_ids == range(6, 11)
