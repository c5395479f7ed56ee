"""The store of one machine: any number of processes may search it while one of them writes.

True here: what `add`, `update`, `remove` and `put_note` did is on the disk when they return;
readers see the last commit; a second writer waits. Few rows, or few that a filter lets through, are
looked at one by one; many through coarse codes that choose candidates, if measurement with
sentences found that this loses nothing that counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tipr.gallery.filters import Among, Filter
from tipr.gallery.local import building, checking, rows, searching
from tipr.gallery.local.database import RECORD, columns, record
from tipr.gallery.local.files import POINTER, Generation, dropped, flushed, point
from tipr.gallery.local.handle import Handle
from tipr.gallery.local.searching import ranked
from tipr.gallery.local.vectors import Vectors
from tipr.gallery.needles import files_holding
from tipr.gallery.record import Hit, Record
from tipr.gallery.store import (
    StoreError,
    Thumbnails,
    check_ids,
    check_k,
    check_records,
    unit_query,
    unit_rows,
)


class LocalStore:
    """Rows in `folder`; `width` makes it where it is not there, and must fit where it is."""

    def __init__(self, folder: Path | str, width: int | None = None) -> None:
        self.folder = Path(folder)
        if width is not None and not (self.folder / POINTER).exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise StoreError(f"{folder} holds other files; choose the name of a new folder")
            Generation(self.folder / "0001", width).close()
            flushed(self.folder / "0001")
            point(self.folder, "0001")
            flushed(self.folder)
        self._handle = Handle(self.folder)
        if width is not None and self.width != width:
            self.close()
            raise ValueError(f"{folder} holds vectors of width {self.width}, not {width}")

    @property
    def width(self) -> int:
        return self._handle.now.width

    def add(
        self, vectors: ArrayLike, records: Sequence[Record], thumbnails: Thumbnails | None = None
    ) -> int:
        units = unit_rows(vectors, self.width)
        check_records(units, records, thumbnails)
        with self._handle.writing() as now:
            self._handle.check_lineage(now)
            there = rows.known(now, [one.id for one in records])
            new = [place for place, one in enumerate(records) if one.id not in there]
            if new:
                small = [thumbnails[place] for place in new] if thumbnails else None
                rows.append(now, units[new], [records[place] for place in new], small)
        return len(new)

    def search(
        self, query: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Hit]:
        return self.search_many(unit_query(query, self.width)[None], k, where, exact=exact)[0]

    def search_many(
        self, queries: ArrayLike, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        check_k(k)
        units = unit_rows(queries, self.width)
        with self._handle.reading() as now:
            found = list(ranked(now, units, k, where, exact))
            slots = sorted({int(slot) for best, _ in found for slot in best})
            records = dict(zip(slots, rows.records(now, slots), strict=True))
        return [
            [Hit(float(score), records[int(slot)]) for slot, score in zip(*scored, strict=True)]
            for scored in found
        ]

    def get(self, id: str) -> Record | None:
        with self._handle.reading() as now:
            found = now.database.all(f"SELECT {RECORD} FROM rows WHERE id = ?", [id])
        return record(found[0]) if found else None

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._handle.reading() as now:
            return set(rows.known(now, ids))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        with self._handle.reading() as now:
            slots = rows.known(now, ids)
            matrix = now.file.rows(now.columns.size)
            return matrix[[slots[id] for id in ids]].reshape(-1, self.width)

    def thumbnail(self, id: str) -> bytes | None:
        with self._handle.reading() as now:
            found = now.database.all(
                "SELECT jpeg FROM thumbnails JOIN rows USING (slot) WHERE id = ?", [id]
            )
        return found[0][0] if found else None

    def ids(self, where: Filter | None = None) -> list[str]:
        with self._handle.reading() as now:
            if where is None:
                return [id for (id,) in now.database.all("SELECT id FROM rows ORDER BY slot")]
            slots = now.columns.chosen(where, now.database)
            return [one.id for page in rows.pages(slots) for one in rows.records(now, page)]

    def records(self, where: Filter | None = None) -> Iterator[Record]:
        for _, some in self._walked(rows.PAGE, where, vectors=False):
            yield from some

    def scan(
        self, batch: int = rows.PAGE, where: Filter | None = None
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        return self._walked(batch, where, vectors=True)

    def _walked(
        self, batch: int, where: Filter | None, vectors: bool
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        """The rows of one moment, less those removed meanwhile, with their vectors if wanted."""
        with self._handle.reading() as now:
            slots, folder = now.columns.chosen(where, now.database), now.folder
        for page in rows.pages(slots, batch):
            with self._handle.reading() as now:
                if now.folder != folder:
                    raise StoreError(f"{self.folder} was rebuilt while it was read; read it again")
                there, some = rows.found(now, page)
                read = now.file.rows(now.columns.size)[there if vectors else []]
            good = np.flatnonzero(read.any(axis=1))  # a row is zero if it is being erased now
            if vectors and len(good) < len(some):
                read, some = read[good], [some[place] for place in good]
            if some:
                yield read, some

    def count(self, where: Filter | None = None) -> int:
        with self._handle.reading() as now:
            return len(now.columns.chosen(where, now.database)) if where else len(now.columns)

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        with self._handle.writing():
            return self._update(records)

    def _update(self, records: Sequence[Record]) -> int:
        now = self._handle.now
        slots = rows.known(now, [one.id for one in records])
        there = [one for one in records if one.id in slots]
        names = [f"{name} = ?" for name in RECORD.split(", ")]
        now.database.many(
            f"UPDATE rows SET {', '.join(names)} WHERE id = ?",
            [(*columns(one), one.id) for one in there],
        )
        rows.log_changes(now, [slots[one.id] for one in there])
        return len(there)

    def change(self, ids: Sequence[str], how: Callable[[Record], Record]) -> int:
        with self._handle.writing():
            there = self.records(Among("id", tuple(ids)))
            return self._update([how(record) for record in there])

    def remove(self, ids: Sequence[str]) -> int:
        with self._handle.lock:
            with self._handle.writing() as now:
                slots = sorted(rows.known(now, ids).values())
                for table in ("rows", "thumbnails"):
                    now.database.many(f"DELETE FROM {table} WHERE slot = ?", [(s,) for s in slots])
                rows.log_changes(now, slots)
            now.file.erase(slots)
        return len(slots)

    def note(self, name: str) -> str | None:
        with self._handle.reading() as now:
            found = now.database.all("SELECT text FROM notes WHERE name = ?", [name])
        return found[0][0] if found else None

    def notes(self) -> dict[str, str]:
        with self._handle.reading() as now:
            return dict(now.database.all("SELECT name, text FROM notes"))

    def put_note(self, name: str, text: str | None) -> None:
        with self._handle.writing() as now:
            self._handle.check_lineage(now)
            now.database.many("DELETE FROM notes WHERE name = ?", [(name,)])
            if text is not None:
                now.database.many("INSERT INTO notes VALUES (?, ?)", [(name, text)])

    def maintain(self, queries: ArrayLike | None = None) -> None:
        with self._handle.reading() as now:
            count, before = now.columns.size, now.database.state("codes")
            alive = now.columns.chosen(None, now.database)
            now.columns.save(now.columns_path)
        with self._handle.writing() as now:
            dropped(self.folder, but=now.folder.name)  # what a compaction that was killed left
        if queries is None or len(alive) <= searching.EXACT:
            return
        units = unit_rows(queries, self.width)
        try:
            facts = building.coded(now, count, alive, before, units)
        except FileNotFoundError:
            if now.folder.exists():
                raise
            return  # rebuilt meanwhile: the next time is soon enough
        if facts is not None:
            with self._handle.writing() as then:
                if then is now:
                    then.database.put_state("codes", json.dumps(facts))

    def compact(self) -> None:
        with self._handle.writing() as now:
            building.rebuilt(now, self.folder)
        self._handle.replaced(now)

    def adopt(self, other: LocalStore, last: Callable[[], None] = lambda: None) -> None:
        """Takes the rows of another store, which is gone then, in place of its own, in one step.

        `last` is called first, while nobody else may write to this store.
        """
        with self._handle.writing() as now:
            last()
            other.close()
            building.moved(other.folder, self.folder)
        self._handle.replaced(now)
        self._handle.lineage = self._handle.now.lineage

    def facts(self) -> dict[str, Any]:
        with self._handle.reading() as now:
            codes = json.loads(now.database.state("codes") or "null")
            return {
                "engine": "local",
                "rows": len(now.columns),
                "removed": now.columns.size - len(now.columns),
                "index": "codes" if now.coarse() else "exact",
                "codes": codes,
                "bytes": now.bytes,
            }

    def check(self, progress: checking.Progress | None = None) -> list[str]:
        """Reads everything; one sentence for each fault, which names the file."""
        with self._handle.lock:
            now = self._handle.newest()
            return list(checking.faults(now, progress))

    def traces(self, needles: Sequence[bytes]) -> list[str]:
        """The files of this store in which any of the byte strings stands."""
        return files_holding(self.folder, needles)

    def __len__(self) -> int:
        with self._handle.reading() as now:
            return len(now.columns)

    def close(self) -> None:
        """Nothing is pending: every addition was safe when it returned."""
        with self._handle.lock:
            self._handle.now.close()
