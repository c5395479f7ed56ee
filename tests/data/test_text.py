from __future__ import annotations

import html
from pathlib import Path

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.text import END, OWN_MERGES, PADDING, START, Tokenizer, learn_merges, words

CAPTIONS = ["a man in a red coat", "a woman in a red dress", "red shoes and a red hat"]


def test_merges_are_learned_from_the_most_frequent_pairs() -> None:
    tokenizer = Tokenizer(learn_merges(CAPTIONS, 100))
    assert len(tokenizer.encode("red")) == 1
    assert len(tokenizer.encode("violet")) > 1


def test_a_frequent_pair_is_merged_first() -> None:
    assert learn_merges(["aaab aaab"], 1) == [("a", "a")]


def test_rows_start_end_and_are_padded() -> None:
    rows = Tokenizer(learn_merges(CAPTIONS, 100))(["red", "a red coat"])
    assert rows.shape == (2, 5)
    assert rows[:, 0].tolist() == [START, START]
    assert rows[0].tolist()[2:] == [END, PADDING, PADDING]


def test_long_sentences_are_cut_and_still_end() -> None:
    rows = Tokenizer([], length=8)(["a very long sentence about a coat"])
    assert rows.shape == (1, 8)
    assert rows[0, -1] == END


def test_case_entities_and_broken_encodings_do_not_matter() -> None:
    assert words("A man&#39;s COAT") == ["a", "man", "'s", "coat"]
    assert words("cafÃ©") == ["café"]


@given(st.text(max_size=40))
def test_every_text_can_be_read(text: str) -> None:
    tokenizer = Tokenizer(learn_merges(CAPTIONS, 20))
    assert all(0 < i < tokenizer.vocabulary for i in tokenizer.encode(text))


def test_a_saved_tokenizer_reads_alike(tmp_path: Path) -> None:
    tokenizer = Tokenizer(learn_merges(CAPTIONS, 50), length=20)
    tokenizer.save(tmp_path / "merges.txt")
    again = Tokenizer.load(tmp_path / "merges.txt", 20)
    assert again.merges == tokenizer.merges
    assert again(CAPTIONS).equal(tokenizer(CAPTIONS))


def test_a_damaged_merges_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("#tipr merges 1\nonly-one-piece\n")
    with pytest.raises(ValueError, match="damaged"):
        Tokenizer.load(tmp_path / "merges.txt")


def test_the_shipped_merges_know_clothes() -> None:
    tokenizer = Tokenizer.load(OWN_MERGES)
    for word in ("red", "jacket", "trousers", "backpack", "sneakers", "wearing"):
        assert len(tokenizer.encode(word)) == 1
    assert tokenizer.vocabulary <= 2048


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_plain_text_needs_no_repair(text: str) -> None:
    repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
    assert words(text) == words(repaired)
