"""A gallery: a folder that holds a store and remembers which model filled it.

The folder appears whole or not at all: it is built beside its place and renamed. It refuses every
model but the one whose fingerprint stands in its `manifest.json`, because vectors of two models
cannot be compared and nothing else would show it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tipr.data.images import ImageTransform
from tipr.data.whole import put
from tipr.gallery.lance_store import LanceStore
from tipr.gallery.store import Store

FORMAT = 1
MANIFEST = "manifest.json"
_INDEX_IT = "index a folder of pictures into it: tipr index PHOTOS --gallery {path} --model MODEL"


class GalleryError(ValueError):
    """The gallery cannot be used as asked; says what to do instead."""


class NotAGallery(GalleryError):
    """There is no whole gallery at this place."""


class StaleGallery(GalleryError):
    """The gallery was filled by another model than the one at hand."""


class EmbedderLike(Protocol):
    """What a gallery needs of an embedder; vectors are unit length, float32, of `width`.

    `source` finds the model again from any folder: the name of a shipped one, or a full path.
    `unread` is the first word of a text that the model does not read; None when it reads all.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def transform(self) -> ImageTransform: ...
    def embed_images(self, images: Iterable[Image.Image]) -> NDArray[np.float32]: ...
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
    def unread(self, text: str) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a gallery says about itself; `model` is the source of the embedder that made it."""

    fingerprint: str
    model: str
    width: int
    transform: dict[str, Any]
    created: str
    format: int = FORMAT


class Gallery:
    """An open gallery; make one with `create`, `open` or `open_or_create`."""

    def __init__(self, path: Path, manifest: Manifest, store: Store) -> None:
        self.path, self.manifest, self.store = path, manifest, store

    @classmethod
    def create(cls, path: Path | str, embedder: EmbedderLike) -> Gallery:
        """An empty gallery in a folder that is new or empty."""
        path = Path(path)
        if (path / MANIFEST).exists():
            raise GalleryError(f"{path} is a gallery already; open it, or choose another name")
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise GalleryError(
                f"{path} exists and is not a gallery; choose the name of a new folder"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            manifest = _manifest_for(embedder)
            LanceStore(draft, manifest.width).close()
            put(draft / MANIFEST, json.dumps(asdict(manifest), indent=2) + "\n")
            draft.chmod(0o755)
            if path.is_dir():  # empty, and Windows renames onto no folder
                path.rmdir()
            draft.replace(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Gallery:
        path = Path(path)
        manifest = _read_manifest(path)
        return cls(path, manifest, LanceStore(path, manifest.width))

    @classmethod
    def open_or_create(cls, path: Path | str, embedder: EmbedderLike) -> Gallery:
        """The gallery at `path`, new if there is none, ready for this embedder."""
        if not (Path(path) / MANIFEST).exists():
            return cls.create(path, embedder)
        gallery = cls.open(path)
        gallery.check(embedder)
        return gallery

    def check(self, embedder: EmbedderLike) -> None:
        """Raises `StaleGallery` unless this embedder filled the gallery."""
        theirs, ours = self.manifest.fingerprint, embedder.fingerprint
        if theirs != ours:
            raise StaleGallery(
                f"{self.path} was indexed with model {_short(theirs)} ({self.manifest.model}), "
                f"this is {_short(ours)} ({embedder.source}); index into a new gallery, "
                f"or pass --model {self.manifest.model}"
            )

    def __len__(self) -> int:
        return len(self.store)

    def close(self) -> None:
        self.store.close()


def _manifest_for(embedder: EmbedderLike) -> Manifest:
    return Manifest(
        fingerprint=embedder.fingerprint,
        model=embedder.source,
        width=embedder.width,
        transform=embedder.transform.to_json(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _read_manifest(path: Path) -> Manifest:
    advice = _INDEX_IT.format(path=path)
    if not path.exists():
        raise NotAGallery(f"there is no gallery {path}; {advice}")
    if not path.is_dir():
        raise NotAGallery(f"{path} is a file, not a gallery; give the folder made by tipr index")
    try:
        values = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = values["format"]
        if version != FORMAT:
            raise GalleryError(
                f"{path} has gallery format {version}, this tipr reads {FORMAT}; use the tipr that "
                "made it, or index the pictures into a new gallery"
            )
        return Manifest(**values)
    except FileNotFoundError as error:
        raise NotAGallery(
            f"{path} is not a gallery (it has no {MANIFEST}); choose another folder, or {advice}"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise NotAGallery(
            f"{path / MANIFEST} is damaged; remove the folder and index the pictures again: "
            f"tipr index PHOTOS --gallery {path} --model MODEL"
        ) from error


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) <= 10 else f"{fingerprint[:8]}.."
