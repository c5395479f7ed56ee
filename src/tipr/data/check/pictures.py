"""Whether the pictures are there and can be read: by their headers, or decoded whole."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from tipr.data.check.report import Hit
from tipr.data.images import FORMATS, MAX_PIXELS, UnreadableImage, image_files, open_image
from tipr.data.readers.entries import Entry
from tipr.data.shards import ShardError, member_bytes, shard_of

Progress = Callable[[int, int], None]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".avif"}
_AT_ONCE = 256  # files that a thread takes at a time


@dataclass(frozen=True, slots=True)
class Picture:
    """A file as it was found."""

    missing: bool = False
    reason: str = ""  # why it cannot be read
    digest: bytes = b""  # of its bytes, when they were read


def pictures(files: Sequence[Path], deep: bool, progress: Progress | None = None) -> list[Picture]:
    """What became of each file; with `deep` every one is decoded."""
    Image.init()
    found: list[Picture] = []
    parts = [files[i : i + _AT_ONCE] for i in range(0, len(files), _AT_ONCE)]
    workers = min(32, 4 * (os.cpu_count() or 1))  # disks on the network answer late
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow's about large and odd files
        for part in pool.map(lambda part: [_picture(path, deep) for path in part], parts):
            found += part
            if progress is not None:
                progress(len(found), len(files))
    return found


def _picture(path: Path, deep: bool) -> Picture:
    if shard_of(path) is None:
        strange = _no_file(path)
        if strange is not None:
            return strange
    if not deep and _readable_header(path):
        return Picture()
    try:
        open_image(path)
        return Picture(digest=_digest(path)) if deep else Picture()
    except UnreadableImage as error:
        return Picture(reason=error.reason)
    except OSError as error:
        return Picture(reason=_refused(error))


def _no_file(path: Path) -> Picture | None:
    """What a path is when it is no regular file; nothing else may be opened."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Picture(missing=True)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return Picture(reason=_refused(error))
    if stat.S_ISREG(mode):
        return None
    return Picture(reason=f"is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}")


def _refused(error: Exception) -> str:
    return f"cannot be opened: {getattr(error, 'strerror', None) or error}".lower()


def _readable_header(path: Path) -> bool:
    """Whether all is well as far as the header tells; if not, `open_image` knows the reason."""
    try:
        source = io.BytesIO(member_bytes(path)) if shard_of(path) else path
        formats = tuple(name for name in FORMATS if name in Image.OPEN)
        with Image.open(source, formats=formats) as image:
            still = getattr(image, "n_frames", 1) == 1 or image.format == "MPO"
            return still and image.width * image.height <= MAX_PIXELS
    except Exception:  # damaged files make Pillow raise nearly anything
        return False


def _digest(path: Path) -> bytes:
    try:
        content = member_bytes(path) if shard_of(path) else path.read_bytes()
    except ShardError as error:
        raise UnreadableImage(path, str(error)) from error
    return hashlib.sha256(content).digest()


def picture_hits(
    rows: Sequence[Entry], found: Sequence[Picture], absent: frozenset[str]
) -> Iterator[Hit]:
    """Missing ones by their folder, except below folders that are `absent`; unreadable ones."""
    by_folder: dict[str, list[str]] = {}
    total = Counter(_folder(row.file) for row in rows)
    for row, picture in zip(rows, found, strict=True):
        if picture.reason:
            yield Hit("unreadable images", f"{row.file}: {picture.reason}")
        elif picture.missing and not any(row.file.startswith(f"{name}/") for name in absent):
            by_folder.setdefault(_folder(row.file), []).append(row.file)
    for folder, files in sorted(by_folder.items(), key=lambda item: -len(item[1])):
        share = f"{len(files):,} of {total[folder]:,}"
        yield Hit("missing images", f"{folder}: {share}, as {files[0]}", len(files))


def absent_folders(rows: Iterable[Entry], images: Path, expected: Iterable[str]) -> dict[str, int]:
    """Those of a public set's folders that are not there, and how many images each should hold."""
    counts: Counter[str] = Counter()
    names = frozenset(expected)
    for row in rows:
        parts = PurePosixPath(row.file).parts[:-1]
        place = next((i for i, part in enumerate(parts) if part in names), None)
        if place is not None:
            counts["/".join(parts[: place + 1])] += 1
    return {folder: n for folder, n in sorted(counts.items()) if _absent(images / folder)}


def _absent(folder: Path) -> bool:
    try:
        return not folder.is_dir()
    except PermissionError:
        return False  # its pictures are told to be locked


def equal_hits(rows: Sequence[Entry], found: Sequence[Picture]) -> Iterator[Hit]:
    """The same bytes under two names."""
    first: dict[bytes, Entry] = {}
    for row, picture in zip(rows, found, strict=True):
        if not picture.digest:
            continue
        other = first.setdefault(picture.digest, row)
        if other is not row:
            alike = (other.person, other.split) == (row.person, row.split)
            kind = "the same image twice" if alike else "the same image under two people or splits"
            both = [f"{r.file} (person {r.person}, {r.split or 'no split'})" for r in (other, row)]
            yield Hit(kind, " and ".join(both))


def unnamed_hits(rows: Iterable[Entry], images: Path) -> Iterator[Hit]:
    """Pictures in the folder that no entry names."""
    named = {str(images / row.file) for row in rows}
    for path in image_files(images) if images.is_dir() else ():
        if path.suffix.lower() in _SUFFIXES and str(path) not in named:
            yield Hit("images without an entry", str(path.relative_to(images)))


def _folder(file: str) -> str:
    return str(PurePosixPath(file).parent)
