"""CLIP's tokenizer by the book: one piece and one pair at a time."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ftfy
import regex

Pair = tuple[str, str]
WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_symbols() -> dict[int, str]:
    """Printable bytes stand for themselves and come first; the others are 256, 257 and so on."""
    symbols = {}
    for first, last in (("!", "~"), ("\xa1", "\xac"), ("\xae", "\xff")):
        for number in range(ord(first), ord(last) + 1):
            symbols[number] = chr(number)
    extra = 0
    for number in range(256):
        if number not in symbols:
            symbols[number] = chr(256 + extra)
            extra += 1
    return symbols


def vocabulary(merges: Sequence[Pair]) -> dict[str, int]:
    pieces = list(byte_symbols().values())
    pieces += [piece + "</w>" for piece in pieces]
    for first, second in merges:
        pieces.append(first + second)
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    ids = {}
    for number, piece in enumerate(pieces):
        ids[piece] = number
    return ids


def clean(text: str) -> str:
    text = ftfy.fix_text(text)
    text = html.unescape(html.unescape(text)).strip()
    return regex.sub(r"\s+", " ", text).strip().lower()


def pieces_of(word: str, ranks: dict[Pair, int]) -> list[str]:
    symbols = byte_symbols()
    parts = [symbols[number] for number in word.encode("utf-8")]
    parts[-1] += "</w>"
    while True:
        best = None
        for i in range(len(parts) - 1):
            pair = (parts[i], parts[i + 1])
            if pair in ranks and (best is None or ranks[pair] < ranks[best]):
                best = pair
        if best is None:
            return parts
        merged, i = [], 0
        while i < len(parts):
            if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
                merged.append(parts[i] + parts[i + 1])
                i += 2
            else:
                merged.append(parts[i])
                i += 1
        parts = merged


def clip_ids(text: str, ranks: dict[Pair, int], ids: dict[str, int], length: int = 77) -> list[int]:
    """As released, but for strings of special tokens, which are read like any other."""
    row = [ids["<|startoftext|>"]]
    for word in regex.findall(WORD, clean(text), regex.IGNORECASE):
        for piece in pieces_of(word, ranks):
            row.append(ids[piece])
    row.append(ids["<|endoftext|>"])
    if len(row) > length:
        row = row[:length]
        row[-1] = ids["<|endoftext|>"]
    return row
