"""The records of a local store: one SQLite file, in which every commit is flushed to the disk.

SQLite gives one writer at a time (others wait, then are told), any number of readers that see the
last commit, and a file that is whole after a kill or a power cut. Not for network file systems,
where its write-ahead log cannot work.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tipr.gallery.record import Record, microseconds
from tipr.gallery.sql import extra_text
from tipr.gallery.store import StoreError

WAITS = 60.0  # seconds for another writer
RECORD = "id, path, camera, time, track, box, frame, source, indexed, model, extra"
_NAMES = RECORD.split(", ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NO_ROOM = ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL")
_SCHEMA = """
CREATE TABLE rows(
  slot INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL, camera TEXT NOT NULL,
  time INTEGER, track TEXT NOT NULL, box TEXT, frame INTEGER, source TEXT NOT NULL,
  indexed INTEGER, model TEXT NOT NULL, extra TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE INDEX rows_camera_time ON rows(camera, time);
CREATE INDEX rows_time ON rows(time);
CREATE INDEX rows_track ON rows(track);
CREATE TABLE thumbnails(slot INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
CREATE TABLE notes(name TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE changes(number INTEGER PRIMARY KEY AUTOINCREMENT, slot INTEGER NOT NULL);
CREATE TABLE state(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Database:
    """One connection; its user sees to it that one thread uses it at a time."""

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self.limited = False
        with self.named_errors("open"):
            try:
                self._db = self._connected("rwc" if create else "rw")
                if create:
                    self._db.execute("PRAGMA page_size=8192")
                    self._db.execute("PRAGMA journal_mode=WAL")
                    self._db.executescript(_SCHEMA)
                self._db.execute("SELECT count(*) FROM state").fetchone()
            except sqlite3.OperationalError as error:
                if create or not error.sqlite_errorname.startswith(_NO_ROOM):
                    raise
                self._open_to_read()

    def _connected(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(
            address, uri=True, timeout=WAITS, check_same_thread=False, isolation_level=None
        )
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        return db

    def _open_to_read(self) -> None:
        """On a disk so full that not even the list of readers fits on it, and on one that may only
        be read: without that list, so that writing has to wait for another opening."""
        self.limited = True
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size:
            self._db = self._connected("rw")
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        else:
            self._db = self._connected("ro&immutable=1")
        self._db.execute("SELECT count(*) FROM state").fetchone()

    @property
    def version(self) -> int:
        """Changes whenever another connection has committed."""
        return self.all("PRAGMA data_version")[0][0]

    @property
    def writes(self) -> bool:
        """Whether a transaction is open."""
        return self._db.in_transaction

    def all(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        with self.named_errors("read"):
            return self._db.execute(sql, tuple(values)).fetchall()

    def stream(self, sql: str, values: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows one by one, of one moment."""
        with self.named_errors("read"):
            yield from self._db.execute(sql, tuple(values))

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._db.executemany(sql, rows)

    @contextmanager
    def reading(self) -> Generator[None]:
        """What is read inside is of one moment; inside `writing`, of that transaction."""
        if self.writes:
            yield
            return
        with self.named_errors("read"):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def writing(self, still: Callable[[], bool] = lambda: True) -> Generator[bool]:
        """One transaction, flushed to the disk when it ends, or nothing of it.

        Yields whether `still` holds once it is our turn; if not, nothing may be written.
        """
        with self.named_errors("write"):
            if self.limited:
                raise StoreError(_full(self.path, ", or may not be written"))
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield still()
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def state(self, name: str) -> str | None:
        found = self.all("SELECT value FROM state WHERE name = ?", [name])
        return found[0][0] if found else None

    def put_state(self, name: str, value: str | int) -> None:
        """Inside `writing`."""
        self.many("INSERT OR REPLACE INTO state VALUES (?, ?)", [(name, str(value))])

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def named_errors(self, verb: str) -> Generator[None]:
        """SQLite's errors in words that say what is safe."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(_sentence(self.path, verb, error)) from error
        except OSError as error:
            if isinstance(error, StoreError) or error.errno != 28:
                raise
            raise StoreError(_full(self.path)) from error


def _sentence(path: Path, verb: str, error: sqlite3.DatabaseError) -> str:
    text = str(error)
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_FULL"):
        return _full(path)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"another process has been writing to {path.parent.parent} for {WAITS:.0f} seconds; "
            "wait until it is done, then run the same command again"
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return (
            f"{path} is damaged ({text}); `tipr gallery check` says how far, and a copy of the "
            "gallery or the pictures bring it back"
        )
    if code.startswith("SQLITE_READONLY"):
        return f"{path} may not be written by this user; change its permissions, or its owner"
    return f"cannot {verb} the rows in {path}: {text}"


def _full(path: Path, perhaps: str = "") -> str:
    return (
        f"the disk that holds {path.parent.parent} is full{perhaps}; what was stored before is "
        "safe. Free some space and run the same command again: it goes on where it stopped"
    )


def columns(record: Record) -> tuple[Any, ...]:
    """The values of `RECORD`."""
    return (
        record.id, record.path, record.camera, record.time and microseconds(record.time),
        record.track, json.dumps(record.box) if record.box else None, record.frame, record.source,
        record.indexed and microseconds(record.indexed), record.model, extra_text(record.extra),
    )  # fmt: skip


def record(values: Sequence[Any]) -> Record:
    """From the values of `RECORD`."""
    facts = dict(zip(_NAMES, values, strict=True))
    for name in ("time", "indexed"):
        facts[name] = moment(facts[name])
    facts["box"] = tuple(json.loads(facts["box"])) if facts["box"] else None
    facts["extra"] = json.loads(facts["extra"]) if facts["extra"] != "{}" else {}
    return Record(**facts)


def moment(since: int | None) -> datetime | None:
    return None if since is None else _EPOCH + timedelta(microseconds=since)
