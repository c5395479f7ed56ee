"""Facts of a crop from its name inside the folder.

    {camera}/{time:%Y%m%d_%H%M%S}_{track}_{frame}.jpg

stands for the whole name. A part in braces is a piece of one folder's or file's name, as short as
the rest allows: `camera`, `track`, `source`, `frame` (digits), `time`, any other name for a key of
`extra`, `_` for what is passed over. A time has a format of `strptime` after a colon, or is ISO
8601 or seconds since 1970; several parts of one time are read together
({time:%Y-%m-%d}/{time:%H%M}).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tipr.gallery.facts import FactError, fact, moment, zone_of

_PART = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[^\W\d]\w*")
_SHORT = r"[^/]+?"
_NOT_IN_NAMES = ("id", "path", "indexed", "model", "extra", "box")
_DIRECTIVES = {
    **{"Y": r"\d{4}", "y": r"\d{2}", "m": r"(?:0[1-9]|1[0-2])", "d": r"(?:0[1-9]|[12]\d|3[01])"},
    **{"H": r"(?:[01]\d|2[0-3])", "M": r"[0-5]\d", "S": r"[0-5]\d", "I": r"(?:0[1-9]|1[0-2])"},
    **{"j": r"\d{3}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%"},
    **dict.fromkeys("bBaAp", r"[^\W\d_]+"),
}
_DATES = ({"m", "d"}, {"b", "d"}, {"B", "d"}, {"j"})

# Where a data set names its pictures by a rule; the first that fits. Cameras are numbers, as the
# readers of the data sets have them; `person` is the identity.
PRESETS: dict[str, tuple[str, ...]] = {
    "market": (r"(?P<person>-?\d+)_(?P<source>c(?P<camera>\d+)s\d+)_(?P<frame>\d+)_\d+\..+",),
    "rstp": (r"(?P<person>\d+)_c(?P<camera>\d+)_(?P<frame>\d+)\..+",),
    "icfg": (
        r"(?P<person>\d{4})_\d{3}_0*(?P<camera>\d+)_(?P<period>\d{4}(?:morning|noon|afternoon))_.+",
    ),
    "cuhk": (
        r"(?P<source>Market)/(?P<person>\d+)_c(?P<camera>\d+)s\d+_(?P<frame>\d+)_[^/]+",
        r"(?P<source>train_query|test_query)/p(?P<person>\d+)_s(?P<scene>\d+)\.[^/]+",
        r"(?P<source>cam_a|cam_b|CUHK01|CUHK03|Market|test_query|train_query)/[^/]+",
    ),
}
_EXAMPLES = {
    "market": "0002_c1s1_000451_03.jpg",
    "rstp": "0000_c5_0022.jpg",
    "icfg": "0627_010_05_0303afternoon_1591_1.jpg",
    "cuhk": "Market/0094_c2s1_018801_00.jpg",
}


@dataclass(frozen=True)
class Pattern:
    """A pattern or the name of a preset, ready to read names; `parts` are those of the groups."""

    text: str
    expressions: tuple[re.Pattern[str], ...]
    parts: tuple[tuple[str, str], ...] = ()
    zone: str | None = None

    def read(self, name: str) -> dict[str, Any]:
        """The facts in a name; FactError names both where it does not fit."""
        match = next((m for e in self.expressions if (m := e.fullmatch(name))), None)
        if match is None:
            example = _EXAMPLES.get(self.text)
            shown = f"names of {self.text}, as {example}" if example else f"the pattern {self.text}"
            raise FactError(f"{name} does not fit {shown}")
        if not self.parts:
            return {part: fact(part, text) for part, text in match.groupdict().items()}
        try:
            return self._facts(match.groups())
        except ValueError as error:
            raise FactError(f"{name} does not fit the pattern {self.text}: {error}") from None

    def _facts(self, texts: Sequence[str]) -> dict[str, Any]:
        both = list(zip(self.parts, texts, strict=True))
        found = {part: fact(part, text) for (part, _), text in both if part != "time"}
        times = [(text, format) for (part, format), text in both if part == "time"]
        if times:
            text, format = (" ".join(pieces) for pieces in zip(*times, strict=True))
            found["time"] = moment(datetime.strptime(text, format) if format else text, self.zone)
        return found


def pattern(text: str, zone: str | None = None) -> Pattern:
    """Reads a pattern; its times are of the IANA `zone` where they name none.

    Raises:
        FactError: what the pattern cannot mean.
    """
    zone_of(zone or "UTC")
    if "{" not in text and "}" not in text:
        if text not in PRESETS:
            raise FactError(
                f"{text!r} is no pattern: write its parts in braces, as {{camera}}/{{frame}}.jpg, "
                f"or the name of a data set: {', '.join(PRESETS)}"
            )
        return Pattern(text, tuple(re.compile(f"(?:.*/)?{one}", re.ASCII) for one in PRESETS[text]))
    pieces = _PART.split(text)
    if any(brace in literal for literal in pieces[::2] for brace in "{}"):
        raise FactError(f"a brace of the pattern {text} is not closed, or not opened")
    written = [_split(part, text) for part in pieces[1::2]]
    parts = tuple((name, format) for name, format in written if name != "_")
    _check_parts(text, written, pieces[2:-1:2])
    expression = re.escape(pieces[0])
    for (name, format), literal in zip(written, pieces[2::2], strict=True):
        expression += _group(name, format, text) + re.escape(literal)
    _check_times([format for name, format in parts if name == "time"], text, zone)
    return Pattern(text, (re.compile(expression, re.ASCII),), parts, zone)


def _split(part: str, whole: str) -> tuple[str, str]:
    name, colon, format = part.partition(":")
    if name in _NOT_IN_NAMES or not _NAME.fullmatch(name):
        raise FactError(
            f"{{{part}}} of the pattern {whole} is no part of a name; parts are {{camera}}, "
            "{time:%Y%m%d_%H%M%S}, {track}, {frame}, {source}, {_} and names of your own"
        )
    if colon and (name != "time" or not format):
        raise FactError(
            f"{{{part}}} of the pattern {whole}: only a time has a format, as {{time:%Y%m%d}}"
        )
    return name, format


def _check_parts(whole: str, parts: list[tuple[str, str]], between: list[str]) -> None:
    names = [name for name, _ in parts if name not in ("_", "time")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise FactError(f"{{{twice}}} stands twice in the pattern {whole}")
    for (one, before), literal, (other, after) in zip(parts, between, parts[1:], strict=False):
        if not literal and _is_free(one, before) and _is_free(other, after):
            raise FactError(
                f"{{{one}}}{{{other}}} of the pattern {whole}: nothing tells where one ends; "
                "put the character between them that the names have there"
            )


def _is_free(name: str, format: str) -> bool:
    return name != "frame" and not format


def _check_times(formats: list[str], whole: str, zone: str | None) -> None:
    if not formats or formats == [""]:
        return
    used = {letter for format in formats for letter in re.findall(r"%(.)", format)}
    if not used & {"Y", "y"} or not any(date <= used for date in _DATES) or "" in formats:
        raise FactError(f"the time of the pattern {whole} has no whole date, as %Y%m%d gives it")
    joined = " ".join(formats)
    try:
        datetime.strptime(datetime(2026, 11, 22, tzinfo=UTC).strftime(joined), joined)
    except (ValueError, re.error):
        raise FactError(
            f"the time of the pattern {whole} is said twice, or cannot be read"
        ) from None
    if "z" not in used and zone is None:
        raise FactError(
            f"the time of the pattern {whole} is in no time zone; say which, as Europe/Berlin"
        )


def _group(name: str, format: str, whole: str) -> str:
    if name == "_":
        return f"(?:{_SHORT})"
    if name == "frame":
        return r"(\d+)"
    if not format:
        return f"({_SHORT})"
    expression = ""
    for directive, literal in re.findall(r"%(.?)|([^%]+)", format):
        if not literal and directive not in _DIRECTIVES:
            raise FactError(
                f"%{directive} of the pattern {whole} is not known; known are "
                f"{' '.join(f'%{letter}' for letter in _DIRECTIVES)}"
            )
        expression += re.escape(literal) if literal else _DIRECTIVES[directive]
    return f"({expression})"
