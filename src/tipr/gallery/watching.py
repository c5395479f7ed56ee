"""Keeps a gallery up with folders: what lies there is indexed, then whatever comes.

A file is read once nothing has been written to it for a moment, so that half-written pictures wait;
one that could not be read is tried again when it changes. A picture that is deleted stays in the
gallery: retention and erasure decide what goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event

from tipr.gallery.gallery import EmbedderLike, Gallery
from tipr.gallery.indexing import Indexing, IndexReport, files_of, index_files

_LOOK = 250  # milliseconds between looks at files that are still being written


def watch_folders(
    gallery: Gallery,
    embedder: EmbedderLike,
    folders: Sequence[Path | str],
    *,
    how: Indexing | None = None,
    settle: float = 0.5,
    stop: Event | None = None,
) -> Iterator[IndexReport]:
    """Indexes what is there, then what comes, and tells of each lot; ends when `stop` is set.

    Raises:
        ImportError: the package that watches is not installed.
        OSError: a folder is not there.
    """
    watch = _watch()
    stop = stop or Event()
    roots = [Path(folder).absolute() for folder in folders]
    coming = watch(
        *roots, stop_event=stop, yield_on_timeout=True, rust_timeout=_LOOK, debounce=_LOOK,
        step=50, raise_interrupt=True, force_polling=None, ignore_permission_denied=True,
    )  # fmt: skip
    waiting: set[Path] = set()
    waiting |= _changed(next(coming, set()), roots, gallery)  # watched from before the first look
    yield _report(gallery, embedder, _there(gallery, roots), how)
    for changes in coming:
        waiting |= _changed(changes, roots, gallery)
        settled = {path for path in waiting if _is_settled(path, settle)}
        waiting -= settled
        names = {path: _name(path, roots) for path in sorted(settled) if path.is_file()}
        if names:
            yield _report(gallery, embedder, names, how)


def _watch() -> Callable[..., Iterator[set[tuple[int, str]]]]:
    try:
        from watchfiles import watch
    except ImportError as error:
        raise ImportError(
            "watching folders needs the watchfiles package: pip install 'tipr[watch]'"
        ) from error
    return watch  # ty: ignore[invalid-explicit-return]


def _there(gallery: Gallery, roots: Sequence[Path]) -> Mapping[Path, str]:
    """A folder that is empty still has everything to come."""
    for root in roots:
        if not root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}; check the spelling")
    if not any(any(root.iterdir()) for root in roots):
        return {}
    try:
        return files_of(gallery, roots)
    except ValueError:  # folders in it, and no files
        return {}


def _report(
    gallery: Gallery, embedder: EmbedderLike, names: Mapping[Path, str], how: Indexing | None
) -> IndexReport:
    return index_files(gallery, embedder, names, how=how)


def _changed(changes: set[tuple[int, str]], roots: Sequence[Path], gallery: Gallery) -> set[Path]:
    """The files that may be new, as `image_files` would list them."""
    inside = gallery.path.resolve() if gallery.path else None
    found = set()
    for _, text in changes:
        path = Path(text)
        hidden = any(part.startswith(".") for part in Path(_name(path, roots)).parts)
        ours = inside is not None and path.resolve().is_relative_to(inside)
        if not hidden and not ours and path.is_dir():
            found |= {below for below in path.rglob("*") if below.is_file()}
        elif not hidden and not ours:
            found.add(path)
    return found


def _is_settled(path: Path, settle: float) -> bool:
    """Whether nothing was written for that many seconds; what is gone has nothing to wait for."""
    try:
        return time.time() - path.stat().st_mtime >= settle
    except OSError:
        return True


def _name(path: Path, roots: Sequence[Path]) -> str:
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name
