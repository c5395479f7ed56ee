"""Results as files: a table (CSV, JSON, Parquet), or a folder of pictures that proves itself.

A folder holds `pictures`, `manifest.json` and `manifest.csv` with every fact and the SHA-256 of
every picture, and `manifest.sha256` over all of it, which `sha256sum -c manifest.sha256` checks
without tipr. Everything appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from tipr.data.whole import put
from tipr.gallery.record import Record
from tipr.gallery.results import Group
from tipr.gallery.store import Store
from tipr.gallery.tables import WRITERS, csv_text, json_text

SUMS = "manifest.sha256"
_MANIFEST = "manifest"
_PICTURES = "pictures"
_IN_FOLDER = ("file", "sha256", "picture", "note")
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_LONGEST = 60  # bytes of a camera or an id within a file's name


class ExportError(ValueError):
    """Nothing was written; says what to do instead."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A record with what a search says of it, as far as there was one; `group` is a number."""

    record: Record
    rank: int | None = None
    group: int | None = None
    score: float | None = None
    probability: float | None = None

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("rank", "group", "score", "probability")}
        return {**told, **self.record.to_json()}


@dataclass(frozen=True)
class Exported:
    """What was written; `missing` has the id and the reason where the original is not in it."""

    path: Path
    rows: int
    missing: tuple[tuple[str, str], ...] = ()


def rows_of(groups: Sequence[Group], start: int = 1) -> list[Row]:
    """A row for each hit of each group, best first; groups and rows are numbered from `start`.

    The probability of a group is said once, in the row of its best shot.
    """
    ranks = count(start)
    return [
        Row(
            record=hit.record,
            rank=next(ranks),
            group=number,
            score=hit.score,
            probability=group.probability if hit is group.best else None,
        )
        for number, group in enumerate(groups, start)
        for hit in group.hits
    ]


def export(
    rows: Sequence[Row], out: Path | str, facts: Mapping[str, Any], store: Store | None = None
) -> Exported:
    """Writes the format of `out`'s ending (.csv, .json, .parquet), or a folder of that name.

    `facts` (JSON values: query, filter, gallery, model) stand at the head of JSON and Parquet and
    in a folder's manifest; CSV has no place for them. `when` is added unless it is there.

    In CSV, text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a
    carriage return) has an apostrophe before it; JSON and Parquet keep all text as it is.

    A folder takes each original that still has the bytes of its record's id, else the thumbnail of
    `store`. An existing file is replaced, an existing folder only if it is empty.
    """
    out = Path(out).absolute()
    facts = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
    write = WRITERS.get(out.suffix.lower())
    if write is None:
        return _write_folder(rows, out, facts, store)
    if out.is_dir():
        raise ExportError(f"{out} is a folder; choose another name for the file")
    data = write([row.to_json() for row in rows], facts)
    out.parent.mkdir(parents=True, exist_ok=True)
    put(out, data)
    return Exported(out, len(rows))


def verify_export(folder: Path | str) -> list[str]:
    """Names the files of an exported folder that are missing, changed or added; [] if none.

    Whoever can change a file can change `manifest.sha256` too: keep its hash in another place.
    """
    folder = Path(folder)
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(
            f"{folder} is no whole export of tipr, its {SUMS} cannot be read; "
            "give the folder that `tipr search --export` wrote"
        ) from error
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not _plain_folder(p)}
    wrong, listed = [], {SUMS}
    for number, line in enumerate(lines, start=1):
        match = _SUM.fullmatch(line)
        if not match:
            wrong.append(f"{SUMS}: line {number} is damaged")
            continue
        digest, name = match.groups()
        listed.add(name)
        if name not in found:
            wrong.append(f"{name}: missing")
        elif not _plain_file(folder / name) or _sha256(folder / name) != digest:
            wrong.append(f"{name}: changed")
    return wrong + [f"{name}: added" for name in sorted(found - listed)]


def _write_folder(
    rows: Sequence[Row], out: Path, facts: Mapping[str, Any], store: Store | None
) -> Exported:
    told = []
    missing = []
    with _draft(out) as draft:
        (draft / _PICTURES).mkdir()
        taken: set[str] = set()
        for number, row in enumerate(rows, start=1):
            data, picture, note = _picture(row.record, store)
            name, digest = "", ""
            if data is not None:
                ending = Path(row.record.path).suffix if picture == "original" else ".jpg"
                name = f"{_PICTURES}/{_name(row, number, ending, taken)}"
                put(draft / name, data)
                digest = hashlib.sha256(data).hexdigest()
            if note:
                missing.append((row.record.id, note))
            facts_of = {"file": name, "sha256": digest, "picture": picture, "note": note}
            told.append({**row.to_json(), **facts_of})
        counted = {"pictures": len(taken), "without_original": len(missing)}
        put(draft / f"{_MANIFEST}.json", json_text(told, {**facts, **counted}))
        put(draft / f"{_MANIFEST}.csv", csv_text(told, more=_IN_FOLDER))
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        sums = [f"{_sha256(path)}  {path.relative_to(draft).as_posix()}\n" for path in files]
        put(draft / SUMS, "".join(sums))
    return Exported(out, len(rows), tuple(missing))


@contextmanager
def _draft(out: Path) -> Generator[Path, None, None]:
    """A folder beside `out` that takes its place at the end, or is gone after an error."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExportError(f"{out} exists and is not an empty folder; choose a new name")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".export-", dir=out.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if out.is_dir():  # empty, and Windows renames onto no folder
            out.rmdir()
        draft.replace(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _picture(record: Record, store: Store | None) -> tuple[bytes | None, str, str]:
    """The bytes, what they are ("original", "thumbnail", "none") and why no original."""
    note = ""
    if record.path:
        try:
            data = Path(record.path).read_bytes()
            if hashlib.sha256(data).hexdigest()[:32] == record.id:
                return data, "original", ""
            note = "the original was changed since it was indexed"
        except (OSError, ValueError) as error:  # ValueError: no path at all
            told = error.strerror if isinstance(error, OSError) else None
            note = f"the original cannot be read: {(told or str(error)).lower()}"
    small = store.thumbnail(record.id) if store is not None else None
    if small is None:
        return None, "none", f"{note or 'no original is known'}; no thumbnail either"
    return small, "thumbnail", f"{note}; this is the thumbnail" if note else ""


def _name(row: Row, number: int, ending: str, taken: set[str]) -> str:
    """Such as 0001_lobby_20261101T150000Z_ID.jpg, safe on every file system and not yet taken."""
    record = row.record
    when = f"{record.time:%Y%m%dT%H%M%SZ}" if record.time else ""
    parts = [f"{row.rank or number:04}", _safe(record.camera), when, _safe(record.id)]
    stem = "_".join(part for part in parts if part)
    ending = ending.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", ending) else ""
    names = (f"{stem}{again}{ending}" for again in ("", *(f"-{n}" for n in range(2, number + 1))))
    name = next(name for name in names if name.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _safe(text: str) -> str:
    """Letters, digits, - and _ of any script, cut to a few bytes."""
    return re.sub(r"[^\w-]+", "-", text).encode()[:_LONGEST].decode(errors="ignore")


def _plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
