"""What becomes of a file on its way into a gallery: its hash, its facts, its picture, its vector.

Nothing here needs a store: it can be done in any thread or process, on any machine.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tipr.data.images import UnreadableImage, open_image
from tipr.gallery.gallery import EmbedderLike
from tipr.gallery.record import Record
from tipr.gallery.store import Vectors

Describe = Callable[[Path, str], Mapping[str, Any]]

_SPARE = 2  # times the encoder's size is decoded at least: vectors then turn by less than 0.001
_QUALITY = 85  # of thumbnails


@dataclass(frozen=True)
class File:
    """One file: its record, or why it is left out."""

    path: Path
    record: Record | None = None
    reason: str = ""


@dataclass(frozen=True)
class Lot:
    """Pictures ready for a store, vectors (N, D), and the files that gave no vector."""

    vectors: Vectors
    records: list[Record]
    thumbnails: list[bytes] | None
    skipped: list[tuple[Path, str]]


def hashed(path: Path) -> File:
    """The file with a record that has its id, and no facts yet."""
    try:
        str(path).encode()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except UnicodeEncodeError:
        return File(path, reason="its name is not valid UTF-8; rename it")
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        return File(path, reason=f"cannot be opened: {said}")
    return File(path, Record(digest, str(path)))


def described(file: File, name: str, describe: Describe) -> File:
    """The file with its facts; `name` is the one inside the folder."""
    if file.record is None:
        return file
    try:
        facts = dict(describe(file.path, name))
        extra = {"name": name, **facts.pop("extra", {})}
        return File(file.path, replace(file.record, extra=extra, **facts))
    except ValueError as error:
        return File(file.path, reason=str(error))


def enough(embedder: EmbedderLike, thumbnails: int) -> tuple[int, int]:
    """The least (height, width) at which a picture may be decoded for vectors and thumbnails."""
    height, width = (_SPARE * side for side in embedder.transform.size)
    return max(height, thumbnails), max(width, thumbnails)


def decoded(path: Path, at_least: tuple[int, int]) -> Image.Image | str:
    """The picture, perhaps reduced but not below (height, width), or why there is none."""
    try:
        return open_image(path, at_least=at_least)
    except UnreadableImage as error:
        return error.reason


def embedded(
    embedder: EmbedderLike,
    files: Sequence[tuple[File, Image.Image]],
    width: int,
    thumbnails: int,
) -> Lot:
    """One batch for a gallery of that width; a picture whose vector is no direction is skipped."""
    if not files:
        return Lot(np.empty((0, width), np.float32), [], None, [])
    vectors = np.asarray(embedder.embed_images([picture for _, picture in files]), np.float32)
    if vectors.shape != (len(files), width):
        raise ValueError(
            f"the model gave vectors {vectors.shape} for {len(files)} pictures; "
            f"this gallery needs ({len(files)}, {width})"
        )
    usable = np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 1e-6)
    now = datetime.now(UTC)
    records, small, skipped = [], [], []
    for (file, picture), good in zip(files, usable, strict=True):
        if good and file.record is not None:
            records.append(replace(file.record, indexed=now, model=embedder.fingerprint))
            small.append(thumbnail(picture, thumbnails) if thumbnails else b"")
        else:
            skipped.append((file.path, "the model gave no usable vector for it"))
    return Lot(vectors[usable], records, small if thumbnails else None, skipped)


def thumbnail(picture: Image.Image, height: int) -> bytes:
    """A JPEG of at most this height."""
    small = picture.copy()
    small.thumbnail((2 * height, height))
    data = io.BytesIO()
    small.convert("RGB").save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()
