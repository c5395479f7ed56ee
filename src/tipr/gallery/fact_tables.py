"""A table of facts beside the pictures: records.csv, records.tsv or records.jsonl.

The column `path` is the name inside the folder. Other columns are fields of a record or, by any
other name, keys of `extra`. Empty cells say nothing. In CSV and TSV, what stands in a column of
`extra` is read as JSON where it is JSON (31 is a number), and is text elsewhere.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tipr.gallery.editing import edited
from tipr.gallery.facts import GIVEN, FactError, fact, json_or_text
from tipr.gallery.record import Record

NAMES = ("records.csv", "records.tsv", "records.jsonl")
_Row = tuple[int, dict[str, Any]]  # the number of its line, its cells


def table_in(folder: Path | str) -> Path | None:
    """The table in a folder of pictures, if there is one."""
    there = [path for name in NAMES if (path := Path(folder) / name).is_file()]
    if len(there) > 1:
        raise FactError(
            f"{folder} holds {' and '.join(path.name for path in there)}; keep the right one"
        )
    return there[0] if there else None


def facts_by_name(table: Path, zone: str | None = None) -> dict[str, dict[str, Any]]:
    """What the table says of each file, by its name inside the folder.

    Raises:
        FactError: a row that cannot be meant, with its line.
    """
    read = {".jsonl": _objects, ".csv": _cells, ".tsv": _cells}.get(table.suffix.lower())
    if read is None:
        raise FactError(f"{table} is no table of facts; such a table is CSV, TSV or JSONL")
    lines: dict[str, int] = {}
    found: dict[str, dict[str, Any]] = {}
    for line, row in _readable(table, read(table)):
        try:
            name = _name(row.pop("path", None))
            if name in lines:
                raise FactError(f"{name} is in line {lines[name]} already; keep one of them")
            lines[name] = line
            kept = {column: fact(column, value, zone) for column, value in row.items()}
            edited(Record(""), kept)
        except ValueError as error:
            raise FactError(f"{table}, line {line}: {error}") from None
        found[name] = {column: value for column, value in kept.items() if value is not None}
    return found


def _name(path: Any) -> str:
    if not isinstance(path, str) or not path.strip():
        raise FactError("it has no path; write the name of a picture inside the folder")
    return PurePosixPath(path.strip().replace("\\", "/")).as_posix()


def _readable(table: Path, rows: Iterator[_Row]) -> Iterator[_Row]:
    """The rows, with the errors of files in words."""
    try:
        yield from rows
    except UnicodeDecodeError:
        raise FactError(f"{table} is not UTF-8; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise FactError(f"{table} cannot be read as a table: {error}") from None


def _cells(table: Path) -> Iterator[_Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        tabs = table.suffix.lower() == ".tsv"
        lines = csv.reader(file, delimiter="\t" if tabs else ",", strict=True)
        header = [cell.strip() for cell in next(lines, [])]
        if "path" not in header or len(set(header)) < len(header) or not all(header):
            raise FactError(
                f"{table}, line 1: the columns are {', '.join(header) or 'missing'}; one of them is"
                f" path, each has a name of its own, {'tabs' if tabs else 'commas'} between them"
            )
        for cells in lines:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    raise FactError(
                        f"{table}, line {lines.line_num}: {len(cells)} cells under "
                        f"{len(header)} columns"
                    )
                yield (
                    lines.line_num,
                    {
                        column: cell.strip() if column in GIVEN else json_or_text(cell.strip())
                        for column, cell in zip(header, cells, strict=True)
                    },
                )


def _objects(table: Path) -> Iterator[_Row]:
    with table.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise FactError(f"{table}, line {number}: it is no JSON object")
            yield number, row
