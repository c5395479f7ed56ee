"""A gallery: a store that remembers which model filled it.

It refuses every model but the one whose fingerprint stands in its manifest, because vectors of two
models cannot be compared and nothing else would show it. The folder of a local gallery appears
whole or not at all: it is built beside its place and renamed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tipr.data.images import ImageTransform
from tipr.gallery.opening import is_server, open_store, store_is_there
from tipr.gallery.probes import probes
from tipr.gallery.store import Store

FORMAT = 2
MANIFEST = "manifest"
_MANY = 50_000  # rows; below, every store looks at each of them
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
    normalisation: str = "unit length"
    precision: str = "float32"
    format: int = FORMAT


class Gallery:
    """An open gallery; make one with `create`, `open` or `open_or_create`.

    `name` is what it was opened by: a folder, or the address of a server. `path` is the folder.
    """

    def __init__(self, name: Path | str, manifest: Manifest, store: Store) -> None:
        self.name, self.manifest, self.store = str(name), manifest, store
        self.path = None if is_server(name) else Path(name)

    @classmethod
    def create(cls, where: Path | str, embedder: EmbedderLike) -> Gallery:
        """An empty gallery in a folder that is new or empty, or on a server."""
        return create_of(where, manifest_for(embedder))

    @classmethod
    def open(cls, where: Path | str) -> Gallery:
        if not is_server(where):
            _check_place(Path(where))
        store = open_store(where)
        try:
            return cls(where, _read_manifest(where, store), store)
        except BaseException:
            store.close()
            raise

    @classmethod
    def open_or_create(cls, where: Path | str, embedder: EmbedderLike) -> Gallery:
        """The gallery of that name, new if there is none, ready for this embedder."""
        if not store_is_there(where):
            try:
                return cls.create(where, embedder)
            except (GalleryError, OSError):
                if not store_is_there(where):  # or another process has just made it
                    raise
        gallery = cls.open(where)
        gallery.check(embedder)
        return gallery

    def check(self, embedder: EmbedderLike) -> None:
        """Raises `StaleGallery` unless this embedder filled the gallery."""
        self.manifest = _read_manifest(self.name, self.store)  # another may have re-indexed it
        theirs, ours = self.manifest.fingerprint, embedder.fingerprint
        if theirs != ours:
            raise StaleGallery(
                f"{self.name} was indexed with model {_short(theirs)} ({self.manifest.model}), "
                f"this is {_short(ours)} ({embedder.source}); pass --model "
                f"{self.manifest.model}, or make its vectors anew with this one: tipr reindex "
                f"--gallery {self.name} --model {embedder.source}"
            )

    def tidy(self, embedder: EmbedderLike) -> None:
        """Brings the index up to date, measured with sentences where there are many rows."""
        many = len(self) > _MANY
        self.store.maintain(embedder.embed_texts(probes()[1]) if many else None)

    def __len__(self) -> int:
        return len(self.store)

    def close(self) -> None:
        self.store.close()


def create_of(where: Path | str, manifest: Manifest) -> Gallery:
    """An empty gallery for the model that the manifest names."""
    if store_is_there(where):
        raise GalleryError(f"{where} is a gallery already; open it, or choose another name")
    if is_server(where):
        store = open_store(where, manifest.width)
        store.put_note(MANIFEST, json.dumps(asdict(manifest)))
        return Gallery(where, manifest, store)
    _create_folder(Path(where), manifest)
    return Gallery.open(where)


def manifest_for(embedder: EmbedderLike) -> Manifest:
    return Manifest(
        fingerprint=embedder.fingerprint,
        model=embedder.source,
        width=embedder.width,
        transform=embedder.transform.to_json(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _create_folder(path: Path, manifest: Manifest) -> None:
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if (path / "manifest.json").is_file():
            raise GalleryError(_old(path))
        raise GalleryError(f"{path} exists and is not a gallery; choose the name of a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        store = open_store(draft, manifest.width)
        store.put_note(MANIFEST, json.dumps(asdict(manifest)))
        store.close()
        draft.chmod(0o755)
        if path.is_dir():  # empty, and Windows renames onto no folder
            path.rmdir()
        draft.replace(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _check_place(path: Path) -> None:
    """Raises `NotAGallery` where there is no gallery to open, in words for each case."""
    advice = _INDEX_IT.format(path=path)
    if not path.exists():
        raise NotAGallery(f"there is no gallery {path}; {advice}")
    if not path.is_dir():
        raise NotAGallery(f"{path} is a file, not a gallery; give the folder made by tipr index")
    if not store_is_there(path):
        if (path / "manifest.json").is_file():
            raise NotAGallery(_old(path))
        raise NotAGallery(f"{path} is not a gallery; choose another folder, or {advice}")


def _old(path: Path) -> str:
    return (
        f"{path} is a gallery of an earlier tipr; index the pictures into a new one: "
        "tipr index PHOTOS --gallery NEW --model MODEL"
    )


def _read_manifest(where: Path | str, store: Store) -> Manifest:
    try:
        values = json.loads(store.note(MANIFEST) or "")
        version = values["format"]
        if version == FORMAT:
            return Manifest(**{field.name: values[field.name] for field in fields(Manifest)})
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise NotAGallery(
            f"the manifest of {where} is damaged; remove it and index the pictures again: "
            f"tipr index PHOTOS --gallery {where} --model MODEL"
        ) from error
    raise GalleryError(
        f"{where} has gallery format {version}, this tipr reads {FORMAT}; use the tipr that "
        "made it, or index the pictures into a new gallery"
    )


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) <= 10 else f"{fingerprint[:8]}.."
