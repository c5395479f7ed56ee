from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tipr.data.bpe import BytePairs
from tipr.data.clauses import chunks_that_fit, cut_word
from tipr.data.text import Tokenizer

BYTES = Tokenizer(BytePairs([]), length=20)  # a token for every letter


def test_a_short_text_stays_whole() -> None:
    assert chunks_that_fit(BYTES, "a red, red coat") == ["a red, red coat"]


def test_clauses_are_joined_while_they_fit() -> None:
    told = chunks_that_fit(BYTES, "a man, a hat, a coat, blue shoes; a bag")
    assert told == ["a man, a hat, a coat,", "blue shoes; a bag"]


def test_a_clause_too_long_by_itself_is_parted_between_words() -> None:
    told = chunks_that_fit(BYTES, "a yellow umbrella in the left hand of somebody")
    assert told == ["a yellow umbrella in", "the left hand of", "somebody"]


@given(st.text(alphabet="ab ,.;!?\n\u00e9", max_size=120))
def test_no_word_is_lost_and_every_part_fits(text: str) -> None:
    chunks = chunks_that_fit(BYTES, text)
    assert "".join("".join(chunks).split()) == "".join(text.split())
    too_long = any(BYTES.unread(word) is not None for word in BYTES.words(text))
    assert (cut_word(BYTES, text) is not None) == too_long
    assert too_long or all(BYTES.unread(chunk) is None for chunk in chunks)


def test_clauses_end_as_chinese_writes_them_too() -> None:
    text = "\u7ea2\u8863\uff0c\u84dd\u88e4\u3002"  # red coat, blue trousers
    assert chunks_that_fit(BYTES, text * 2) == [f"{text[:3]} {text[3:]}"] * 2


def test_words_that_no_blank_parts_are_parted_too() -> None:
    told = chunks_that_fit(BYTES, "red-coat/blue-hat/green-bag")
    assert len(told) > 1 and cut_word(BYTES, "red-coat/blue-hat/green-bag") is None


def test_only_a_word_too_long_by_itself_is_cut_and_it_is_named() -> None:
    long = "abcdefghijklmnopqrstuvwxyz"
    assert cut_word(BYTES, f"a coat, {long}, a hat") == long
