"""A long description in parts that a model reads whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tipr.data.text import Tokenizer

_CLAUSE = re.compile(r"[^,;.!?\n]*[,;.!?\n]+|[^,;.!?\n]+")


def chunks_that_fit(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text, or as many of its clauses at a time as the tokenizer's length holds, in order.

    A clause that is too long by itself is parted between two words. Only a single word longer than
    the limit is ever cut.
    """
    if tokenizer.unread(text) is None:
        return [text]
    chunks: list[str] = []
    for part in _parts(tokenizer, text):
        joined = f"{chunks[-1]} {part}" if chunks else part
        if chunks and tokenizer.unread(joined) is None:
            chunks[-1] = joined
        else:
            chunks.append(part)
    return chunks or [text]


def _parts(tokenizer: Tokenizer, text: str) -> Iterator[str]:
    """Clauses that fit, and the single words of those that do not."""
    for clause in _CLAUSE.findall(text):
        told = clause.strip()
        if told and tokenizer.unread(told) is None:
            yield told
        else:
            yield from told.split()
