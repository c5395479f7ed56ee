"""Byte-level BPE as CLIP reads it (Radford et al., ICML 2021), over merges learned or released.

Models trained from scratch use the small `merges.txt` beside this module, learned from rendered
people's captions; CLIP's own merges lie in `bpe_simple_vocab_16e6.txt.gz`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path

import regex

from tipr.data.text import WORDS, Specials, cleaned, widest_gap, words

Merge = tuple[str, str]
HEADER = "#tipr merges 1"
CLIP_HEADER = "#version: 0.2"
START, END, MASK = "<|startoftext|>", "<|endoftext|>", "<|mask|>"
_CLIP_WORDS = regex.compile(WORDS, regex.IGNORECASE)  # tells "'s" with a long s too, as released


class BytePairs:
    """The own layout of ids: four specials, the bytes, the bytes that end a word, the merges."""

    def __init__(self, merges: Sequence[Merge]) -> None:
        self.merges = tuple(merges)
        self.specials = Specials()
        self._rank = _ranks(self.merges)
        first = self.specials.end + 1
        pieces = dict.fromkeys(_pieces(_byte_symbols(), self.merges))
        self._ids = {piece: i for i, piece in enumerate(pieces, first)}
        self.size = first + len(self._ids)
        self.word_ids = range(first, self.size)

    def words(self, text: str) -> list[str]:
        return words(text)

    def ids(self, word: str) -> tuple[int, ...]:
        return tuple(self._ids[piece] for piece in _parted(word, self._rank))

    def save(self, folder: Path) -> None:
        write_merges(folder / "merges.txt", self.merges, HEADER)

    def digest(self) -> bytes:
        return "\n".join(map(" ".join, self.merges)).encode()


class ClipPairs:
    """CLIP's ids: the bytes, the bytes that end a word, the merges, then start and end.

    No text reads as start or end: `<|endoftext|>` is punctuation and letters, where the release
    takes it for the special. What masks a word is the last id before them, `jekyll` in the full
    vocabulary (as IRRA, Jiang & Ye, CVPR 2023), unless `vocabulary` has a `<|mask|>`.
    """

    def __init__(
        self, merges: Sequence[Merge], vocabulary: Mapping[str, int] | None = None
    ) -> None:
        """`vocabulary` gives the id of every piece where they are not in CLIP's order.

        Raises:
            ValueError: the vocabulary lacks a piece that words are read in, or start or end.
        """
        self.merges = tuple(merges)
        self.vocabulary = dict(_native(self.merges) if vocabulary is None else vocabulary)
        _check(self.vocabulary, self.merges)
        self._rank = _ranks(self.merges)
        self.size = max(self.vocabulary.values()) + 1
        start, end = self.vocabulary[START], self.vocabulary[END]
        last = max(i for i in self.vocabulary.values() if i not in (start, end))
        mask = self.vocabulary.get(MASK, last)
        self.specials = Specials(padding=0, mask=mask, start=start, end=end)
        self.word_ids = widest_gap(self.size, {0, mask, start, end})

    def words(self, text: str) -> list[str]:
        return _CLIP_WORDS.findall(cleaned(text))

    def ids(self, word: str) -> tuple[int, ...]:
        return tuple(self.vocabulary[piece] for piece in _parted(word, self._rank))

    def save(self, folder: Path) -> None:
        """In Hugging Face's format."""
        write_merges(folder / "merges.txt", self.merges, CLIP_HEADER)
        text = json.dumps(self.vocabulary, ensure_ascii=False) + "\n"
        (folder / "vocab.json").write_text(text, encoding="utf-8", newline="\n")

    def digest(self) -> bytes:
        numbered = sorted((number, piece) for piece, number in self.vocabulary.items())
        pieces = (f"{number} {piece}" for number, piece in numbered)
        return "\n".join(["clip", *map(" ".join, self.merges), *pieces]).encode()


