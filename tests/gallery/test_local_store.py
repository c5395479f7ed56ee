"""What only a store on disk can promise: it outlives processes, kills, rivals and full disks."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_store import FILTERS, varied

from tipr.gallery import MemoryStore, Record, StoreError
from tipr.gallery.filters import All, Among, AnyOf, Filter, Not
from tipr.gallery.local import LocalStore
from tipr.gallery.local.columns import Columns

WRITER = """
import sys, time
import numpy as np
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Record
folder, first, batches, start = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
store = LocalStore(folder, 8)
while time.time() < start: time.sleep(0.001)
new = 0
for low in range(first, first + 10 * batches, 10):
    records = [Record(f"{n:06d}", str(n)) for n in range(low, low + 10)]
    small = [bytes([n % 256]) * 50 for n in range(low, low + 10)]
    new += store.add(np.random.default_rng(low).standard_normal((10, 8)), records, small)
    print(low, new, flush=True)
    if (low // 10) % 7 == 3: store.remove([f"{low:06d}"]); print("-", low, flush=True)
    if (low // 10) % 11 == 5: store.maintain()
    if (low // 10) % 13 == 6: store.compact()
"""


def writer(folder: Path, first: int, batches: int, start: float = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(folder), str(first), str(batches), str(start)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def records(*ids: str) -> list[Record]:
    return [Record(id, f"{id}.jpg") for id in ids]


def filled(folder: Path, count: int = 4, width: int = 8) -> LocalStore:
    store = LocalStore(folder, width)
    vectors = np.random.default_rng(0).standard_normal((count, width))
    store.add(vectors, records(*(f"{n:04d}" for n in range(count))))
    return store


def test_rows_are_there_after_reopening(tmp_path: Path):
    store = LocalStore(tmp_path / "s", 2)
    store.add([[1, 0]], [Record("a", "a.jpg", {"x": 1})], [b"small"])
    store.update([Record("a", "b.jpg", camera="gate")])
    store.put_note("policy", "30 days")
    again = LocalStore(tmp_path / "s")
    assert again.width == 2
    assert again.search([1, 0], 1)[0].record == Record("a", "b.jpg", camera="gate")
    assert again.thumbnail("a") == b"small"
    assert again.note("policy") == "30 days"


def test_another_width_is_refused_on_reopening(tmp_path: Path):
    LocalStore(tmp_path / "s", 2)
    with pytest.raises(ValueError, match="holds vectors of width 2, not 3"):
        LocalStore(tmp_path / "s", 3)


def test_what_is_no_store_is_not_made_one_by_opening(tmp_path: Path):
    with pytest.raises(StoreError, match="there are no rows in"):
        LocalStore(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_follows_every_kind_of_change(tmp_path: Path):
    writes = LocalStore(tmp_path / "s", 2)
    reads = LocalStore(tmp_path / "s")
    for _ in range(2):
        writes.add([[1, 0], [0, 1], [1, 1]], records("a", "b", "c"))
        assert [hit.record.id for hit in reads.search([1, 0], 1)] == ["a"]
        writes.update([Record("a", "a.jpg", camera="gate")])
        assert reads.ids(Among("camera", ("gate",))) == ["a"]
        writes.remove(["a", "b"])
        assert reads.ids(Among("camera", ("gate",))) == []
        assert [hit.record.id for hit in reads.search([1, 0], 9)] == ["c"]
        writes.compact()
        assert [hit.record.id for hit in reads.search([1, 0], 9)] == ["c"]
        assert len(reads) == 1
        reads.remove(["c"])
        assert len(writes) == 0


def test_columns_kept_on_disk_say_the_same_as_the_rows(tmp_path: Path):
    store = filled(tmp_path / "s", 50)
    store.update([Record("0003", "", camera="gate", frame=7), Record("0004", camera="lobby")])
    store.remove(["0005"])
    store.maintain()
    saved = Columns.load(next((tmp_path / "s").rglob("columns.npz")))
    assert (saved.size, len(saved)) == (50, 49)
    store.remove(["0003"])
    store.add(np.ones((1, 8)), [Record("new", "", camera="gate")])
    again = LocalStore(tmp_path / "s")
    assert again.ids(Among("camera", ("gate",))) == ["new"]
    assert again.ids(Among("camera", ("gate", "lobby"))) == ["0004", "new"]
    assert len(again) == 49


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_damaged_columns_are_read_from_the_rows_again(tmp_path: Path, damage: bytes | None):
    store = filled(tmp_path / "s", 20)
    store.update([Record("0003", camera="gate")])
    store.maintain()
    [path] = (tmp_path / "s").rglob("columns.npz")
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    again = LocalStore(tmp_path / "s")
    assert again.ids(Among("camera", ("gate",))) == ["0003"]
    assert len(again.search(np.ones(8), 30)) == 20


def test_columns_of_rows_that_were_never_acknowledged_are_not_believed(tmp_path: Path):
    store = filled(tmp_path / "s", 20)
    store.maintain()
    [path] = (tmp_path / "s").rglob("columns.npz")
    columns = path.read_bytes()
    other = filled(tmp_path / "other", 10)
    other.maintain()
    next((tmp_path / "other").rglob("columns.npz")).write_bytes(columns)
    assert len(LocalStore(tmp_path / "other")) == 10


def promised(lines: list[str]) -> tuple[set[str], set[str]]:
    """The ids that were acknowledged, and those of which removal was."""
    words = [line.split() for line in lines if line.endswith("\n")]
    added = {f"{int(w[0]) + n:06d}" for w in words if w[0] != "-" for n in range(10)}
    return added, {f"{int(w[1]):06d}" for w in words if w[0] == "-"}


def test_acknowledged_rows_survive_being_killed_again_and_again(tmp_path: Path):
    added: set[str] = set()
    removed: set[str] = set()
    generator = np.random.default_rng()
    for turn in range(6):
        process = writer(tmp_path / "s", 10 * 500 * turn, 500)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(generator.uniform(0, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        new, gone = promised(lines)
        assert new, "the writer had begun"
        added, removed = added | new, removed | gone
        store = LocalStore(tmp_path / "s")
        there = set(store.ids())
        underway = {id for id in added if int(id) % 10 == 0 and int(id) // 10 % 7 == 3}
        assert added - removed - underway <= there  # a removal may be done and not yet told
        assert not removed & there
        assert len(store) == len(there)
        for low in (int(line.split()[0]) for line in lines[:1]):
            query = np.random.default_rng(low).standard_normal((10, 8))[1]
            assert store.search(query, 1)[0].record.id == f"{low + 1:06d}"
            assert store.thumbnail(f"{low + 1:06d}") == bytes([(low + 1) % 256]) * 50
        assert store.check() == []
        assert store.add(np.ones((1, 8)), records(f"9{turn:05d}")) == 1
        added.add(f"9{turn:05d}")
        store.close()


def test_several_writers_at_once_lose_nothing_and_store_nothing_twice(tmp_path: Path):
    LocalStore(tmp_path / "s", 8)
    start = time.time() + 1.5
    writers = [writer(tmp_path / "s", first, 20, start) for first in (0, 0, 1000)]
    outputs = [process.communicate()[0].splitlines(keepends=True) for process in writers]
    assert [process.returncode for process in writers] == [0, 0, 0]
    store = LocalStore(tmp_path / "s")
    ids = store.ids()
    assert len(ids) == len(set(ids)) == len(store)
    every = {f"{low + n:06d}" for low in (0, 1000) for n in range(200)}
    assert set(ids) <= every
    assert every - set(ids) <= {id for lines in outputs for id in promised(lines)[1]}
    assert store.check() == []


def test_a_second_writer_waits_and_is_told_when_it_takes_too_long(tmp_path: Path, monkeypatch):
    filled(tmp_path / "s").close()
    monkeypatch.setattr("tipr.gallery.local.database.WAITS", 0.3)
    store = LocalStore(tmp_path / "s")
    [path] = (tmp_path / "s").rglob("rows.db")
    rival = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    rival.execute("BEGIN IMMEDIATE")
    assert len(store.search(np.ones(8), 9)) == 4
    with pytest.raises(StoreError, match=r"another process has been writing to .*s for "):
        store.put_note("x", "y")
    release = threading.Timer(0.1, lambda: rival.execute("ROLLBACK"))
    release.start()
    store.put_note("x", "y")
    release.join()
    assert store.note("x") == "y"


def test_threads_of_one_process_search_and_add_together(tmp_path: Path):
    store = filled(tmp_path / "s", 100)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                if number == 0:
                    store.add(np.ones((1, 8)), records(f"t{turn}"))
                assert len(store.search(np.ones(8), 100)) == 100
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store) == 120


def test_a_write_that_fails_keeps_what_was_stored(tmp_path: Path):
    store = LocalStore(tmp_path / "s", 512)
    store.add(np.eye(512)[:4], records(*"0123"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"too large|cannot write"):
            store.add(np.eye(512), [Record(f"new{n}") for n in range(512)])
        assert store.ids() == ["0", "1", "2", "3"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.add(np.eye(512), [Record(f"new{n}") for n in range(512)]) == 512


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_named_and_leaves_the_rows_readable(small_disk: Path):
    store = LocalStore(small_disk / "s", 512)
    store.add(np.eye(512)[:4], records(*"0123"))
    with pytest.raises(StoreError, match="is full; what was stored before is safe"):
        store.add(np.eye(512), [Record(f"new{n}") for n in range(512)])
    store.close()
    filling = small_disk / "filling"
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    again = LocalStore(small_disk / "s")
    assert again.ids() == ["0", "1", "2", "3"]
    assert again.search(np.eye(512)[2], 1)[0].record.id == "2"
    with pytest.raises(StoreError, match="is full, or may not be written; what was"):
        again.add(np.eye(512)[5:7], records("5", "6"))
    filling.unlink()
    assert again.add(np.eye(512)[5:7], records("5", "6")) == 2


def only_read_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who may not write them; permissions do not bind the superuser."""
    really = os.open

    def opened(path: Path, flags: int, *rest: int) -> int:
        if Path(path).name == "vectors.f32" and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, flags, *rest)

    monkeypatch.setattr("tipr.gallery.local.vectors.os.open", opened)


WRITINGS: dict[str, Callable[[LocalStore], object]] = {
    "add": lambda store: store.add(np.ones((1, 8)), records("new")),
    "update": lambda store: store.update([Record("0001", camera="gate")]),
    "change": lambda store: store.change(["0001"], lambda one: replace(one, camera="gate")),
    "remove": lambda store: store.remove(["0001"]),
    "put_note": lambda store: store.put_note("policy", "30 days"),
    "maintain": lambda store: store.maintain(),
    "compact": lambda store: store.compact(),
    "adopt": lambda store: store.adopt(LocalStore(store.folder.parent / "other")),
}


@pytest.mark.parametrize("kind", WRITINGS)
def test_where_the_vectors_may_only_be_read_no_writing_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    def content(store: LocalStore) -> tuple[object, ...]:
        return list(store.records()), store.vectors(store.ids()).tobytes(), store.notes()

    before = content(filled(tmp_path / "s"))
    filled(tmp_path / "other", 2).close()
    only_read_vectors(monkeypatch)
    store = LocalStore(tmp_path / "s")
    with pytest.raises(StoreError, match=r"vectors\.f32 may not be written .* no row was changed"):
        WRITINGS[kind](store)
    assert content(store) == content(LocalStore(tmp_path / "s")) == before
    assert len(store.search(np.ones(8), 9)) == 4
    assert len(LocalStore(tmp_path / "other")) == 2
    assert store.check() == []


def test_vectors_that_may_be_written_again_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    filled(tmp_path / "s").close()
    only_read_vectors(monkeypatch)
    store = LocalStore(tmp_path / "s")
    with pytest.raises(StoreError, match="may not be written"):
        store.remove(["0001"])
    monkeypatch.undo()
    assert store.remove(["0001"]) == 1
    assert not np.fromfile(tmp_path / "s/0001/vectors.f32", np.float32).reshape(-1, 8)[1].any()


def test_a_compaction_that_fails_changes_nothing(tmp_path: Path, monkeypatch):
    store = filled(tmp_path / "s", 10)
    store.remove(["0003"])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tipr.gallery.local.vectors.VectorFile.write", full)
    with pytest.raises(StoreError, match="is full"):
        store.compact()
    monkeypatch.undo()
    assert len(store) == 9
    assert [path.name for path in (tmp_path / "s").iterdir() if path.is_dir()] == ["0001"]
    store.compact()
    assert len(store) == 9
    assert store.facts()["removed"] == 0


def damaged(path: Path, place: int, data: bytes = b"\xff\xff\xff\xff") -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def test_a_damaged_file_is_found_and_named(tmp_path: Path):
    def faults() -> list[str]:
        return LocalStore(tmp_path / "s").check()

    store = filled(tmp_path / "s", 300)
    store.maintain()
    store.close()
    assert faults() == []
    folder = tmp_path / "s" / "0001"
    damaged(folder / "vectors.f32", 8 * 4 * 7)
    assert len(found := faults()) == 1
    assert "0001/vectors.f32: the vector of 0007 is not the one that was stored" in found[0]
    (folder / "columns.npz").write_bytes(b"nothing")
    assert "0001/columns.npz" in faults()[1]
    whole = (folder / "vectors.f32").read_bytes()
    (folder / "vectors.f32").write_bytes(whole[: 8 * 4 * 200])
    assert "0001/vectors.f32 holds 200 vectors of the 300 it should hold" in faults()[0]
    (folder / "vectors.f32").write_bytes(whole)
    size = (folder / "rows.db").stat().st_size
    damaged(folder / "rows.db", size - 8192 * 2, b"\xff" * 8192)
    assert any("0001/rows.db is damaged" in fault for fault in faults())


def test_a_pointer_that_points_nowhere_is_named(tmp_path: Path):
    filled(tmp_path / "s").close()
    (tmp_path / "s" / "current.json").write_text('{"format": 2, "fol')
    with pytest.raises(StoreError, match=r"current.json is damaged; it names the newest folder"):
        LocalStore(tmp_path / "s")
    (tmp_path / "s" / "current.json").write_text('{"format": 3, "folder": "0001"}')
    with pytest.raises(StoreError, match="has gallery format 3, this tipr reads 2"):
        LocalStore(tmp_path / "s")


def test_a_database_that_is_none_is_an_error_in_words(tmp_path: Path):
    filled(tmp_path / "s").close()
    (tmp_path / "s" / "0001" / "rows.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"rows.db is damaged .*tipr gallery check"):
        LocalStore(tmp_path / "s").ids()


def test_nothing_of_a_removed_row_is_left_after_compaction(tmp_path: Path):
    store = LocalStore(tmp_path / "s", 8)
    vectors = np.random.default_rng(0).standard_normal((40, 8))
    ids = [f"id-{n:04d}-of-someone" for n in range(40)]
    small = [np.random.default_rng(n).bytes(300) for n in range(40)]
    store.add(vectors, [Record(id, f"/{id}.jpg", camera="gate") for id in ids], small)
    store.maintain()
    needles = [ids[7].encode(), store.vectors([ids[7]])[0, 2:6].tobytes(), small[7][100:160]]
    assert all(store.traces([needle]) for needle in needles)
    store.remove([ids[7]])
    store.compact()
    assert store.traces(needles) == []
    everything = b"".join(p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file())
    assert not any(needle in everything for needle in needles)
    assert ids[8].encode() in everything


def test_a_check_beside_a_writer_invents_no_damage(tmp_path: Path, monkeypatch):
    store, rival = filled(tmp_path / "s", 30), LocalStore(tmp_path / "s")
    monkeypatch.setattr("tipr.gallery.local.checking._PAGE", 10)

    def meanwhile(done: int, total: int) -> None:
        rival.add(np.ones((1, 8)), records(f"new{done}"))
        rival.remove([f"{done + 1:04d}"])

    assert store.check(meanwhile) == []


def test_a_scan_beside_a_writer_pairs_each_vector_with_its_record(tmp_path: Path):
    store, rival = filled(tmp_path / "s", 30), LocalStore(tmp_path / "s")
    before = dict(zip(store.ids(), store.vectors(store.ids()), strict=True))
    for vectors, some in store.scan(batch=10):
        for vector, one in zip(vectors, some, strict=True):
            assert (vector == before[one.id]).all()
        rival.remove([f"{int(some[-1].id) + 3:04d}"])
    assert len(store) == 28
    scan = store.scan(batch=10)
    next(scan)
    rival.compact()
    with pytest.raises(StoreError, match="was rebuilt while it was read"):
        next(scan)


def test_two_changes_of_a_record_at_once_are_both_kept(tmp_path: Path):
    store, rival = filled(tmp_path / "s", 1), LocalStore(tmp_path / "s")
    late = threading.Thread(
        target=lambda: rival.change(["0000"], lambda one: replace(one, track="7"))
    )

    def camera(one: Record) -> Record:
        late.start()
        time.sleep(0.3)
        return replace(one, camera="lobby")

    assert store.change(["0000", "nobody"], camera) == 1
    late.join()
    assert (store.get("0000").camera, store.get("0000").track) == ("lobby", "7")


def test_a_gallery_is_copied_from_a_full_disk(tmp_path: Path, monkeypatch):
    store = filled(tmp_path / "s", 30)
    monkeypatch.setattr(store._handle.now.database, "limited", True)
    seen = []
    for _, some in store.scan(batch=10):
        seen += [store.thumbnail(one.id) for one in some]
    assert len(seen) == 30


@pytest.mark.parametrize("there", ["notes.txt", "0001/1.jpg"])
def test_a_folder_that_holds_other_files_is_left_alone(tmp_path: Path, there: str):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    with pytest.raises(StoreError, match="holds other files; choose the name of a new folder"):
        LocalStore(tmp_path, 2)
    assert (tmp_path / there).is_file()


def test_tidying_deletes_what_a_killed_compaction_left_and_nothing_else(tmp_path: Path):
    store = filled(tmp_path / "s")
    LocalStore(tmp_path / "half", 8).close()
    (tmp_path / "half" / "0001").rename(tmp_path / "s" / "0002")
    (tmp_path / "s" / "0003").mkdir()
    (tmp_path / "s" / "2026").mkdir()
    (tmp_path / "s" / "2026" / "1.jpg").touch()
    store.maintain()
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"current.json", "0001", "2026"}
    assert len(store) == 4


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> tuple[LocalStore, MemoryStore]:
    """The same 200 rows in a folder and in memory."""
    stores = LocalStore(tmp_path_factory.mktemp("s") / "s", 3), MemoryStore(3)
    for store in stores:
        store.add(np.random.default_rng(0).standard_normal((200, 3)), varied(200))
        store.remove(["0003", "0150"])
    return stores


@given(
    st.recursive(
        st.sampled_from(FILTERS),
        lambda some: st.one_of(
            st.tuples(some, some, some).map(All), st.tuples(some, some).map(AnyOf), some.map(Not)
        ),
        max_leaves=6,
    )
)
def test_conditions_inside_conditions_choose_as_one_by_one(twins, where: Filter):
    store, truth = twins
    assert store.ids(where) == truth.ids(where)
