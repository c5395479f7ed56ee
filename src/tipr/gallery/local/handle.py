"""Which generation of a local store this process works on; follows when another takes its place."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tipr.gallery.local.files import POINTER, Generation, current
from tipr.gallery.store import StoreError


class Handle:
    """The generation in use, for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self._pointer, self.now = self._opened()
        self.lineage = self.now.lineage

    def newest(self) -> Generation:
        """The generation in use now; inside `writing`, the one that is written."""
        moved = self._stamp() != self._pointer or self.now.database.limited
        if moved and not self.now.database.writes:
            self._reopen()
        return self.now

    @contextmanager
    def reading(self) -> Generator[Generation]:
        """The newest rows, all of one moment."""
        with self.lock:
            now = self.newest()
            with now.database.reading():
                now.follow()
                yield now

    @contextmanager
    def writing(self) -> Generator[Generation]:
        """One transaction; waits for another writer, who may have put a new generation in use.

        Raises:
            StoreError: it cannot be written; nothing was changed.
        """
        with self.lock:
            while True:
                if self.now.database.limited or self.now.file.limited:
                    self._reopen()
                now = self.now
                _check_writable(now)
                with now.database.writing(lambda: self._stamp() == self._pointer) as ours:
                    if ours:
                        yield now
                if ours:
                    now.changed()
                    return
                self._reopen()

    def replaced(self, old: Generation) -> None:
        with self.lock:
            self._reopen()
        shutil.rmtree(old.folder, ignore_errors=True)

    def check_lineage(self, now: Generation) -> None:
        """Raises where another model's vectors took the place of those that this one knew."""
        if now.lineage != self.lineage:
            raise StoreError(
                f"{self.folder} was indexed anew by another model meanwhile; run the same command "
                "again, with that model"
            )

    def _reopen(self) -> None:
        old = self.now
        self._pointer, self.now = self._opened()
        if old is not self.now:
            old.close()

    def _opened(self) -> tuple[tuple[int, int], Generation]:
        """Again where it was rebuilt between the reading of its name and the opening."""
        while True:
            stamp = self._stamp()
            try:
                opened = Generation(self.folder / current(self.folder))
            except (StoreError, OSError):
                if stamp == self._stamp():
                    raise
                continue
            if stamp == self._stamp():
                return stamp, opened
            opened.close()

    def _stamp(self) -> tuple[int, int]:
        try:
            found = (self.folder / POINTER).stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns


def _check_writable(now: Generation) -> None:
    """Before any row changes: the database may be written where the vectors may not."""
    if now.file.limited:
        raise StoreError(
            f"{now.file.path} may not be written by this user; change its permissions, or its "
            "owner, and run the same command again: no row was changed"
        )
