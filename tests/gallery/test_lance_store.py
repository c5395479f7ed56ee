"""What only a store on disk can promise: it outlives processes, kills, rivals and full disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tipr.gallery import Record, StoreError, lance_store
from tipr.gallery.lance_store import LanceStore

WRITER = """
import sys, time
import numpy as np
from tipr.gallery.lance_store import LanceStore
from tipr.gallery.store import Record
folder, first, batches, start = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
store = LanceStore(folder, 8)
while time.time() < start: time.sleep(0.001)
new = 0
for low in range(first, first + 10 * batches, 10):
    records = [Record(f"{n:06d}", str(n)) for n in range(low, low + 10)]
    new += store.add(np.random.default_rng(low).standard_normal((10, 8)), records)
    print(low, new, flush=True)
"""


def writer(folder: Path, first: int, batches: int, start: float = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(folder), str(first), str(batches), str(start)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_rows_are_there_after_reopening(tmp_path: Path):
    LanceStore(tmp_path / "s", 2).add([[1, 0]], [Record("a", "a.jpg", {"x": 1})])
    again = LanceStore(tmp_path / "s", 2)
    assert again.search([1, 0], 1)[0].record == Record("a", "a.jpg", {"x": 1})


def test_an_updated_record_is_there_after_reopening(tmp_path: Path):
    store = LanceStore(tmp_path / "s", 2)
    store.add([[1, 0], [0, 1]], [Record("a", "a.jpg"), Record("b", "b.jpg")])
    store.update([Record("a", "moved.jpg")])
    again = LanceStore(tmp_path / "s", 2)
    assert again.records() == [Record("a", "moved.jpg"), Record("b", "b.jpg")]


class Windows:
    """The part of `os` that forces files to the disk, as strict as it is there."""

    name, O_RDONLY, O_RDWR, close = "nt", os.O_RDONLY, os.O_RDWR, staticmethod(os.close)

    def __init__(self) -> None:
        self.writable: dict[int, Path] = {}
        self.forced: list[Path] = []

    def open(self, path: Path, flags: int) -> int:
        if path.is_dir():
            raise PermissionError(13, "Permission denied")
        handle = os.open(path, flags)
        self.writable.pop(handle, None)
        if flags == os.O_RDWR:
            self.writable[handle] = path
        return handle

    def fsync(self, handle: int) -> None:
        if handle not in self.writable:
            raise OSError(9, "Bad file descriptor")
        self.forced.append(self.writable[handle])


def test_every_new_file_is_forced_to_the_disk_on_windows_too(tmp_path: Path, monkeypatch):
    store = LanceStore(tmp_path / "s", 2)
    before = set((tmp_path / "s").rglob("*.*"))
    windows = Windows()
    monkeypatch.setattr(lance_store, "os", windows)
    store.add([[1, 0]], [Record("a", "a.jpg")])
    new = {path for path in (tmp_path / "s").rglob("*.*") if path.is_file()} - before
    assert len(new) > 1
    assert set(windows.forced) == new


def test_a_file_that_may_not_be_forced_to_the_disk_stops_nothing(tmp_path: Path, monkeypatch):
    def refused(handle: int) -> None:
        raise PermissionError(13, "Permission denied")

    store = LanceStore(tmp_path / "s", 2)
    monkeypatch.setattr("os.fsync", refused)
    assert store.add([[1, 0]], [Record("a", "a.jpg")]) == 1


def test_another_width_is_refused_on_reopening(tmp_path: Path):
    LanceStore(tmp_path / "s", 2)
    with pytest.raises(ValueError, match="holds vectors of width 2, not 3"):
        LanceStore(tmp_path / "s", 3)


def test_a_reader_sees_what_a_writer_added_since(tmp_path: Path):
    reader, other = LanceStore(tmp_path / "s", 2), LanceStore(tmp_path / "s", 2)
    other.add([[1, 0]], [Record("a", "a.jpg")])
    assert len(reader) == 1
    assert reader.search([1, 0], 1)[0].record.id == "a"


def test_acknowledged_rows_survive_kill_9(tmp_path: Path):
    process = writer(tmp_path / "s", 0, 100_000)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(12)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    store = LanceStore(tmp_path / "s", 8)
    last = int(acknowledged[-1].split()[0])
    promised = {f"{n:06d}" for n in range(last + 10)}
    assert promised <= set(store.ids())
    query = np.random.default_rng(last).standard_normal((10, 8))[0]
    assert store.search(query, 1)[0].record.id == f"{last:06d}"
    assert store.add(query[None], [Record("after", "after.jpg")]) == 1


def test_two_writers_at_once_lose_nothing_and_store_nothing_twice(tmp_path: Path):
    LanceStore(tmp_path / "s", 8)
    start = time.time() + 4
    writers = [writer(tmp_path / "s", first, 20, start) for first in (0, 0, 100)]
    outputs = [process.communicate()[0].splitlines() for process in writers]
    assert [process.returncode for process in writers] == [0, 0, 0]
    ids = LanceStore(tmp_path / "s", 8).ids()
    assert sorted(ids) == [f"{n:06d}" for n in range(300)]
    assert sum(int(lines[-1].split()[1]) for lines in outputs) == 300


def test_a_write_that_fails_keeps_what_was_stored(tmp_path: Path):
    store = LanceStore(tmp_path / "s", 512)
    store.add(np.eye(512)[:4], [Record(str(n), "") for n in range(4)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreError, match="cannot write the rows in"):
            store.add(np.eye(512), [Record(f"new{n}", "") for n in range(512)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.ids() == ["0", "1", "2", "3"]
    assert store.add(np.eye(512), [Record(f"new{n}", "") for n in range(512)]) == 512


def test_a_full_disk_is_named_and_keeps_what_was_stored(tmp_path: Path):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small disk here")
    try:
        store = LanceStore(disk / "s", 512)
        store.add(np.eye(512)[:4], [Record(str(n), "") for n in range(4)])
        with pytest.raises(StoreError, match="is full; what was stored before is safe"):
            store.add(np.eye(512), [Record(f"new{n}", "") for n in range(512)])
        assert LanceStore(disk / "s", 512).ids() == ["0", "1", "2", "3"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_damaged_table_is_an_error_in_words(tmp_path: Path):
    LanceStore(tmp_path / "s", 2).add([[1, 0]], [Record("a", "a.jpg")])
    for path in (tmp_path / "s").rglob("*.manifest"):
        path.write_bytes(b"")
    with pytest.raises(StoreError, match="rows in"):
        LanceStore(tmp_path / "s", 2).ids()
