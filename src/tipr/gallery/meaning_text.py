"""The text of a query: clauses with AND, OR, NOT, ( ), weights as ^2, and quotes.

    red coat ^2 AND backpack NOT hat
    (red OR orange) coat without a bag
    "ROCK AND ROLL" on the shirt

A description is read into alternatives, one of which has to hold; each is clauses that all hold.
NOT goes inwards: NOT (a OR b) is NOT a AND NOT b, and "NOT hat, without a bag" is without either.
What stands in quotes is taken as it is written; from other clauses what they deny in plain English
becomes a clause of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from tipr.gallery.negation import affirmed

MOST_ALTERNATIVES = 32  # each is a search of its own
LONGEST = 4000  # characters
_DEEPEST = 20
_HEAVIEST = 10.0
_EXAMPLE = "red coat ^2 AND (backpack OR suitcase) NOT hat"
_TOKEN = re.compile(
    r'\s*(?:"(?P<quoted>[^"]*)"|(?P<mark>[()])|\^[ ]*(?P<weight>[^\s()"^]*)|(?P<word>[^\s()"^]+))'
)


class MeaningError(ValueError):
    """The query cannot be understood; says where, and how to write it."""


@dataclass(frozen=True)
class Clause:
    """Some words that are wanted, or not wanted, and how much."""

    text: str
    weight: float = 1.0
    negated: bool = False


Alternative = tuple[Clause, ...]
Alternatives = tuple[Alternative, ...]


@dataclass(frozen=True)
class _Token:
    kind: str  # word, quoted, weight, or the mark or operator itself; "" is the end
    text: str
    place: int  # counted from 1


def alternatives(description: str) -> Alternatives:
    """What a description asks for; of a blank one, nothing.

    Raises:
        MeaningError: it breaks the rules above, or has too many alternatives.
    """
    if len(description) > LONGEST:
        raise MeaningError(f"the description has {len(description)} characters; say it in at most "
                           f"{LONGEST}")  # fmt: skip
    if not description.strip():
        return ()
    return _Reader(description.replace("\u201c", '"').replace("\u201d", '"')).whole()


class _Reader:
    """Reads one description from left to right, a method for each rule."""

    def __init__(self, text: str) -> None:
        self.text, self.next, self.depth = text, 0, 0
        self.tokens = [*self._tokens(), _Token("", "the end", len(text.rstrip()) + 1)]

    def whole(self) -> Alternatives:
        found = self._either()
        if self.token.kind == ")":
            raise self._error('")" closes nothing')
        return tuple(dict.fromkeys(found))

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        self.next += 1
        return self.tokens[self.next - 1]

    def _either(self) -> Alternatives:
        found = self._all()
        while self.token.kind == "OR":
            self._take()
            found = self._counted(*found, *self._all())
        return found

    def _all(self) -> Alternatives:
        found = self._one()
        while self.token.kind not in ("OR", ")", ""):
            joined = self.token.kind == "AND" and self._take()
            found = self._both(found, self._one(), apart=bool(joined))
        return found

    def _one(self) -> Alternatives:
        denials = 0
        while self.token.kind == "NOT":
            denials += bool(self._take())
        if self.token.kind == "(":
            found = self._weighted(self._group())
        elif self.token.kind in ("word", "quoted"):
            found = self._weighted(self._clause())
            if denials % 2 and not all(clause.negated for every in found for clause in every):
                return self._all_denied(found)
        else:
            raise self._error(f"a clause is missing before {self._told(self.token)}")
        return self._denied(found) if denials % 2 else found

    @staticmethod
    def _all_denied(found: Alternatives) -> Alternatives:
        """NOT before a plain clause: "NOT a hat, without a bag" denies both."""
        return tuple(tuple(replace(clause, negated=True) for clause in every) for every in found)

    def _group(self) -> Alternatives:
        opening = self._take()
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} parentheses stand in one another", opening)
        found = self._either()
        if self.token.kind != ")":
            raise self._error('"(" is not closed', opening)
        self._take()
        self.depth -= 1
        return found

    def _clause(self) -> Alternatives:
        run = [self._take()]
        while self.token.kind in ("word", "quoted"):
            run.append(self._take())
        text = " ".join(token.text for token in run).strip()
        if not text:
            raise self._error("there is nothing between the quotes", run[0])
        if any(token.kind == "quoted" for token in run):
            return ((Clause(text),),)
        rest, denied = affirmed(text)
        told = (Clause(rest),) if not denied or re.search(r"\w", rest) else ()
        return ((*told, *(Clause(thing, negated=True) for thing in denied)),)

    def _weighted(self, found: Alternatives) -> Alternatives:
        if self.token.kind != "weight":
            return found
        token = self._take()
        try:
            weight = float(token.text)
        except ValueError:
            weight = 0.0
        if not 0 < weight <= _HEAVIEST:
            raise self._error(f"a weight is a number above 0 and at most {_HEAVIEST:g}, not "
                              f'"{token.text}"', token)  # fmt: skip
        return tuple(
            tuple(replace(clause, weight=clause.weight * weight) for clause in every)
            for every in found
        )

    def _both(self, left: Alternatives, right: Alternatives, apart: bool = True) -> Alternatives:
        self._check(len(left) * len(right))
        return tuple((*a, *b) if apart else _beside(a, b) for a in left for b in right)

    def _denied(self, found: Alternatives) -> Alternatives:
        turned = [
            tuple((replace(clause, negated=not clause.negated),) for clause in every)
            for every in found
        ]
        return reduce(self._both, turned)

    def _counted(self, *found: Alternative) -> Alternatives:
        self._check(len(found))
        return found

    def _check(self, count: int) -> None:
        if count > MOST_ALTERNATIVES:
            raise MeaningError(f"the description stands for {count} alternatives or more, and at "
                               f"most {MOST_ALTERNATIVES} are searched; use fewer OR, or search "
                               "several times")  # fmt: skip

    def _tokens(self) -> Iterable[_Token]:
        place, end = 0, len(self.text.rstrip())
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None:
                quote = _Token('"', '"', self.text.index('"', place) + 1)
                raise self._error("a quote is not closed", quote)
            kind = str(match.lastgroup)
            text = match[kind]
            operator = kind == "mark" or (kind == "word" and text in ("AND", "OR", "NOT"))
            start = match.end() - len(match[0].lstrip()) + 1
            yield _Token(text if operator else kind, text, start)
            place = match.end()

    def _told(self, token: _Token) -> str:
        return "^" if token.kind == "weight" else (f'"{token.text}"' if token.kind else token.text)

    def _error(self, what: str, token: _Token | None = None) -> MeaningError:
        place = (token or self.token).place
        before = self.text[max(0, place - 21) : place - 1].lstrip()
        here = f" (character {place}, after {before!r})" if before else f" (character {place})"
        return MeaningError(f"{what}{here}; write descriptions as in: {_EXAMPLE}. Words of the "
                            'query language that are meant as words go in quotes')  # fmt: skip


def _beside(left: Alternative, right: Alternative) -> Alternative:
    """`(red OR orange) coat` is a red coat: what no AND parts is one clause."""
    last, first = left[-1], right[0]
    if last.negated or first.negated or last.weight != first.weight:
        return (*left, *right)
    return (*left[:-1], replace(last, text=f"{last.text} {first.text}"), *right[1:])
