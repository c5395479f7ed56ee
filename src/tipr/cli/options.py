"""What the verbs have in common: a flag means the same wherever it appears."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import available_timezones

from cyclopts import Parameter
from cyclopts.validators import Number
from tqdm import tqdm

if TYPE_CHECKING:
    from tipr.gallery.gallery import Gallery

Out = Annotated[Path, Parameter(help="Folder to write to.")]
Device = Annotated[str, Parameter(
    help="auto, cpu, cuda or cuda:N; pytorch, or openvino:int8 and the like of an exported model.",
)]  # fmt: skip
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]


def _place(_type: object, into: str | None) -> None:
    """Refuses a bad place before anything is measured for it."""
    if into is not None:
        from tipr.bench.pages import check

        check(into)


Into = Annotated[str | None, Parameter(
    validator=_place,
    help="PAGE.md#NAME: a block of a Markdown page that the table is written into.",
)]  # fmt: skip
Flag = Annotated[bool, Parameter(negative=())]

GalleryName = Annotated[str, Parameter(
    help="The gallery: its folder, or milvus://HOST:PORT/NAME.",
)]  # fmt: skip
Token = Annotated[str, Parameter(allow_leading_hyphen=True)]  # -camera:lobby
Where = Annotated[str, Parameter(name="--filter", help="A filter as JSON, beside the tokens.")]
Zone = Annotated[str, Parameter(help="IANA zone of times without one, as Europe/Berlin.")]

Rerank = Annotated[int, Parameter(
    validator=Number(gte=0),
    help="How many of the best to order again with the model's re-ranking head (mgrl); 0 is none.",
)]  # fmt: skip

LongTexts = Annotated[Literal["cut", "clauses"], Parameter(
    help="Text longer than the model reads: its end is cut off, or it is read clause by clause.",
)]  # fmt: skip


def told(
    text: str, into: str | None, facts: Mapping[str, Any] | None = None, *, fixed: bool = False
) -> None:
    """Prints a table, or its facts as JSON; puts it into its block of a page where that is wanted.

    `fixed` is what needs letters of one width.
    """
    print(text.rstrip() if facts is None else json.dumps(facts))
    written(f"```\n{text.rstrip()}\n```" if fixed else text, into)


def written(text: str, into: str | None) -> None:
    """Puts a table into its block of a page, if one is named."""
    if into is not None:
        from tipr.bench.pages import put

        put(into, text, command())


def opened(name: str) -> Gallery:
    from tipr.gallery.gallery import Gallery

    return Gallery.open(name)


def zone_here() -> str:
    """The IANA zone that this machine's clock is set to; UTC where it does not tell."""
    named = os.environ.get("TZ", "").lstrip(":")
    places = [named] if named else []
    with suppress(OSError):
        link = str(Path("/etc/localtime").resolve())
        places.append(link.partition("zoneinfo/")[2])
    return next((place for place in places if place in available_timezones()), "UTC")


def command() -> str:
    """The command line as it was given."""
    return shlex.join(["tipr", *sys.argv[1:]])


def shown(bar: tqdm) -> Callable[[int, int], None]:
    """A progress callback (done, total) that moves the bar."""

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return progress
