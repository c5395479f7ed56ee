"""The raw rows of an annotation: a JSON list, JSON lines or a table with a header.

A file is read piece by piece and each row is let go after use, so that a million entries with long
lists of words cost no more memory than what is kept of them.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from tipr.data.readers.entries import Fault, Report, Row, refused
from tipr.data.readers.objects import lines, listed
from tipr.data.readers.tables import table

TABLES = (".csv", ".tsv")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def rows(annotation: Path, report: Report) -> Iterator[Row]:
    """Every row of a file that is an object with keys; all else goes to `report`.

    Bytes that are no UTF-8 come through as lone surrogates, so that the values that have them can
    be named.
    """
    suffix = annotation.suffix.lower()
    reader = table if suffix in TABLES else lines if suffix == ".jsonl" else listed
    try:
        if _begins(annotation).startswith(_UTF_16):
            report(Fault("text", str(annotation), "is UTF-16, not UTF-8 text; save it as UTF-8"))
            return
        with annotation.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from reader(file, annotation, report)
    except OSError as error:
        report(Fault("file", str(annotation), refused(annotation, error)))


def _begins(annotation: Path) -> bytes:
    with annotation.open("rb") as file:
        return file.read(2)
