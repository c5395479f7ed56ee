"""Identities in the wrong places, and data that must not be used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tipr.data.check.report import Hit
from tipr.data.readers.entries import Entry

_DUKE = re.compile(r"duke_?-?mtmc|(?:^|/)\d{4}_c\d_f\d{7}\.", re.IGNORECASE)


def people_hits(rows: Sequence[Entry]) -> Iterator[Hit]:
    """People in two splits, people with one image, entries without a split."""
    files: dict[int | str, list[Entry]] = {}
    for row in rows:
        files.setdefault(row.person, []).append(row)
        if row.split is None:
            yield Hit("entries without a split", row.file)
    for person, own in files.items():
        if len(own) == 1:
            yield Hit("people with one image", f"person {person}: {own[0].file}")
        first = {row.split: row.file for row in reversed(own) if row.split is not None}
        if len(first) > 1:
            places = ", ".join(f"{split} ({file})" for split, file in sorted(first.items()))
            yield Hit("people in two splits", f"person {person}: {places}")


def withdrawn_hits(name: str, rows: Sequence[Entry]) -> Iterator[Hit]:
    """Names of DukeMTMC: its own, or as DukeMTMC-reID calls files (0001_c2_f0046182.jpg)."""
    if _DUKE.search(name):
        yield Hit("withdrawn data", f"the folder is called {name}")
    for row in rows:
        if _DUKE.search(row.file):
            yield Hit("withdrawn data", row.file)
