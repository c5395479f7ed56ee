"""`tipr search`: a sentence, filters and examples in; people, and how sure that is, out."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tipr.cli.options import (
    Device,
    Flag,
    GalleryName,
    Json,
    LongTexts,
    Rerank,
    Token,
    Zone,
    zone_here,
)

if TYPE_CHECKING:
    from tipr.embedder import Embedder
    from tipr.evaluation.reranking import PairwiseReranker
    from tipr.gallery.answers import Answer
    from tipr.gallery.filters import Filter
    from tipr.gallery.meaning import Wanted
    from tipr.gallery.results import Wish

Some = Annotated[list[str] | None, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Examples:
    """Examples of what is wanted.

    Parameters
    ----------
    image
        An example picture, alone or beside the description; may be repeated.
    like
        The id of a hit that was right; may be repeated.
    unlike
        The id of a hit that was wrong; may be repeated.
    """

    image: Annotated[list[Path] | None, Parameter(negative=())] = None
    like: Some = None
    unlike: Some = None

    def wanted(self, description: str) -> Wanted:
        from tipr.gallery.meaning import Wanted

        return Wanted(
            description=description,
            images=tuple(self.image or ()),
            more_like=tuple(self.like or ()),
            less_like=tuple(self.unlike or ()),
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Shown:
    """Which results are shown.

    Parameters
    ----------
    k
        How many, a page.
    page
        Which page, from 1.
    by
        Group the pictures of a track, or near-duplicates.
    per_camera
        At most so many of a camera before the others have their turn; 0 is no limit.
    at_least
        Only what is at least this probable, 0 to 1; needs `tipr calibrate`.
    export
        Write the results to a .csv, .json or .parquet file, or a folder with the pictures.
    """

    k: Annotated[int, Parameter(name=("-k", "--k"))] = 10
    page: int = 1
    by: Literal["none", "track", "duplicate"] = "none"
    per_camera: int = 0
    at_least: float = 0.0
    export: Path | None = None

    def wish(self) -> Wish:
        from tipr.gallery.results import Wish
        from tipr.gallery.store import check_k

        check_k(self.k)
        return Wish(by=self.by, per_camera=self.per_camera, page=self.page, size=self.k,
                    at_least=self.at_least)  # fmt: skip


NO_EXAMPLES, TEN = Examples(), Shown()


def search(  # noqa: PLR0913 - one parameter for each flag
    description: str = "",
    *tokens: Token,
    gallery: GalleryName,
    where: Annotated[str, Parameter(name="--filter")] = "",
    zone: Zone = "",
    examples: Examples = NO_EXAMPLES,
    shown: Shown = TEN,
    model: str | None = None,
    exact: Flag = False,
    rerank: Rerank = 0,
    long_texts: LongTexts = "cut",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Search a gallery with a sentence; the best match comes first.

    The sentence may have clauses: "red coat AND backpack NOT hat", "suit OR (coat AND hat)",
    "red coat ^2 AND jeans". Filters stand in it or after it: camera:lobby,gate -track:7
    after:2026-11-01 before:2026-11-02T15:00 time:15:00-16:00 source:a.mp4 has:camera.

    Parameters
    ----------
    description
        What the person looks like, as "a woman in a red coat with a black bag".
    tokens
        Filters, as camera:lobby.
    where
        A filter as JSON, beside the tokens.
    model
        Where the gallery's model lies now, if it was moved.
    exact
        Look at every row, whatever the index.
    """
    from tipr.gallery.searcher import Searcher

    text, chosen = split_filter(description, tokens, where, zone)
    wanted, wish = examples.wanted(text), shown.wish()
    with Searcher.open(
        gallery, device, model, _reranker if rerank else None, rerank, long_texts
    ) as searcher:
        answer, embedder = searcher.find(wanted, wish, chosen, exact=exact), searcher.embedder
        facts = {"query": description, "gallery": gallery, "model": embedder.fingerprint,
                 "runtime": embedder.runtime.name,  # ty: ignore[missing-attribute]
                 **answer.to_json(),
                 "hits": _best(answer, wish)}  # fmt: skip
        if shown.export is not None:
            from tipr.gallery.exporting import export, rows_of

            start = 1 + (wish.page - 1) * wish.size
            head = {name: facts[name] for name in facts.keys() - {"groups", "hits"}}
            written = export(
                rows_of(answer.groups, start), shown.export, head, searcher.gallery.store
            )
            for id, reason in written.missing:
                print(f"{id}: {reason}", file=sys.stderr)
    if as_json:
        print(json.dumps(facts))
    else:
        _print(answer, wish, gallery)


