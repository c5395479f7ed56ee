"""WordPiece as BERT reads uncased text (Devlin et al., NAACL 2019; as released)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tipr.data.text import Specials, widest_gap

PADDING, UNKNOWN, START, END, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
LONGEST = 100  # characters of a word that is not unknown
_IDEOGRAPHS = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_UNSEEN = {"Cc", "Cf", "Co", "Cs"}  # the last two as in transformers; the release keeps them


class WordPieces:
    """BERT's uncased vocabulary: a list of pieces, `##` before those that go on within a word.

    No text reads as a special: `[SEP]` is two brackets and letters.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """Raises ValueError when it lacks a special, or is one of cased text."""
        self.vocabulary = tuple(vocabulary)
        self._numbers = {piece: i for i, piece in enumerate(self.vocabulary)}
        _check(self.vocabulary, self._numbers)
        self.size = len(self.vocabulary)
        self._unknown = self._numbers[UNKNOWN]
        mask, start, end = (self._numbers[name] for name in (MASK, START, END))
        self.specials = Specials(padding=0, mask=mask, start=start, end=end)
        self.word_ids = widest_gap(self.size, {0, mask, start, end, self._unknown})

    def words(self, text: str) -> list[str]:
        """What whitespace and punctuation part, in lower case and without accents."""
        spaced = "".join(map(_spaced, text)).lower()
        bare = map(_bare, unicodedata.normalize("NFD", spaced))
        return "".join(bare).split()

    def ids(self, word: str) -> tuple[int, ...]:
        """The longest piece that the rest of the word begins with, again and again."""
        found: list[int] = []
        begin = 0
        while begin < len(word) <= LONGEST:
            mark = "##" if begin else ""
            ends = range(len(word), begin, -1)
            end = next((end for end in ends if mark + word[begin:end] in self._numbers), None)
            if end is None:
                return (self._unknown,)
            found.append(self._numbers[mark + word[begin:end]])
            begin = end
        return tuple(found) or (self._unknown,)

    def save(self, folder: Path) -> None:
        text = "\n".join(self.vocabulary) + "\n"
        (folder / "vocab.txt").write_text(text, encoding="utf-8", newline="\n")

    def digest(self) -> bytes:
        return "\n".join(["wordpiece", *self.vocabulary]).encode()


def _check(vocabulary: Sequence[str], numbers: dict[str, int]) -> None:
    lacking = [name for name in (PADDING, UNKNOWN, START, END, MASK) if name not in numbers]
    if lacking:
        raise ValueError(f"BERT's vocabulary has {', '.join(lacking)} and this one has not")
    if numbers[PADDING] != 0:
        raise ValueError(f"{PADDING} is entry {numbers[PADDING]}, but rows are filled up with 0; "
                         f"a vocabulary whose first entry is {PADDING} is needed")  # fmt: skip
    if len(numbers) < len(vocabulary):
        twice = next(p for i, p in enumerate(vocabulary) if numbers[p] != i)
        raise ValueError(f"{twice!r} stands in it twice")
    cased = next((p for p in vocabulary if _is_cased(p)), None)
    if cased is not None:
        raise ValueError(f"{cased!r} is in capitals, but only uncased vocabularies are read "
                         "(bert-base-uncased)")  # fmt: skip


def _is_cased(piece: str) -> bool:
    return not piece.startswith("[") and any("A" <= letter <= "Z" for letter in piece)


@lru_cache(1 << 14)
def _spaced(letter: str) -> str:
    """What is left of a character before letters are compared."""
    if letter in "\t\n\r":
        return " "
    if letter == "\ufffd" or unicodedata.category(letter) in _UNSEEN:
        return ""
    return f" {letter} " if any(a <= ord(letter) <= b for a, b in _IDEOGRAPHS) else letter


@lru_cache(1 << 14)
def _bare(letter: str) -> str:
    """No accents, and space around punctuation, which is all of ASCII but letters and digits."""
    kind = unicodedata.category(letter)
    if kind == "Mn":
        return ""
    symbol = letter.isascii() and letter.isprintable() and not letter.isalnum() and letter != " "
    return f" {letter} " if symbol or kind.startswith("P") else letter
