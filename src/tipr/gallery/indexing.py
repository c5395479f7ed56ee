"""Folders of pictures into a gallery: hash, decode, embed, add, in batches that survive a kill.

A picture is known by the SHA-256 of its file, so running again adds only what is new, and the same
bytes under two names count once, under the first name. A picture that was moved is not embedded
again, only its record follows it. Files that cannot be used are named with a reason and the rest
goes on. Reading and decoding run in threads ahead of the encoder.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tipr.data.images import UnreadableImage, image_files, open_image
from tipr.gallery.gallery import EmbedderLike, Gallery
from tipr.gallery.store import Record

Progress = Callable[[int, int], None]

_DECODED = (768, 384)  # (height, width) kept at least: twice the largest usual input of an encoder
_THREADS = max(2, min(8, os.cpu_count() or 2))
_TIDY_EVERY = 200  # batches; many small commits slow a store down


@dataclass(frozen=True)
class IndexReport:
    """What became of the files: `added + already + len(skipped)` is their number."""

    added: int
    already: int
    skipped: tuple[tuple[Path, str], ...]
    seconds: float


@dataclass(frozen=True)
class _Picture:
    """One file, read: its record, and its pixels unless the gallery has them already."""

    record: Record
    image: Image.Image | None


@dataclass
class _Tally:
    total: int
    progress: Progress | None
    added: int = 0
    already: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    moved: dict[str, Record] = field(default_factory=dict)  # by id; counted in `already`

    def tell(self) -> None:
        if self.progress is not None:
            self.progress(self.added + self.already + len(self.skipped), self.total)


def index_folders(
    gallery: Gallery,
    embedder: EmbedderLike,
    folders: Sequence[Path | str],
    progress: Progress | None = None,
    batch: int = 64,
) -> IndexReport:
    """Adds every picture below `folders`; `progress(done, total)` follows the files settled.

    Each batch is safe on disk once embedded: after a kill, the same call goes on where it stopped.
    """
    if batch < 1:
        raise ValueError(f"a batch is at least 1 picture; this is {batch}")
    start = time.monotonic()
    gallery.check(embedder)
    names = _names(gallery, folders)
    known = {record.id: record for record in gallery.store.records()}
    tally = _Tally(len(names), progress)
    for number, pictures in enumerate(_new_pictures(names, known, batch, tally), start=1):
        _add(gallery, embedder, pictures, tally)
        tally.tell()
        if number % _TIDY_EVERY == 0:
            gallery.store.maintain()
    gallery.store.update(list(tally.moved.values()))
    if tally.added or tally.moved:
        gallery.store.maintain()
    tally.tell()
    skipped = tuple(sorted(tally.skipped))
    return IndexReport(tally.added, tally.already, skipped, time.monotonic() - start)


def _names(gallery: Gallery, folders: Sequence[Path | str]) -> dict[Path, str]:
    """Every file once, by its absolute path, with its name inside the folder that was given."""
    if not folders:
        raise ValueError("give at least one folder of pictures")
    inside = gallery.path.resolve()
    names: dict[Path, str] = {}
    for folder in folders:
        for path in image_files(folder):
            if not path.resolve().is_relative_to(inside):
                name = path.relative_to(folder).as_posix()
                names.setdefault(path.absolute(), name)
    if not names:
        listed = ", ".join(str(folder) for folder in folders)
        raise ValueError(f"there are no files in {listed}; give a folder that holds pictures")
    return names


def _new_pictures(
    names: dict[Path, str], known: dict[str, Record], batch: int, tally: _Tally
) -> Iterator[list[_Picture]]:
    """Batches of what the gallery lacks; the other files are counted on the way.

    `known` gains every new record; a known picture that was moved is found once.
    """
    waiting: list[_Picture] = []
    for path, picture in _read_ahead(names, known, 2 * batch):
        if isinstance(picture, UnreadableImage):
            tally.skipped.append((path, picture.reason))
        elif (before := known.get(picture.record.id)) is not None:
            tally.already += 1
            if before.path != picture.record.path and _is_gone(before.path):
                moved = _moved(before, picture.record)
                known[moved.id] = tally.moved[moved.id] = moved
        else:
            known[picture.record.id] = picture.record
            waiting.append(picture)
        if len(waiting) == batch:
            yield waiting
            waiting = []
        else:
            tally.tell()
    if waiting:
        yield waiting


def _is_gone(path: str) -> bool:
    """Whether there is surely nothing; a place that may not be looked into is not gone."""
    try:
        return not Path(path).exists()
    except OSError:
        return False


def _moved(before: Record, now: Record) -> Record:
    return Record(before.id, now.path, {**before.extra, **now.extra})


def _read_ahead(
    names: dict[Path, str], known: Container[str], ahead: int
) -> Iterator[tuple[Path, _Picture | UnreadableImage]]:
    """The files in their order, read by threads that stay at most `ahead` files in front."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tipr-read")
    pending: deque[tuple[Path, Future[_Picture | UnreadableImage]]] = deque()
    try:
        for path, name in names.items():
            pending.append((path, pool.submit(_read, path, name, known)))
            if len(pending) >= ahead:
                path, future = pending.popleft()
                yield path, future.result()
        while pending:
            path, future = pending.popleft()
            yield path, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(path: Path, name: str, known: Container[str]) -> _Picture | UnreadableImage:
    try:
        str(path).encode()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        record = Record(digest, str(path), {"name": name})
        return _Picture(record, None if digest in known else open_image(path, at_least=_DECODED))
    except UnreadableImage as error:
        return error
    except UnicodeEncodeError:
        return UnreadableImage(path, "its name is not valid UTF-8; rename it")
    except OSError as error:
        return UnreadableImage(path, f"cannot be opened: {(error.strerror or str(error)).lower()}")


def _add(
    gallery: Gallery, embedder: EmbedderLike, pictures: Sequence[_Picture], tally: _Tally
) -> None:
    """Embeds and stores one batch; a picture whose vector is no direction is skipped by name."""
    vectors = embedder.embed_images([p.image for p in pictures if p.image is not None])
    vectors = np.asarray(vectors, np.float32)
    if vectors.shape != (len(pictures), gallery.store.width):
        raise ValueError(
            f"the model gave vectors {vectors.shape} for {len(pictures)} pictures; "
            f"this gallery needs ({len(pictures)}, {gallery.store.width})"
        )
    usable = np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 1e-6)
    records = [picture.record for picture in pictures]
    added = gallery.store.add(
        vectors[usable], [record for record, good in zip(records, usable, strict=True) if good]
    )
    tally.added += added
    tally.already += int(usable.sum()) - added
    tally.skipped += [
        (Path(record.path), "the model gave no usable vector for it")
        for record, good in zip(records, usable, strict=True)
        if not good
    ]
