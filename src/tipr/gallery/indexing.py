"""Folders of pictures into a gallery: hash, decode, embed, add, in batches that survive a kill.

A picture is known by the SHA-256 of its file, so running again adds only what is new, and the same
bytes under two names count once, under the first name. A picture that was moved is not embedded
again, only its record follows it. Files that cannot be used are named with a reason and the rest
goes on. Hashing and decoding run in threads ahead of the encoder; how many pictures are held in
memory depends on the batch alone, and of every file there is its path and its id.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from PIL import Image

from tipr.data.images import walked_images
from tipr.gallery.crops import Describe, File, Lot, decoded, described, embedded, enough, hashed
from tipr.gallery.fact_tables import NAMES as TABLES
from tipr.gallery.filters import Among
from tipr.gallery.gallery import EmbedderLike, Gallery
from tipr.gallery.record import Record

Progress = Callable[[int, int], None]

_THREADS = max(2, min(8, os.cpu_count() or 2))
_TIDY_EVERY = 200  # batches; many small commits slow a store down


@dataclass(frozen=True)
class IndexReport:
    """What became of the files: `added + already + len(skipped)` is their number."""

    added: int
    already: int
    skipped: tuple[tuple[Path, str], ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """How pictures become rows.

    `describe` gives the facts of a file from its path and its name inside the folder, as fields of
    a record; it raises ValueError for a file whose facts cannot be told. `thumbnails` is the height
    in pixels of the small pictures kept in the gallery, 0 for none.
    """

    batch: int = 64
    describe: Describe = field(default=lambda path, name: {})
    thumbnails: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"a batch is at least 1 picture; this is {self.batch}")
        if self.thumbnails and not 32 <= self.thumbnails <= 1024:
            raise ValueError(f"thumbnails are 32 to 1024 pixels high, not {self.thumbnails}")


@dataclass
class Tally:
    """The files settled so far."""

    total: int
    progress: Progress | None
    added: int = 0
    already: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    lots: int = 0

    def tell(self) -> None:
        if self.progress is not None:
            self.progress(self.added + self.already + len(self.skipped), self.total)

    def report(self, seconds: float) -> IndexReport:
        return IndexReport(self.added, self.already, tuple(sorted(self.skipped)), seconds)


def index_folders(
    gallery: Gallery,
    embedder: EmbedderLike,
    folders: Sequence[Path | str],
    progress: Progress | None = None,
    how: Indexing | None = None,
) -> IndexReport:
    """Adds every picture below `folders`; `progress(done, total)` follows the files settled.

    Each batch is safe on disk once embedded: after a kill, the same call goes on where it stopped.
    """
    return index_files(gallery, embedder, files_of(gallery, folders), progress, how)


class FileNames(Mapping[Path, str]):
    """The name of each file inside its folder, by absolute path, in the order they were found.

    One string is held for each file, and paths are made on the way: a million of them weigh more
    than three times as much.
    """

    def __init__(self, files: Iterable[tuple[Path, int]]) -> None:
        """Of files, each with where its name begins in its absolute path; the first one counts."""
        self._begins: dict[str, int] = {}
        for path, begins in files:
            self._begins.setdefault(str(path.absolute()), begins)

    def __getitem__(self, path: Path) -> str:
        text = str(path)
        return Path(text[self._begins[text] :]).as_posix()

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self._begins)

    def __len__(self) -> int:
        return len(self._begins)


def files_of(gallery: Gallery, folders: Sequence[Path | str]) -> FileNames:
    """Every file once, by its absolute path, with its name inside the folder that was given.

    Raises:
        OSError: a folder is not there.
        ValueError: no folder was given, or there are no files in them.
    """
    if not folders:
        raise ValueError("give at least one folder of pictures")
    names = FileNames(_listed(gallery, folders))
    if not names:
        listed = ", ".join(str(folder) for folder in folders)
        raise ValueError(f"there are no files in {listed}; give a folder that holds pictures")
    return names


def _listed(gallery: Gallery, folders: Sequence[Path | str]) -> Iterator[tuple[Path, int]]:
    """The files, without those of the gallery itself, and where their names begin."""
    inside = gallery.path.resolve() if gallery.path else None
    for folder in folders:
        begins = len(str(Path(folder).absolute() / "x")) - 1
        for path in walked_images(folder):
            ours = inside is not None and path.resolve().is_relative_to(inside)
            if not ours and path.relative_to(folder).as_posix() not in TABLES:
                yield path, begins


def index_files(
    gallery: Gallery,
    embedder: EmbedderLike,
    names: Mapping[Path, str],
    progress: Progress | None = None,
    how: Indexing | None = None,
) -> IndexReport:
    """`index_folders` for files with their names."""
    how = how or Indexing()
    start = time.monotonic()
    gallery.check(embedder)
    tally = Tally(len(names), progress)
    for files in _new_files(gallery, names, how, tally, enough(embedder, how.thumbnails)):
        lot = embedded(embedder, files, gallery.store.width, how.thumbnails)
        keep(gallery, lot, tally)
    if tally.added:
        gallery.tidy(embedder)
    tally.tell()
    return tally.report(time.monotonic() - start)


_Opened = tuple[File, Image.Image]
_Waiting = deque[tuple[File, Future[Image.Image | str]]]


def _new_files(
    gallery: Gallery,
    names: Mapping[Path, str],
    how: Indexing,
    tally: Tally,
    at_least: tuple[int, int],
) -> Iterator[list[_Opened]]:
    """Batches of decoded pictures that the gallery lacks; other files are counted on the way."""
    seen: set[str] = set()  # in this run: the store learns of them a batch later
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tipr-read")
    waiting: _Waiting = deque()
    opened: list[_Opened] = []
    try:
        for files in _described(pool, names, how):
            for file in lacking(gallery, files, seen, tally):
                waiting.append((file, pool.submit(decoded, file.path, at_least)))
            while len(waiting) > how.batch:
                yield from _full(waiting, opened, how.batch, tally)
        while waiting:
            yield from _full(waiting, opened, how.batch, tally)
        if opened:
            yield opened
    finally:
        pool.shutdown(cancel_futures=True)


def _full(
    waiting: _Waiting, opened: list[_Opened], batch: int, tally: Tally
) -> Iterator[list[_Opened]]:
    """Takes in the next picture; a batch, once it is full."""
    file, future = waiting.popleft()
    picture = future.result()
    if isinstance(picture, str):
        tally.skipped.append((file.path, picture))
        tally.tell()
        return
    opened.append((file, picture))
    if len(opened) == batch:
        yield list(opened)
        opened.clear()


def _described(
    pool: ThreadPoolExecutor, names: Mapping[Path, str], how: Indexing
) -> Iterator[list[File]]:
    """Chunks of files in their order, hashed by threads that stay a chunk in front."""
    rest = iter(names.items())
    hashing: deque[Future[File]] = deque()
    while True:
        for path, name in islice(rest, 2 * how.batch - len(hashing)):
            hashing.append(pool.submit(_identified, path, name, how.describe))
        if not hashing:
            return
        yield [hashing.popleft().result() for _ in range(min(how.batch, len(hashing)))]


def lacking(
    gallery: Gallery, files: Sequence[File], seen: set[str], tally: Tally
) -> Iterator[File]:
    """The files whose picture the gallery has not; the record of one that was moved follows it."""
    ids = tuple(file.record.id for file in files if file.record is not None)
    known = {record.id: record for record in gallery.store.records(Among("id", ids))} if ids else {}
    moved: dict[str, Record] = {}
    for file in files:
        if file.record is None:
            tally.skipped.append((file.path, file.reason))
        elif file.record.id in known:
            tally.already += 1
            before = moved.get(file.record.id, known[file.record.id])
            if before.path != file.record.path and is_gone(before.path):
                moved[before.id] = file.record
        elif file.record.id in seen:
            tally.already += 1
        else:
            seen.add(file.record.id)
            yield file
    if moved:
        gallery.store.change(tuple(moved), lambda before: _moved(before, moved[before.id]))
    tally.tell()


def is_gone(path: str) -> bool:
    """Whether there is surely nothing; a place that may not be looked into is not gone."""
    try:
        return bool(path) and not Path(path).exists()
    except OSError:
        return False


def _moved(before: Record, now: Record) -> Record:
    return replace(before, path=now.path, extra={**before.extra, **now.extra})


def _identified(path: Path, name: str, describe: Describe) -> File:
    return described(hashed(path), name, describe)


def keep(gallery: Gallery, lot: Lot, tally: Tally) -> None:
    """Adds what was embedded; it is safe once this returns."""
    added = gallery.store.add(lot.vectors, lot.records, lot.thumbnails)
    tally.added += added
    tally.already += len(lot.records) - added
    tally.skipped += lot.skipped
    tally.lots += 1
    tally.tell()
    if tally.lots % _TIDY_EVERY == 0:
        gallery.store.maintain()
