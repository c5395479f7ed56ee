"""The store of one machine: any number of processes may search it while one of them writes.

True here: what `add`, `update`, `remove` and `put_note` did is on the disk when they return;
readers see the last commit; a second writer waits. Few rows, or few that a filter lets through, are
looked at one by one; many through coarse codes that choose candidates, if measurement with
sentences found that this loses nothing that counts.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tipr.gallery.filters import Filter
from tipr.gallery.local import building, checking, rows, searching
from tipr.gallery.local.database import RECORD, columns, record
from tipr.gallery.local.files import POINTER, Generation, current, dropped, flushed, point
from tipr.gallery.local.searching import ranked
from tipr.gallery.local.vectors import Slots, Vectors
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
        self._lock = threading.RLock()
        if width is not None and not (self.folder / POINTER).exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            dropped(self.folder, but="")
            Generation(self.folder / "0001", width).close()
            flushed(self.folder / "0001")
            point(self.folder, "0001")
            flushed(self.folder)
        self._pointer, self._now = self._opened()
        self.width = self._now.width
        if width is not None and self.width != width:
            self.close()
            raise ValueError(f"{folder} holds vectors of width {self.width}, not {width}")

    def add(
        self, vectors: ArrayLike, records: Sequence[Record], thumbnails: Thumbnails | None = None
    ) -> int:
        units = unit_rows(vectors, self.width)
        check_records(units, records, thumbnails)
        with self._writing() as now:
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
        with self._reading() as now:
            found = list(ranked(now, units, k, where, exact))
            slots = sorted({int(slot) for best, _ in found for slot in best})
            records = dict(zip(slots, rows.records(now, slots), strict=True))
        return [
            [Hit(float(score), records[int(slot)]) for slot, score in zip(*scored, strict=True)]
            for scored in found
        ]

    def get(self, id: str) -> Record | None:
        with self._reading() as now:
            found = now.database.all(f"SELECT {RECORD} FROM rows WHERE id = ?", [id])
        return record(found[0]) if found else None

    def known(self, ids: Sequence[str]) -> set[str]:
        with self._reading() as now:
            return set(rows.known(now, ids))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        with self._reading() as now:
            slots = rows.known(now, ids)
            matrix = now.file.rows(now.columns.size)
            return matrix[[slots[id] for id in ids]].reshape(-1, self.width)

    def thumbnail(self, id: str) -> bytes | None:
        with self._reading() as now:
            found = now.database.all(
                "SELECT jpeg FROM thumbnails JOIN rows USING (slot) WHERE id = ?", [id]
            )
        return found[0][0] if found else None

    def ids(self, where: Filter | None = None) -> list[str]:
        with self._reading() as now:
            if where is None:
                return [id for (id,) in now.database.all("SELECT id FROM rows ORDER BY slot")]
            slots = now.columns.chosen(where, now.database)
            return [one.id for page in rows.pages(slots) for one in rows.records(now, page)]

    def records(self, where: Filter | None = None) -> Iterator[Record]:
        for _, some in self._walked(rows.PAGE, where):
            yield from some

    def scan(
        self, batch: int = rows.PAGE, where: Filter | None = None
    ) -> Iterator[tuple[Vectors, list[Record]]]:
        for slots, some in self._walked(batch, where):
            with self._lock:
                vectors = self._now.file.rows(int(slots[-1]) + 1)[slots]
            yield vectors, some

    def _walked(self, batch: int, where: Filter | None) -> Iterator[tuple[Slots, list[Record]]]:
        """The rows of one moment, less those removed meanwhile."""
        with self._reading() as now:
            slots = now.columns.chosen(where, now.database)
        for page in rows.pages(slots, batch):
            with self._lock:
                if self._now is not now:
                    raise StoreError(f"{self.folder} was rebuilt while it was read; read it again")
                there = rows.present(now, page)
                some = rows.records(now, there)
            if some:
                yield np.asarray(there, np.int64), some

    def count(self, where: Filter | None = None) -> int:
        with self._reading() as now:
            return len(now.columns.chosen(where, now.database)) if where else len(now.columns)

    def update(self, records: Sequence[Record]) -> int:
        check_ids(records)
        with self._writing() as now:
            slots = rows.known(now, [one.id for one in records])
            there = [one for one in records if one.id in slots]
            names = [f"{name} = ?" for name in RECORD.split(", ")]
            now.database.many(
                f"UPDATE rows SET {', '.join(names)} WHERE id = ?",
                [(*columns(one), one.id) for one in there],
            )
            rows.log_changes(now, [slots[one.id] for one in there])
        return len(there)

    def remove(self, ids: Sequence[str]) -> int:
        with self._writing() as now:
            slots = sorted(rows.known(now, ids).values())
            for table in ("rows", "thumbnails"):
                now.database.many(f"DELETE FROM {table} WHERE slot = ?", [(s,) for s in slots])
            rows.log_changes(now, slots)
        with self._lock:
            now.file.erase(slots)
        return len(slots)

    def note(self, name: str) -> str | None:
        with self._reading() as now:
            found = now.database.all("SELECT text FROM notes WHERE name = ?", [name])
        return found[0][0] if found else None

    def notes(self) -> dict[str, str]:
        with self._reading() as now:
            return dict(now.database.all("SELECT name, text FROM notes"))

    def put_note(self, name: str, text: str | None) -> None:
        with self._writing() as now:
            now.database.many("DELETE FROM notes WHERE name = ?", [(name,)])
            if text is not None:
                now.database.many("INSERT INTO notes VALUES (?, ?)", [(name, text)])

    def maintain(self, queries: ArrayLike | None = None) -> None:
        with self._reading() as now:
            count, before = now.columns.size, now.database.state("codes")
            alive = now.columns.chosen(None, now.database)
            now.columns.save(now.columns_path)
        with self._writing() as now:
            dropped(self.folder, but=now.folder.name)  # what a compaction that was killed left
        if queries is None or len(alive) <= searching.EXACT:
            return
        units = unit_rows(queries, self.width)
        facts = building.coded(now, count, alive, before, units)
        if facts is not None:
            with self._writing() as then:
                if then is now:
                    then.database.put_state("codes", json.dumps(facts))

    def compact(self) -> None:
        with self._writing() as now:
            building.rebuilt(now, self.folder)
        self._replaced(now)

    def adopt(self, other: LocalStore, last: Callable[[], None] = lambda: None) -> None:
        """Takes the rows of another store, which is gone then, in place of its own, in one step.

        `last` is called first, while nobody else may write to this store.
        """
        with self._writing() as now:
            last()
            other.close()
            building.moved(other.folder, self.folder)
        self._replaced(now)

    def facts(self) -> dict[str, Any]:
        with self._reading() as now:
            codes = json.loads(now.database.state("codes") or "null")
            return {
                "engine": "local",
                "rows": len(now.columns),
                "removed": now.columns.size - len(now.columns),
                "index": "codes" if now.coarse() else "exact",
                "codes": codes,
                "bytes": sum(path.stat().st_size for path in now.folder.iterdir()),
            }

    def check(self, progress: checking.Progress | None = None) -> list[str]:
        """Reads everything; one sentence for each fault, which names the file."""
        with self._lock:
            if self._stamp() != self._pointer:
                self._reopen()
            return list(checking.faults(self._now, progress))

    def traces(self, needles: Sequence[bytes]) -> list[str]:
        """The files of this store in which any of the byte strings stands."""
        return files_holding(self.folder, needles)

    def __len__(self) -> int:
        with self._reading() as now:
            return len(now.columns)

    def close(self) -> None:
        """Nothing is pending: every addition was safe when it returned."""
        with self._lock:
            self._now.close()

    @contextmanager
    def _reading(self) -> Generator[Generation]:
        """The newest rows, all of one moment."""
        with self._lock:
            moved = self._stamp() != self._pointer or self._now.database.limited
            if moved and not self._now.database.writes:
                self._reopen()
            with self._now.database.reading():
                self._now.follow()
                yield self._now

    @contextmanager
    def _writing(self) -> Generator[Generation]:
        """One transaction; waits for another writer, who may have put a new generation in use."""
        with self._lock:
            while True:
                if self._now.database.limited:
                    self._reopen()
                now = self._now
                with now.database.writing(lambda: self._stamp() == self._pointer) as ours:
                    if ours:
                        yield now
                if ours:
                    now.changed()
                    return
                self._reopen()

    def _replaced(self, old: Generation) -> None:
        with self._lock:
            self._reopen()
        shutil.rmtree(old.folder, ignore_errors=True)

    def _reopen(self) -> None:
        old = self._now
        self._pointer, self._now = self._opened()
        if old is not self._now:
            old.close()

    def _opened(self) -> tuple[tuple[int, int], Generation]:
        """Again where it was rebuilt between the reading of its name and the opening."""
        while True:
            stamp = self._stamp()
            try:
                return stamp, Generation(self.folder / current(self.folder))
            except (StoreError, OSError):
                if stamp == self._stamp():
                    raise

    def _stamp(self) -> tuple[int, int]:
        try:
            found = (self.folder / POINTER).stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns
