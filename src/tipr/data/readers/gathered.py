"""Rows into entries: each row checked, and the rows about one file joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tipr.data.readers.entries import SPLITS, Entry, Fault, Report, Row, Split
from tipr.data.readers.fields import (
    PERSON_KEYS,
    BadField,
    camera_of,
    captions_of,
    file_of,
    person_of,
    split_of,
)

_SPLIT = re.compile(r"(?:^|[-_])(train|val|test)(?:[-_]?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the rows of one annotation file are understood."""

    source: str  # its name
    split: Split | None = None  # of the rows that name none
    person_keys: Sequence[str] = PERSON_KEYS


def named_split(annotation: Path) -> Split | None:
    """The split in an annotation file's name: of train.json, cuhk_val.json, test-0001.tar."""
    match = _SPLIT.search(annotation.stem)
    return next((split for split in SPLITS if match and split == match[1].lower()), None)


@dataclass
class Gathering:
    """Entries so far, one for each file."""

    report: Report
    found: list[Entry] = field(default_factory=list)
    _place: dict[str, int] = field(default_factory=dict)
    _more: dict[int, list[str]] = field(default_factory=dict)  # captions from further rows
    _known: dict[int, set[str]] = field(default_factory=dict)

    def take(self, rows: Iterable[Row], reading: Reading) -> None:
        for row in rows:
            try:
                self._add(self._entry(row, reading), row.where)
            except BadField as error:
                self.report(Fault(error.kind, row.where, str(error)))

    def entries(self) -> list[Entry]:
        """All of them, each with the captions of all its rows."""
        for place, captions in self._more.items():
            entry = self.found[place]
            self.found[place] = replace(entry, captions=entry.captions + tuple(captions))
        self._more.clear()
        return self.found

    def _entry(self, row: Row, reading: Reading) -> Entry:
        file = file_of(row.fields)
        captions = captions_of(row.fields)
        spoken = tuple(filter(None, captions))
        if not spoken:
            raise BadField("keys", f"{file} has only empty captions; write one or remove the entry")
        if len(spoken) < len(captions):
            self.report(Fault("empty caption", row.where, f"a caption of {file} is empty"))
        return Entry(
            number=row.number,
            file=file,
            captions=spoken,
            person=person_of(row.fields, reading.person_keys),
            split=split_of(row.fields, reading.split),
            camera=camera_of(row.fields, file),
            source=reading.source,
        )

    def _add(self, entry: Entry, where: str) -> None:
        place = self._place.setdefault(entry.file, len(self.found))
        if place == len(self.found):
            self.found.append(entry)
            return
        first = self.found[place]
        _check_same(first, entry)
        known = self._known.setdefault(place, set(first.captions))
        if known.issuperset(entry.captions):
            says = f"says of {entry.file} what entry {first.number} says already; remove it"
            self.report(Fault("duplicate", where, says))
            return
        known.update(entry.captions)
        self._more.setdefault(place, []).extend(entry.captions)


def _check_same(first: Entry, again: Entry) -> None:
    named = f"{again.file} is of"
    said = f"but entry {first.number} of {first.source} says"
    if str(first.person) != str(again.person):
        says = f"{named} person {again.person}, {said} {first.person}; one of them is wrong"
        raise BadField("person", says)
    if first.split != again.split:
        raise BadField("split", f"{named} {again.split}, {said} {first.split}; choose one")
