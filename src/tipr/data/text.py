"""Sentences to rows of token ids, whatever the vocabulary.

What differs between vocabularies is a `Pieces`: own and CLIP's in `bpe`, BERT's in `wordpiece`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import ftfy
import regex
import torch
from jaxtyping import Int
from torch import Tensor

OWN_MERGES = Path(__file__).with_name("merges.txt")
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"  # as CLIP splits
_WORDS = regex.compile(WORDS)
_CACHED = 50_000  # words


def words(text: str) -> list[str]:
    """Lower-case words, digits and runs of punctuation, with broken encodings repaired."""
    return _WORDS.findall(cleaned(text))


def cleaned(text: str) -> str:
    """Lower case, with broken encodings and HTML entities repaired, as CLIP reads it."""
    if text.isascii() and text.isprintable() and "&" not in text:  # nothing to repair
        return text.lower()
    return html.unescape(html.unescape(ftfy.fix_text(text))).lower()


@dataclass(frozen=True)
class Specials:
    """The ids that no word has."""

    padding: int = 0
    mask: int = 1
    start: int = 2
    end: int = 3


class Pieces(Protocol):
    """A vocabulary: what its words are, and the ids of the pieces of each."""

    size: int
    specials: Specials
    word_ids: range  # ids that are pieces of words

    def words(self, text: str) -> list[str]:
        """The words of a text in order, as this vocabulary tells them apart."""
        ...

    def ids(self, word: str) -> tuple[int, ...]:
        """The pieces of one such word; every word has at least one."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the vocabulary's files into a folder, for `read_tokenizer` to find."""
        ...

    def digest(self) -> bytes:
        """Names the vocabulary: equal exactly when all texts get the same ids."""
        ...


class Tokenizer:
    """Sentences in, rows of token ids out; every text can be read, none is refused."""

    def __init__(self, pieces: Pieces, length: int = 64) -> None:
        if length < 3:
            raise ValueError(f"a text of {length} tokens has no room for a word; allow at least 3")
        self.pieces, self.length = pieces, length
        self._cache: dict[str, tuple[int, ...]] = {}

    @property
    def vocabulary(self) -> int:
        """How many ids there are, the specials among them."""
        return self.pieces.size

    @property
    def specials(self) -> Specials:
        return self.pieces.specials

    @property
    def word_ids(self) -> range:
        """The ids that are pieces of words."""
        return self.pieces.word_ids

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "B L"]:
        """Ids with start and end, cut at `length`, padded with 0 to the longest of this batch."""
        return self.numbered(texts)[0]

    def numbered(self, texts: Sequence[str]) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
        """The ids, and which word (as `words` counts, from 1) each is part of; 0 is none."""
        ids, numbers = [], []
        start, end = self.specials.start, self.specials.end
        for text in texts:
            pieces = [(i, n) for n, w in enumerate(self.words(text), 1) for i in self._ids(w)]
            pieces = pieces[: self.length - 2]
            ids.append([start, *(i for i, _ in pieces), end])
            numbers.append([0, *(n for _, n in pieces), 0])
        return _padded(ids, self.specials.padding), _padded(numbers, 0)

    def encode(self, text: str) -> list[int]:
        """The ids of the whole text, without start and end."""
        return [i for word in self.words(text) for i in self._ids(word)]

    def words(self, text: str) -> list[str]:
        """The words of a text, as `numbered` counts them."""
        return self.pieces.words(text)

    def unread(self, text: str) -> str | None:
        """The first word that `length` cuts off, wholly or in part; None when all is read."""
        room = self.length - 2
        for word in self.words(text):
            room -= len(self._ids(word))
            if room < 0:
                return word
        return None

    def save(self, folder: Path) -> None:
        """Writes the vocabulary's files; the length is not among them."""
        self.pieces.save(folder)

    def _ids(self, word: str) -> tuple[int, ...]:
        found = self._cache.get(word)
        if found is None:
            if len(self._cache) > _CACHED:
                self._cache.clear()
            found = self._cache[word] = self.pieces.ids(word)
        return found


def widest_gap(size: int, taken: Iterable[int]) -> range:
    """The longest run of ids below `size` that holds none of those taken."""

    def gaps() -> Iterator[range]:
        for before, after in pairwise([-1, *sorted(taken), size]):
            yield range(before + 1, after)

    return max(gaps(), key=len)


def _padded(rows: Sequence[list[int]], padding: int) -> Int[Tensor, "B L"]:
    longest = max(map(len, rows), default=2)
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
