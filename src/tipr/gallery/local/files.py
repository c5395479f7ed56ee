"""One generation of a local store: a folder with the records, the vectors and what is derived.

    current.json            which of the folders below is the one in use
    0001/rows.db            records, thumbnails, notes (SQLite), and how many vectors count
    0001/vectors.f32        one row of float32 for each slot
    0001/columns.npz        derived: what filters look at
    0001/codes.faiss        derived: coarse codes of the vectors, for many rows

A new generation is built beside the old one and put in its place by writing `current.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tipr.data.whole import put
from tipr.gallery.local.codes import Codes
from tipr.gallery.local.columns import Columns
from tipr.gallery.local.database import Database
from tipr.gallery.local.vectors import VectorFile
from tipr.gallery.store import StoreError

POINTER = "current.json"
FORMAT = 2


def current(folder: Path) -> str:
    """The name of the generation in use. Raises `StoreError` for a pointer that points nowhere."""
    try:
        facts = json.loads((folder / POINTER).read_text(encoding="utf-8"))
        version, name = facts["format"], facts["folder"]
    except FileNotFoundError as error:
        raise StoreError(f"there are no rows in {folder}: it has no {POINTER}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{folder / POINTER} is damaged; it names the newest folder beside it, as "
            f'{{"format": {FORMAT}, "folder": "0001"}}'
        ) from error
    if version != FORMAT:
        raise StoreError(
            f"{folder} has gallery format {version}, this tipr reads {FORMAT}; use the tipr that "
            "made it, or index the pictures into a new gallery"
        )
    return str(name)


def point(folder: Path, name: str) -> None:
    """Puts a generation in use, in one step."""
    put(folder / POINTER, json.dumps({"format": FORMAT, "folder": name}) + "\n")


def following(folder: Path) -> str:
    """A name for the next generation, after all that are there."""
    numbers = [int(path.name) for path in generations(folder)]
    return f"{max(numbers, default=0) + 1:04d}"


def generations(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_dir() and path.name.isdigit())


class Generation:
    """The open files of one folder, and what is derived from them."""

    def __init__(self, folder: Path, width: int | None = None) -> None:
        """Opens the folder, or makes it for vectors of `width`."""
        self.folder = folder
        if width is not None:
            folder.mkdir()
        self.database = Database(folder / "rows.db", create=width is not None)
        if width is not None:
            with self.database.writing():
                self.database.put_state("width", width)
                self.database.put_state("lineage", uuid.uuid4().hex)
                self.database.put_state("next", 0)
        self.width = int(self.database.state("width") or 0)
        self.lineage = self.database.state("lineage") or ""  # shared by what compaction makes
        self.file = VectorFile(folder / "vectors.f32", self.width, create=width is not None)
        self.columns = self._columns()
        self.codes: Codes | None = None
        self._codes_of = ""
        self._version = -1

    @property
    def bytes(self) -> int:
        sizes = 0
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # a draft that was put in its place
                sizes += path.stat().st_size
        return sizes

    @property
    def columns_path(self) -> Path:
        return self.folder / "columns.npz"

    @property
    def codes_path(self) -> Path:
        return self.folder / "codes.faiss"

    def follow(self) -> None:
        """Takes in what other processes, or this one, have committed."""
        version = self.database.version
        if version != self._version:
            self.columns.follow(self.database)
            self._version = version

    def changed(self) -> None:
        """This process has written; SQLite tells of others only."""
        self._version = -1

    def coarse(self) -> Codes | None:
        """The codes, where they were found to be worth it; read when first asked for."""
        facts = self.database.state("codes") or ""
        if facts != self._codes_of:
            self.codes, self._codes_of = None, facts
            if facts and json.loads(facts)["used"]:
                with suppress(OSError, ValueError):  # `check` tells; all rows are read
                    self.codes = Codes.load(self.codes_path)
        return self.codes

    def _columns(self) -> Columns:
        try:
            columns = Columns.load(self.columns_path)
        except (OSError, ValueError):
            return Columns()
        last = self.database.all("SELECT coalesce(max(number), 0) FROM changes")[0][0]
        behind = columns.size > int(self.database.state("next") or 0) or columns.change > last
        return Columns() if behind else columns

    def close(self) -> None:
        self.database.close()
        self.file.close()


def dropped(folder: Path, but: str) -> None:
    """Deletes the generations that are not in use; what cannot be deleted now is so later."""
    for path in list(generations(folder)):
        ours = (path / "rows.db").exists() or not any(path.iterdir())
        if path.name != but and ours:
            shutil.rmtree(path, ignore_errors=True)


def flushed(folder: Path) -> None:
    """The names in a folder, on the disk; nothing to do on Windows."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