def split_filter(
    description: str, tokens: tuple[str, ...], where: str, zone: str
) -> tuple[str, Filter | None]:
    """The description without its tokens, and all the filters together."""
    from tipr.gallery.filter_text import parse_filter, split
    from tipr.gallery.filters import All, filter_from_json

    place = zone or zone_here()
    text, inside = split(description, place)
    parts = [] if inside is None else [inside]
    parts += [parse_filter(list(tokens), place)] if tokens else []
    if where:
        try:
            parts.append(filter_from_json(json.loads(where)))
        except json.JSONDecodeError as error:
            raise ValueError(f"--filter is not JSON ({error})") from error
    if len(parts) < 2:
        return text, parts[0] if parts else None
    return text, All(tuple(parts))


def _print(answer: Answer, wish: Wish, gallery: str) -> None:
    from tipr.gallery.filters import describe

    print(f"looked for {answer.understood.words()}", file=sys.stderr)
    if answer.where is not None:
        print(f"where {describe(answer.where)}: {answer.searched} rows", file=sys.stderr)
    if answer.unread is not None:
        print(f"{answer.unread!r} and what follows was not read: longer than the model reads; "
              "--long-texts clauses reads it part by part", file=sys.stderr)  # fmt: skip
    if answer.verdict is not None:
        print(f"{answer.verdict} ({answer.probability:.0%})", file=sys.stderr)
    if answer.stale:
        print("the gallery has grown since it was calibrated: tipr calibrate --gallery "
              f"{gallery}", file=sys.stderr)  # fmt: skip
    if not answer.groups:
        print(_nothing(answer, wish, gallery), file=sys.stderr)
    for rank, group in enumerate(answer.groups, 1 + (wish.page - 1) * wish.size):
        print(f"{rank:3d}  {group.best.score:.3f}  {_shown(group, wish)}")
    if answer.more:
        print(f"more on --page {wish.page + 1}", file=sys.stderr)


def _best(answer: Answer, wish: Wish) -> list[dict[str, Any]]:
    """The best shot of each group, in short."""
    return [
        {"rank": rank, "score": group.best.score, "probability": group.probability,
         "id": group.best.record.id, "path": group.best.record.path}
        for rank, group in enumerate(answer.groups, 1 + (wish.page - 1) * wish.size)
    ]  # fmt: skip


def _nothing(answer: Answer, wish: Wish, gallery: str) -> str:
    if answer.searched == 0 and answer.where is not None:
        return "the filter lets nothing through"
    if answer.searched == 0:
        return f"{gallery} is empty; `tipr index FOLDER --gallery {gallery}` fills it"
    if wish.page > 1:
        return f"there is no page {wish.page}"
    return "nothing is that probable; ask for less with --at-least"


def _shown(group: Any, wish: Wish) -> str:
    record = group.best.record
    told = [record.path or record.id]
    if group.probability is not None:
        told.insert(0, f"{group.probability:4.0%}")
    if record.camera:
        told.append(record.camera)
    if record.time:
        told.append(f"{record.time:%Y-%m-%d %H:%M:%S} UTC")
    if wish.by != "none" and group.count > 1:
        told.append(f"{group.count} pictures")
    return "  ".join(told)


def _reranker(embedder: Embedder) -> PairwiseReranker:
    """Brings in the head's code only when it is asked for."""
    from tipr.evaluation.reranking import PairwiseReranker

    return PairwiseReranker.beside(embedder)
