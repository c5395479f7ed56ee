"""A gallery at another place, of another engine perhaps: the same rows, notes and model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tipr.gallery import confidence, retention
from tipr.gallery.gallery import Gallery, GalleryError, create_of
from tipr.gallery.opening import store_is_there

_BATCH = 1000
_NOTES = (retention.NOTE, confidence.NOTE)


def copy(
    gallery: Gallery, to: Path | str, progress: Callable[[int, int], None] | None = None
) -> int:
    """Adds what is missing there and says how many rows it has then.

    Raises:
        GalleryError: another gallery lies there.
    """
    if store_is_there(to):
        other = Gallery.open(to)
        if other.manifest != gallery.manifest:
            other.close()
            raise GalleryError(f"{to} is another gallery; choose another name")
    else:
        other = create_of(to, gallery.manifest)
    try:
        total, done = len(gallery), 0
        for vectors, records in gallery.store.scan(_BATCH):
            small = [gallery.store.thumbnail(record.id) for record in records]
            other.store.add(vectors, records, small)
            done += len(records)
            if progress is not None:
                progress(done, max(total, done))
        for name in _NOTES:
            other.store.put_note(name, gallery.store.note(name))
        other.store.maintain()
        return len(other)
    finally:
        other.close()
