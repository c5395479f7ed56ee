"""The vectors of a gallery: one flat file of float32 rows, mapped into memory.

Row `slot` stands at byte `4 * width * slot`. How many rows count is written elsewhere (in the
database), so a row that was half written when the power went is simply not there yet. All processes
that search share the pages; a process lets go of those it has read once they add up.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Slots = NDArray[np.int64]

_KEPT = 0.4  # of the file may be in this process's memory before the pages are let go
_STATM = Path("/proc/self/statm")
_LEAST = 256 * 2**20  # bytes that are always worth keeping


class VectorFile:
    """Rows of one width; `count` is asked for each time, because others append.

    `limited` are files that this user may only read; nothing may be written to them.
    """

    def __init__(self, path: Path, width: int, create: bool = False) -> None:
        self.path, self.width, self.limited = path, width, False
        self._row = 4 * width
        binary = getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(path, os.O_RDWR | binary | (os.O_CREAT if create else 0), 0o644)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS):
                raise
            self._file = os.open(path, os.O_RDONLY | binary)  # to search is to read
            self.limited = True
        self._map: mmap.mmap | None = None
        self._rows: Vectors = np.empty((0, width), np.float32)

    def rows(self, count: int) -> Vectors:
        """The first `count` rows (N, D), read-only and not copied.

        Raises:
            OSError: the file is shorter than that.
        """
        if count > len(self._rows):
            there = os.fstat(self._file).st_size // self._row
            if there < count:
                raise OSError(f"{self.path} holds {there} vectors of the {count} it should hold")
            self._map = mmap.mmap(self._file, there * self._row, access=mmap.ACCESS_READ)
            self._rows = np.frombuffer(self._map, np.float32).reshape(-1, self.width)
        return self._rows[:count]

    def write(self, slot: int, rows: Vectors) -> None:
        """Puts rows (N, D) from `slot` on, on the disk once it returns."""
        if rows.shape[1:] != (self.width,):
            raise ValueError(f"{self.path} holds rows of {self.width}, not {rows.shape[1:]}")
        data = memoryview(np.ascontiguousarray(rows, np.float32).tobytes())
        place = slot * self._row
        while data:
            written = os.pwrite(self._file, data, place)
            data, place = data[written:], place + written
        os.fsync(self._file)

    def erase(self, slots: Sequence[int]) -> None:
        """Overwrites rows with zeros, on the disk once it returns."""
        for slot in slots:
            os.pwrite(self._file, bytes(self._row), slot * self._row)
        os.fsync(self._file)

    def let_go(self) -> None:
        """Gives mapped pages back once they add up; the system may keep them cached for all.

        To be called after reading: how much one row brings with it is for the system to say.
        """
        kept = max(_LEAST, _KEPT * len(self._rows) * self._row)
        if self._map is not None and hasattr(self._map, "madvise") and _shared_bytes() > kept:
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _shared_bytes() -> int:
    """Of this process's memory, what files lie behind; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[2]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0
