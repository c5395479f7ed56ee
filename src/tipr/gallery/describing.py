"""Where the facts of a crop come from when a folder is indexed.

Facts that hold for all are overruled by those in a file's name, and these by the table beside the
pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tipr.gallery.editing import edited
from tipr.gallery.fact_tables import facts_by_name, table_in
from tipr.gallery.facts import FactError, zone_of
from tipr.gallery.patterns import Pattern, pattern
from tipr.gallery.record import Record

_FIELDS = ("camera", "time", "track", "box", "frame", "source", "extra")


@dataclass(frozen=True)
class Describer:
    """The facts of a file as fields of a record; made by `describer`, used by any thread."""

    fixed: Mapping[str, Any]
    pattern: Pattern | None
    table: Mapping[str, Mapping[str, Any]]
    _used: set[str] = field(default_factory=set)

    def __call__(self, path: Path, name: str) -> dict[str, Any]:
        """Only what is known. FactError for a name that does not fit the pattern."""
        found = dict(self.fixed)
        if self.pattern is not None:
            found |= self.pattern.read(name)
        if name in self.table:
            self._used.add(name)
            found |= self.table[name]
        record = edited(Record(""), found)
        values = {key: getattr(record, key) for key in _FIELDS}
        return {key: value for key, value in values.items() if value not in ("", None, {})}

    def unused(self) -> list[str]:
        """The rows of the table that no file has asked for yet, by the names in them."""
        return [name for name in self.table if name not in self._used]


def describer(
    fixed: Mapping[str, Any] | None = None,
    names: str = "",
    table: Path | None = None,
    zone: str | None = None,
) -> Describer:
    """`fixed` facts of all files, a pattern or preset for their `names`, a `table` beside them.

    Times that name no zone are of the IANA `zone`. The table is read whole, so that its mistakes
    show before anything is indexed.

    Raises:
        FactError: a mistake in any of them.
    """
    fixed = dict(fixed or {})
    if "path" in fixed:
        raise FactError("the path of a picture is where it lies; it is not given by hand")
    zone_of(zone or "UTC")
    edited(Record(""), fixed)
    read = pattern(names, zone) if names else None
    return Describer(fixed, read, facts_by_name(table, zone) if table else {})


@dataclass(frozen=True)
class ByFolder:
    """The facts of files in several folders, each with its own describer."""

    folders: Mapping[Path, Describer]

    def __call__(self, path: Path, name: str) -> dict[str, Any]:
        home = next(folder for folder in self.folders if path.is_relative_to(folder))
        return self.folders[home](path, name)

    def unused(self) -> list[str]:
        return [name for one in self.folders.values() for name in one.unused()]


def described_folders(
    folders: Iterable[Path | str],
    fixed: Mapping[str, Any] | None = None,
    names: str = "",
    table: Path | None = None,
    zone: str | None = None,
) -> ByFolder:
    """`describer` for each folder; without a `table` the one that lies in a folder tells of it."""
    return ByFolder(
        {
            Path(folder).absolute(): describer(fixed, names, table or table_in(folder), zone)
            for folder in folders
        }
    )