def write_merges(path: Path, merges: Iterable[Merge], header: str = HEADER) -> None:
    """One merge a line under a header that names the format."""
    lines = [header, *map(" ".join, merges)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def learn_merges(captions: Iterable[str], count: int) -> list[Merge]:
    """The `count` most useful merges of these captions (Sennrich et al., ACL 2016)."""
    frequency = Counter(word for caption in captions for word in words(caption))
    parts = {word: _symbols(word) for word in sorted(frequency)}
    merges: list[Merge] = []
    while len(merges) < count:
        pairs: Counter[Merge] = Counter()
        for word, symbols in parts.items():
            for pair in pairwise(symbols):
                pairs[pair] += frequency[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        parts = {word: _merged(symbols, best) for word, symbols in parts.items()}
    return merges


@cache
def _byte_symbols() -> tuple[str, ...]:
    """A printable symbol for each of the 256 bytes, so that merges are plain text."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


def _pieces(symbols: Iterable[str], merges: Iterable[Merge]) -> list[str]:
    """All pieces of words: the bytes in this order, the bytes that end a word, the merges."""
    symbols = list(symbols)
    return [*symbols, *(symbol + "</w>" for symbol in symbols), *map("".join, merges)]


def _native(merges: Iterable[Merge]) -> dict[str, int]:
    """As released: the bytes in the order of their symbols, start and end last."""
    pieces = [*_pieces(sorted(_byte_symbols()), merges), START, END]
    return {piece: i for i, piece in enumerate(pieces)}


def _check(vocabulary: Mapping[str, int], merges: Iterable[Merge]) -> None:
    needed = [START, END, *_pieces(_byte_symbols(), merges)]
    lacking = next((piece for piece in needed if piece not in vocabulary), None)
    if lacking is not None:
        raise ValueError(f"CLIP's vocabulary has a piece {lacking!r} and this one has not (files "
                         "of GPT-2 and RoBERTa have the same names, but are not read)")  # fmt: skip
    if 0 in (vocabulary[START], vocabulary[END]):
        raise ValueError("id 0 fills rows up, so that start and end need other ids")


def _ranks(merges: Iterable[Merge]) -> dict[Merge, int]:
    ranks: dict[Merge, int] = {}
    for rank, pair in enumerate(merges):
        if ranks.setdefault(pair, rank) != rank:
            raise ValueError(f"the merge {' '.join(pair)!r} stands in it twice, so that its ids "
                             "are not certain")  # fmt: skip
    return ranks


def _symbols(word: str) -> tuple[str, ...]:
    table = _byte_symbols()
    parts = [table[byte] for byte in word.encode()]
    return (*parts[:-1], parts[-1] + "</w>")


def _parted(word: str, rank: Mapping[Merge, int]) -> tuple[str, ...]:
    """The pieces of a word: its bytes, merged in the order of rank.

    As released, the pair of the lowest rank is merged at all its places, from the left, before any
    other; the places wait in a heap, so that a long word costs n log n.
    """
    parts = [*_symbols(word), ""]  # empty are the end and what its left has taken in
    size = len(parts)
    after, before = [*range(1, size), 0], [*range(-1, size - 1)]
    waiting = [(rank[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in rank]
    heapify(waiting)
    while waiting:
        for i in _merge_lowest(waiting, rank, parts, after, before):
            found = rank.get((parts[i], parts[after[i]]))
            if found is not None:
                heappush(waiting, (found, i))
    return tuple(filter(None, parts))


def _merge_lowest(
    waiting: list[tuple[int, int]],
    rank: Mapping[Merge, int],
    parts: list[str],
    after: list[int],
    before: list[int],
) -> list[int]:
    """Merges, in place, every pair of the lowest rank that waits; returns where pairs are new."""
    lowest, changed = waiting[0][0], []
    while waiting and waiting[0][0] == lowest:
        i = heappop(waiting)[1]
        j = after[i]
        if rank.get((parts[i], parts[j])) == lowest:  # else one of them was merged meanwhile
            parts[i], parts[j], after[i] = parts[i] + parts[j], "", after[j]
            before[after[i]] = i
            changed += (before[i], i)
    return changed


def _merged(parts: tuple[str, ...], pair: Merge) -> tuple[str, ...]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)
