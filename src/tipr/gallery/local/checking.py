"""Is everything on the disk what was put there? Reads all of it, and names what is not."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator

from tipr.gallery.local.codes import Codes
from tipr.gallery.local.columns import Columns
from tipr.gallery.local.files import Generation
from tipr.gallery.store import StoreError

_PAGE = 5000
Progress = Callable[[int, int], None]


def faults(now: Generation, progress: Progress | None = None) -> Iterator[str]:
    """One sentence for each fault, beginning with the file."""
    name = now.folder.name
    yield from _of_database(now, f"{name}/rows.db")
    try:
        yield from _of_vectors(now, f"{name}/vectors.f32", progress)
    except (StoreError, sqlite3.DatabaseError) as error:
        yield f"{name}/rows.db: {error}"
    if now.columns_path.exists():
        try:
            Columns.load(now.columns_path)
        except (OSError, ValueError) as error:
            yield f"{name}/columns.npz is damaged ({error}); `tipr gallery tidy` makes it anew"
    if json.loads(now.database.state("codes") or "null"):
        try:
            Codes.load(now.codes_path)
        except (OSError, ValueError) as error:
            yield f"{name}/codes.faiss is damaged ({error}); `tipr gallery tidy` makes it anew"


def _of_database(now: Generation, name: str) -> Iterator[str]:
    try:
        for (said,) in now.database.all("PRAGMA integrity_check(5)"):
            if said != "ok":
                yield f"{name} is damaged: {said.splitlines()[-1]}"
    except StoreError as error:
        yield f"{name} is damaged: {error}"


def _of_vectors(now: Generation, name: str, progress: Progress | None) -> Iterator[str]:
    """Each vector against the checksum that was taken when it came in."""
    count = int(now.database.state("next") or 0)
    try:
        rows = now.file.rows(count)
    except OSError as error:
        yield str(error).replace(str(now.folder.parent) + "/", "")
        return
    last = -1
    while found := now.database.all(
        "SELECT slot, id, checksum FROM rows WHERE slot > ? AND slot < ? ORDER BY slot LIMIT ?",
        [last, count, _PAGE],
    ):
        for slot, id, checksum in found:
            if zlib.crc32(rows[slot].tobytes()) != checksum and _is_there(now, slot):
                yield f"{name}: the vector of {id} is not the one that was stored"
        last = found[-1][0]
        now.file.let_go()
        if progress is not None:
            progress(last + 1, count)


def _is_there(now: Generation, slot: int) -> bool:
    """Or it was removed since it was read."""
    return bool(now.database.all("SELECT 1 FROM rows WHERE slot = ?", [slot]))
