"""Filters as people type them: camera:lobby,gate after:2026-11-01 time:15:00-16:00 -track:7

    FIELD:VALUE,VALUE    one of the values; any name is a field of the owner's own: colour:red
    FIELD:FROM..TO       numbers, or dates of time and indexed; FROM belongs to it, TO does not
    after: before:       dates or moments; after: belongs to it, before: does not
    time:15:00-16:00     what the clock showed, past midnight too: time:22:00-05:00
    has:FIELD            the field is known
    -TOKEN NOT TOKEN     not so; also before brackets: -( ... )
    OR ( )               OR joins the two tokens beside it; tokens side by side must all hold
    "north door"         quotes keep spaces, commas and brackets; a quote in quotes is doubled

Times without a zone are in the zone given.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tipr.gallery.fields import DEEPEST, FIELDS, TEXTS, FilterError, zone_named
from tipr.gallery.filter_tokens import TOKEN, token
from tipr.gallery.filters import All, Among, AnyOf, Filter, Range, describe

_LEXEME = re.compile(rf"(?P<open>-?\()|(?P<close>\))|(?P<token>{TOKEN})|(?P<word>[^\s()]+)")
_POINT = re.compile(r"(?:[,;!?]+|(?<!\.)\.)$")  # a sentence's, not a range's
_NAMES = {*FIELDS, "after", "before", "has"}
_JOINS = ("AND", "OR")


@dataclass(frozen=True)
class _Lexeme:
    kind: str  # open, close, token or word
    text: str
    start: int  # where it stands
    end: int


def parse_filter(tokens: Sequence[str] | str, zone: str) -> Filter:
    """All the tokens together; without any, every record matches.

    A text is split at spaces. In a sequence an argument is a token, in which a value may have
    spaces (the shell took the quotes away), or several tokens.
    """
    zone_named(zone)
    arguments = [_lexemes(tokens)] if isinstance(tokens, str) else map(_argument, tokens)
    lexemes = list(itertools.chain.from_iterable(arguments))
    _check_depth(lexemes)
    for lexeme in lexemes:
        if lexeme.kind == "word" and lexeme.text not in (*_JOINS, "NOT"):
            raise _no_token(lexeme.text)
    parts, end = _side_by_side(lexemes, 0, zone)
    if end < len(lexemes):
        raise FilterError(
            f"{lexemes[end].text} stands alone; brackets come in pairs, and AND, OR and NOT need "
            "a filter beside them: ( camera:lobby OR camera:gate ) NOT track:7"
        )
    return _together(parts)


def split(description: str, zone: str) -> tuple[str, Filter | None]:
    """The description without the tokens found in it, and what they say together."""
    zone_named(zone)
    lexemes = [_unpointed(lexeme) for lexeme in _lexemes(description)]
    _check_depth(lexemes)
    kept: list[_Lexeme] = []
    found: list[Filter] = []
    at = 0
    while at < len(lexemes):
        parts, end = _side_by_side(lexemes, at, zone)
        if not parts:
            _check_word(lexemes[at])
            kept.append(lexemes[at])
            at += 1
            continue
        found += parts
        before, after = kept[-1:], lexemes[end : end + 1]
        if "OR" in [lexeme.text for lexeme in before + after]:
            raise FilterError(
                f"{lexemes[at].text} beside OR: filters hold for the whole description and are no "
                "alternative to a part of it; leave OR away, or search twice"
            )
        if before and before[0].text == "AND":
            kept.pop()
        elif after and after[0].text == "AND":
            end += 1
        at = end
    return _text(description, kept), _together(found) if found else None


def _lexemes(text: str) -> list[_Lexeme]:
    found = _LEXEME.finditer(text)
    return [_Lexeme(str(one.lastgroup), one.group(), one.start(), one.end()) for one in found]


def _check_depth(lexemes: list[_Lexeme]) -> None:
    brackets = nots = 0
    for lexeme in lexemes:
        brackets = max(brackets + (lexeme.kind == "open") - (lexeme.kind == "close"), 0)
        nots = nots + 1 if lexeme.text == "NOT" else 0
        if brackets + nots > DEEPEST:
            raise FilterError(f"brackets and NOT nest {DEEPEST} deep at most")


def _argument(text: str) -> list[_Lexeme]:
    """Tokens, or one token whose value has spaces."""
    lexemes = _lexemes(text)
    words = [one.text for one in lexemes if one.kind == "word"]
    spaced = lexemes and lexemes[0].kind == "token" and len(words) == len(lexemes) - 1
    if words and spaced and not {*_JOINS, "NOT"}.intersection(words):
        return [_Lexeme("token", text, 0, len(text))]
    return lexemes


def _unpointed(lexeme: _Lexeme) -> _Lexeme:
    """A token without the punctuation of the sentence that it stands in."""
    if lexeme.kind != "token":
        return lexeme
    text = _POINT.sub("", lexeme.text)
    kind = "token" if re.fullmatch(TOKEN, text) else "word"
    return _Lexeme(kind, text, lexeme.start, lexeme.end)


def _text(description: str, kept: list[_Lexeme]) -> str:
    """The words with the space between them; one space where something was taken out."""
    text, until = "", 0
    for lexeme in kept:
        between = description[until : lexeme.start]
        text += between if not between.strip() else " "
        text += description[lexeme.start : lexeme.end]
        until = lexeme.end
    return text.strip()


def _side_by_side(lexemes: list[_Lexeme], at: int, zone: str) -> tuple[list[Filter], int]:
    """The filters that follow one another from here on, and where they end."""
    groups: list[list[Filter]] = []
    joins = set()
    join, here = "", at
    while unit := _unit(lexemes, here, zone):
        part, at = unit
        if join == "OR":
            groups[-1].append(part)
        else:
            groups.append([part])
        joins.add(join)
        following = lexemes[at].text if at < len(lexemes) else ""
        join = following if following in _JOINS else ""
        here = at + bool(join)
    if joins.issuperset(_JOINS):
        raise FilterError(
            "AND beside OR can be read in two ways; use brackets: "
            "camera:lobby AND ( track:7 OR track:8 )"
        )
    return [AnyOf(tuple(group)) if len(group) > 1 else group[0] for group in groups], at


def _unit(lexemes: list[_Lexeme], at: int, zone: str) -> tuple[Filter, int] | None:
    """The token or brackets that begin here, negated or not, and where they end."""
    if at >= len(lexemes):
        return None
    first = lexemes[at]
    if first.text == "NOT":
        unit = _unit(lexemes, at + 1, zone)
        return unit and (~unit[0], unit[1])
    if first.kind == "token":
        return token(first.text, zone), at + 1
    if first.kind != "open":
        return None
    parts, end = _side_by_side(lexemes, at + 1, zone)
    if not parts or end >= len(lexemes) or lexemes[end].kind != "close":
        return None
    whole = _together(parts)
    return (~whole if first.text.startswith("-") else whole), end + 1


def _together(parts: list[Filter]) -> Filter:
    """All of them; refuses tokens that no record can match."""
    times = [part for part in parts if isinstance(part, Range) and part.field == "time"]
    for one, other in itertools.permutations(times, 2):
        start: Any = one.at_least
        if start and other.below and start >= other.below:
            raise FilterError(
                f"nothing lies {describe(one)} and {describe(other)}; before: does not belong to "
                "the time, so a whole day is after:2026-11-01 before:2026-11-02"
            )
    named = [part for part in parts if isinstance(part, Among) and part.field in TEXTS]
    for one, other in itertools.combinations(named, 2):
        if one.field == other.field and not set(one.values) & set(other.values):
            raise FilterError(
                f"{describe(one)} and {describe(other)} cannot both hold; for either, join the "
                f"values with a comma: {one.field}:{one.values[0]},{other.values[0]}"
            )
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _check_word(lexeme: _Lexeme) -> None:
    """Refuses, in a sentence, what was surely meant as a token."""
    name, colon, _ = lexeme.text.removeprefix("-").partition(":")
    if colon and name in _NAMES:
        raise _no_token(lexeme.text)


def _no_token(word: str) -> FilterError:
    if word.upper() in (*_JOINS, "NOT"):
        return FilterError(f"{word} is written in capitals: {word.upper()}")
    if '"' in word:
        return FilterError(f'{word}: a quote is not closed; write camera:"north door"')
    if word.endswith(":"):
        return FilterError(f"{word} lacks its value, which follows without a space: {word}VALUE")
    return FilterError(
        f"{word} is no filter; filters are FIELD:VALUE, as camera:lobby,gate after:2026-11-01 "
        "time:15:00-16:00 -track:7 has:source"
    )
