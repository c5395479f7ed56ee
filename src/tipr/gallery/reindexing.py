"""A gallery's vectors made anew by another model, beside the old ones, and put in use in one step.

Until then the gallery answers as before; a run that was stopped goes on where it was. Every row
keeps its record. The picture is read where its record says, or from the thumbnail where it is gone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from tipr.data.images import UnreadableImage, open_image
from tipr.gallery import confidence
from tipr.gallery.crops import File, embedded, enough, hashed
from tipr.gallery.gallery import MANIFEST, EmbedderLike, Gallery, GalleryError, manifest_for
from tipr.gallery.indexing import Progress
from tipr.gallery.local import LocalStore
from tipr.gallery.record import Record
from tipr.gallery.store import StoreError

DRAFT = "reindex"
LOCK = "reindex.lock"
_BATCH = 64
_OF_CONTENTS = re.compile("[0-9a-f]{32}")  # an id, as `hashed` gives it
_STAY_BEHIND = (MANIFEST, confidence.NOTE)  # of the old model, or fitted to its vectors


@dataclass
class Reindexed:
    """`rows` have vectors of the new model, `small` of them made now from thumbnails.

    `lost` are ids without a picture to read, each with the reason.
    """

    rows: int = 0
    small: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)


def reindex(
    gallery: Gallery,
    embedder: EmbedderLike,
    progress: Progress | None = None,
    *,
    drop_lost: bool = False,
) -> Reindexed:
    """Raises `GalleryError` when there are lost rows, unless they may be dropped; nothing changes.

    Rows that others add or remove meanwhile are followed.
    """
    store = gallery.store
    if gallery.path is None or not isinstance(store, LocalStore):
        raise GalleryError(
            f"{gallery.name} lies on a server; index its pictures into a gallery of another name "
            "with the new model, then remove this one"
        )
    if gallery.manifest.fingerprint == embedder.fingerprint:
        raise GalleryError(f"{gallery.name} is indexed with this model already")
    done = Reindexed()
    with _alone(gallery.path):
        draft = _draft(gallery, embedder)
        try:
            _embed(store, draft, embedder, done, progress)
            _check_lost(done, drop_lost)
            store.adopt(draft, lambda: _catch_up(store, draft, embedder, done, drop_lost))
        except BaseException:
            draft.close()
            raise
    gallery.manifest = manifest_for(embedder)
    gallery.tidy(embedder)
    return done


@contextmanager
def _alone(path: Path) -> Generator[None]:
    """One re-indexing of a gallery at a time; a process that dies lets go.

    Raises:
        GalleryError: another one is at it, or the gallery may not be written.
    """
    with ExitStack() as stack:
        try:
            lock = sqlite3.connect(path / LOCK, timeout=0, isolation_level=None)
            stack.enter_context(closing(lock)).execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            raise GalleryError(_not_locked(path, error)) from error
        if not os.access(path / LOCK, os.W_OK):  # SQLite would lock out nobody, and not say so
            raise GalleryError(_unwritable(path / LOCK, "it may only be read"))
        yield


def _not_locked(path: Path, error: sqlite3.DatabaseError) -> str:
    if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
        return f"{path} is being indexed anew by another process; wait until it is done"
    return _unwritable(path / LOCK, str(error))


def _unwritable(lock: Path, reason: str) -> str:
    return (
        f"{lock} cannot be written ({reason}); let this user write it and its folder, see that the "
        "disk is not full, and run the same command again"
    )


def _draft(gallery: Gallery, embedder: EmbedderLike) -> LocalStore:
    """The unfinished one of the same model, or a new one."""
    assert gallery.path is not None
    folder = gallery.path / DRAFT
    with suppress(StoreError):  # there is none, or one that was stopped before it held anything
        draft = LocalStore(folder)
        if json.loads(draft.note(MANIFEST) or "{}").get("fingerprint") == embedder.fingerprint:
            return draft
        draft.close()
    shutil.rmtree(folder, ignore_errors=True)
    draft = LocalStore(folder, embedder.width)
    draft.put_note(MANIFEST, json.dumps(asdict(manifest_for(embedder))))
    return draft


def _embed(
    store: LocalStore,
    draft: LocalStore,
    embedder: EmbedderLike,
    done: Reindexed,
    progress: Progress | None = None,
) -> None:
    """Fills the draft with what it lacks."""
    total, passed = len(store), 0
    done.lost.clear()
    for records in _batches(store):
        there = draft.known([record.id for record in records])
        _add(store, draft, embedder, [one for one in records if one.id not in there], done)
        passed += len(records)
        if progress is not None:
            progress(passed, max(total, passed))
    done.rows = len(draft)


def _batches(store: LocalStore) -> Iterator[list[Record]]:
    some: list[Record] = []
    for record in store.records():
        some.append(record)
        if len(some) == _BATCH:
            yield some
            some = []
    if some:
        yield some


def _add(
    store: LocalStore,
    draft: LocalStore,
    embedder: EmbedderLike,
    records: Sequence[Record],
    done: Reindexed,
) -> None:
    at_least = enough(embedder, 0)
    pictures = [(one, _picture(store, one, at_least, done)) for one in records]
    files = [(File(Path(one.path), one), picture) for one, picture in pictures if picture]
    lot = embedded(embedder, files, draft.width, thumbnails=0)
    made = {one.id for one in lot.records}
    done.lost += [
        (file.record.id, "the model gave no usable vector for it")
        for file, _ in files
        if file.record and file.record.id not in made
    ]
    draft.add(lot.vectors, lot.records, [store.thumbnail(one.id) for one in lot.records])


def _picture(
    store: LocalStore, record: Record, at_least: tuple[int, int], done: Reindexed
) -> Image.Image | None:
    """The one that was indexed, perhaps reduced but not below (height, width)."""
    try:
        picture = open_image(record.path, at_least=at_least)
        if not _is_replaced(record):
            return picture
        reason = "another picture lies there now"
    except UnreadableImage as error:
        reason = error.reason
    small = store.thumbnail(record.id)
    if small is None:
        done.lost.append((record.id, f"{record.path}: {reason}"))
        return None
    done.small += 1
    return Image.open(BytesIO(small)).convert("RGB")


def _is_replaced(record: Record) -> bool:
    """Whether the id is the hash of other contents; of files in archives that is not known."""
    if "name" not in record.extra or not _OF_CONTENTS.fullmatch(record.id):
        return False  # not made by indexing
    now = hashed(Path(record.path)).record
    return now is not None and now.id != record.id


def _check_lost(done: Reindexed, drop_lost: bool) -> None:
    if done.lost and not drop_lost:
        id, reason = done.lost[0]
        raise GalleryError(
            f"{len(done.lost)} rows have no picture to read, first {id} ({reason}); bring the "
            "pictures back and run the same command again, or pass --drop-lost to go on without "
            "these rows"
        )


def _catch_up(
    store: LocalStore,
    draft: LocalStore,
    embedder: EmbedderLike,
    done: Reindexed,
    drop_lost: bool,
) -> None:
    """What happened to the gallery meanwhile; nobody else writes to it now."""
    _embed(store, draft, embedder, done)
    _check_lost(done, drop_lost)
    ids = draft.ids()
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        draft.remove(sorted(set(some) - store.known(some)))
    for records in _batches(store):
        new = {one.id: one for one in records}
        old = {one.id: one for id in new if (one := draft.get(id)) is not None}
        changed = [
            replace(new[id], indexed=one.indexed, model=one.model) for id, one in old.items()
        ]
        draft.update([one for one in changed if one != old[one.id]])
    for name, text in store.notes().items():
        if name not in _STAY_BEHIND:
            draft.put_note(name, text)
    done.rows = len(draft)
