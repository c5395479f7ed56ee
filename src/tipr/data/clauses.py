"""A long description in parts that a model reads whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tipr.data.text import Tokenizer

_ENDS = ",;.!?\n\u3001\u3002\uff0c\uff01\uff1b\uff1f"  # also as Chinese and Japanese write them
_CLAUSE = re.compile(f"[^{_ENDS}]*[{_ENDS}]+|[^{_ENDS}]+")


def chunks_that_fit(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text, or as many of its clauses at a time as the tokenizer's length holds, in order.

    A clause that is too long by itself is parted between two words, as the tokenizer tells them.
    Only a single word longer than the limit is ever cut; `cut_word` names it.
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


def cut_word(tokenizer: Tokenizer, text: str) -> str | None:
    """The first word that is longer than the limit all by itself; None when all is read."""
    lost = (tokenizer.unread(chunk) for chunk in chunks_that_fit(tokenizer, text))
    return next((word for word in lost if word is not None), None)


def _parts(tokenizer: Tokenizer, text: str) -> Iterator[str]:
    """Clauses that fit, and the single words of those that do not."""
    for clause in _CLAUSE.findall(text):
        told = clause.strip()
        if told and tokenizer.unread(told) is None:
            yield told
        else:
            yield from tokenizer.words(told)
