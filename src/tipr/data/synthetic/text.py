"""Pieces of a sentence that remember what they say: words together with the attributes named."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_AGREEMENT = re.compile(r"\[(\w+)\]")
_IRREGULAR = {"is": "are", "has": "have", "does": "do", "goes": "go"}


@dataclass(frozen=True)
class Text:
    """Words and the attributes they mention; verbs that must agree stand in brackets: [wears]."""

    words: str
    facts: frozenset[str] = frozenset()

    def __add__(self, other: Text | str) -> Text:
        if isinstance(other, str):
            return Text(self.words + other, self.facts)
        return Text(self.words + other.words, self.facts | other.facts)

    def __radd__(self, other: str) -> Text:
        return Text(other + self.words, self.facts)

    def __len__(self) -> int:
        return len(self.words.split())


def about(words: str, *facts: str) -> Text:
    """Words that mention these attributes."""
    return Text(words, frozenset(facts))


def joined(separator: str, texts: Iterable[Text]) -> Text:
    """Texts with the same words between each two."""
    texts = list(texts)
    facts = frozenset().union(*(text.facts for text in texts))
    return Text(separator.join(text.words for text in texts), facts)


def listed(texts: Iterable[Text], last: str) -> Text:
    """`a, b and c`, where `last` is what stands before the last one."""
    texts = list(texts)
    if len(texts) < 2:
        return joined("", texts)
    return joined(", ", texts[:-1]) + last + texts[-1]


def agreed(words: str, *, plural: bool) -> str:
    """The words with their bracketed verbs in the singular or the plural."""
    return _AGREEMENT.sub(lambda match: _plural(match[1]) if plural else match[1], words)


def _plural(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    return verb[:-2] if verb.endswith(("ches", "shes", "sses")) else verb[:-1]


def with_article(words: str) -> str:
    """`a` or `an` before the words, by their first sound."""
    vowel = words[0].lower() in "aeiou" and not words.startswith(("one", "uni", "use", "eu"))
    return f"{'an' if vowel else 'a'} {words}"


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]
