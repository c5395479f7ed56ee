"""Sentences that teach or find nobody: code, other scripts, copies, and ones that are cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import regex

from tipr.data.check.report import Hit
from tipr.data.plain import plain
from tipr.data.readers.entries import Entry

Occurrence = tuple[str, int | str]  # file and person

PATTERNS = {
    "code fragments": regex.compile(
        r"""
          </?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>            # HTML
        | &(?:amp|lt|gt|quot|apos|nbsp|\#\d+|\#x[0-9a-fA-F]+);
        | <\|[^|\s]*\|>                                       # a tokenizer's special piece
        | [{\[]\s*["']  |  ["']\s*[}\]]  |  ["']\s*:\s*["'{\[]   # JSON, Python
        | \\(?:[nrt"'\\]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})     # an escape written out
        | https?://\S* | \bwww\.\S+
        | ```
        | \bNone\b(?!\s+of\b) | \b(?:nan|NaN)\b
        | ^(?i:none|null|undefined|n/a)\.?$
        """,
        regex.VERBOSE,
    ),
    "non-Latin letters": regex.compile(r"(?:(?!\p{Latin})\p{L})+"),
    "control characters": regex.compile(r"[\p{Cc}\p{Cf}\p{Co}\p{Cn}\uFFFD]"),
}
_AROUND = 24  # characters shown on each side
_SHOWN = 80


def caption_hits(rows: Iterable[Entry], unread: Callable[[str], str | None]) -> Iterator[Hit]:
    """`unread` names the first word that a model would not read, if there is one."""
    seen: dict[str, list[Occurrence]] = {}
    for row in rows:
        own: set[str] = set()
        for number, caption in enumerate(row.captions, start=1):
            where = f"{row.file}, caption {number}"
            yield from _text_hits(where, caption, unread)
            plain = " ".join(caption.lower().split())
            if plain in own:
                yield Hit("captions repeated within an image", f"{where}: {_shown(caption)}")
            else:
                own.add(plain)
                seen.setdefault(plain, []).append((row.file, row.person))
    yield from _repeated(seen)


def _text_hits(where: str, caption: str, unread: Callable[[str], str | None]) -> Iterator[Hit]:
    if not caption.strip():
        yield Hit("empty captions", where)
        return
    for kind, pattern in PATTERNS.items():
        match = pattern.search(caption)
        if match:
            yield Hit(kind, f"{where}: {_context(caption, *match.span())}")
    lost = unread(caption)
    if lost is not None:
        yield Hit("over-long captions", f"{where}: read up to {_shown(lost)}, which is lost")


def _repeated(seen: dict[str, list[Occurrence]]) -> Iterator[Hit]:
    for text, places in seen.items():
        if len(places) == 1:
            continue
        people = list(dict.fromkeys(person for _, person in places))
        if len(people) > 1:
            named = ", ".join(map(str, people[:3])) + ", ..." * (len(people) > 3)
            example = f"{_shown(text)}: people {named}"
            yield Hit("captions shared by several people", example, len(places))
        else:
            files = f"{places[0][0]} and {places[1][0]}"
            more = f" and {len(places) - 2} more" if len(places) > 2 else ""
            yield Hit("captions repeated for a person", f"{files}{more}: {_shown(text)}",
                      len(places) - 1)  # fmt: skip


def _context(text: str, start: int, end: int) -> str:
    """What was found, and a little of what stands around it."""
    end = min(end, start + _SHOWN)
    before, after = max(0, start - _AROUND), end + _AROUND
    cut = "..." * (before > 0), "..." * (after < len(text))
    return f'"{cut[0]}{plain(text[before:after])}{cut[1]}"'


def _shown(text: str) -> str:
    return f'"{plain(text[:_SHOWN])}{"..." * (len(text) > _SHOWN)}"'
