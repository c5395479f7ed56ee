"""Sentences to token ids: byte-level BPE as CLIP reads it (Radford et al., ICML 2021).

The algorithm is CLIP's, the merges are a file: models trained from scratch use the small
`merges.txt` beside this module, learned from rendered people's captions. Id 0 is padding.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import ftfy
import regex
import torch
from jaxtyping import Int
from torch import Tensor

PADDING, MASK, START, END = range(4)
SPECIAL = 4
_WORDS = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
_HEADER = "#tipr merges 1"
OWN_MERGES = Path(__file__).with_name("merges.txt")


def words(text: str) -> list[str]:
    """Lower-case words, digits and runs of punctuation, with broken encodings repaired."""
    clean = text
    if not (text.isascii() and text.isprintable()) or "&" in text:  # nothing to repair otherwise
        clean = html.unescape(html.unescape(ftfy.fix_text(text)))
    return _WORDS.findall(clean.lower())


@cache
def _byte_symbols() -> tuple[str, ...]:
    """A printable symbol for each of the 256 bytes, so that merges are plain text."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


def _symbols(word: str) -> tuple[str, ...]:
    table = _byte_symbols()
    parts = [table[byte] for byte in word.encode()]
    return (*parts[:-1], parts[-1] + "</w>")


def _merged(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair and not out[-1].endswith("</w>"):
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


def learn_merges(captions: Iterable[str], count: int) -> list[tuple[str, str]]:
    """The `count` most useful merges of these captions (Sennrich et al., ACL 2016)."""
    frequency = Counter(word for caption in captions for word in words(caption))
    parts = {word: _symbols(word) for word in sorted(frequency)}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in parts.items():
            for pair in pairwise(symbols):
                pairs[pair] += frequency[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        parts = {word: _merged(symbols, best) for word, symbols in parts.items()}
    return merges


class Tokenizer:
    """Sentences in, rows of token ids out; every text can be read, none is refused."""

    def __init__(self, merges: Sequence[tuple[str, str]], length: int = 64) -> None:
        self.merges, self.length = tuple(merges), length
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        base = _byte_symbols()
        pieces = [*base, *(symbol + "</w>" for symbol in base), *("".join(m) for m in self.merges)]
        self._ids = {piece: SPECIAL + i for i, piece in enumerate(dict.fromkeys(pieces))}
        self._cache: dict[str, tuple[int, ...]] = {}

    @property
    def vocabulary(self) -> int:
        return SPECIAL + len(self._ids)

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "B L"]:
        """Ids with start and end, cut at `length`, padded with 0 to the longest of this batch."""
        return self.numbered(texts)[0]

    def numbered(self, texts: Sequence[str]) -> tuple[Int[Tensor, "B L"], Int[Tensor, "B L"]]:
        """The ids, and which word (as `words` counts, from 1) each is part of; 0 is none."""
        ids, numbers = [], []
        for text in texts:
            pieces = [(i, n) for n, w in enumerate(words(text), 1) for i in self._word(w)]
            pieces = pieces[: self.length - 2]
            ids.append([START, *(i for i, _ in pieces), END])
            numbers.append([0, *(n for _, n in pieces), 0])
        return _padded(ids), _padded(numbers)

    def encode(self, text: str) -> list[int]:
        return [i for word in words(text) for i in self._word(word)]

    def _word(self, word: str) -> tuple[int, ...]:
        if word not in self._cache:
            if len(self._cache) > 50_000:
                self._cache.clear()
            self._cache[word] = tuple(self._ids[piece] for piece in self._pieces(word))
        return self._cache[word]

    def _pieces(self, word: str) -> tuple[str, ...]:
        parts = _symbols(word)
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            parts = _merged(parts, best)
        return parts

    @classmethod
    def load(cls, path: Path, length: int = 64) -> Tokenizer:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or lines[0] != _HEADER:
            raise ValueError(f"{path} is no merges file (its first line should be {_HEADER!r})")
        merges = [tuple(line.split(" ")) for line in lines[1:] if line]
        if any(len(merge) != 2 for merge in merges):
            raise ValueError(f"{path} is damaged: a merge is two pieces with one space between")
        return cls([(m[0], m[1]) for m in merges], length)

    def save(self, path: Path) -> None:
        lines = [_HEADER, *(" ".join(merge) for merge in self.merges)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _padded(rows: Sequence[list[int]]) -> Int[Tensor, "B L"]:
    longest = max(map(len, rows), default=2)
    return torch.tensor([row + [PADDING] * (longest - len(row)) for row in rows])
