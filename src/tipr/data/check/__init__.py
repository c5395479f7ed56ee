"""The doctor: what a dataset folder holds, what is wrong with it, and what to do.

Nothing is written, and by default no picture is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tipr.data.check.captions import caption_hits
from tipr.data.check.kinds import FAULT_KINDS
from tipr.data.check.people import people_hits, withdrawn_hits
from tipr.data.check.pictures import (
    Picture,
    Progress,
    absent_folders,
    equal_hits,
    picture_hits,
    pictures,
    unnamed_hits,
)
from tipr.data.check.published import Published, count_hits, counted, is_part, published_set
from tipr.data.check.report import Count, Finding, Hit, Report, gathered
from tipr.data.readers.entries import Entry, Fault
from tipr.data.readers.layouts import Layout, entries, recognised
from tipr.data.tokenizers import read_tokenizer

__all__ = ["Count", "Finding", "Report", "check_dataset"]

CLIP_LENGTH = 77


def check_dataset(root: Path | str, deep: bool = False, progress: Progress | None = None) -> Report:
    """Examines a dataset folder; `progress` hears of (done, total) images.

    With `deep` every picture is decoded and compared with the others byte by byte.

    Raises:
        DatasetError: the folder holds no dataset that is known.
    """
    layout = recognised(root, pictures=False)
    faults: list[Fault] = []
    rows = entries(layout, faults)
    known = published_set(layout.name, rows)
    counts = counted(rows, known)
    found = pictures([layout.images / row.file for row in rows], deep, progress)
    return Report(
        root=layout.root,
        layout=layout.name,
        annotations=tuple(layout.annotations),
        images=layout.images,
        deep=deep,
        compared=_compared(known, counts),
        ask=known.ask if known else "",
        counts=counts,
        findings=gathered(_hits(layout, faults, rows, found, known)),
    )


def _hits(
    layout: Layout,
    faults: Sequence[Fault],
    rows: Sequence[Entry],
    found: Sequence[Picture],
    known: Published | None,
) -> Iterator[Hit]:
    for fault in faults:
        yield Hit(FAULT_KINDS.get(fault.kind, "unusable entries"), str(fault))
    yield from withdrawn_hits(layout.root.resolve().name, rows)
    yield from count_hits(counted(rows, known))
    absent = absent_folders(rows, layout.images, known.folders if known else ())
    for folder, images in absent.items():
        yield Hit("missing folders", f"{folder}: {images:,} annotated images")
    yield from picture_hits(rows, found, frozenset(absent))
    yield from equal_hits(rows, found)
    if rows:
        yield from unnamed_hits(rows, layout.images)
    yield from people_hits(rows)
    yield from caption_hits(rows, read_tokenizer("clip", CLIP_LENGTH).unread)


def _compared(known: Published | None, counts: Sequence[Count]) -> str:
    if known is None:
        return ""
    if is_part(counts):
        return f"Fewer than half of {known.name}'s images: taken for another set in its layout."
    return f"Differences in brackets are from {known.name} as published."
