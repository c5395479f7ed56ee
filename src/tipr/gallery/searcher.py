"""A sentence in, the most similar pictures of a gallery out.

The model is the one the gallery names, so searching needs no other argument; a model from elsewhere
is accepted only with the same fingerprint.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tipr.gallery.gallery import EmbedderLike, Gallery, GalleryError
from tipr.gallery.store import Hit


class Searcher:
    """An embedder and the gallery it filled."""

    def __init__(self, embedder: EmbedderLike, gallery: Gallery) -> None:
        gallery.check(embedder)
        self.embedder, self.gallery = embedder, gallery

    @classmethod
    def open(
        cls, gallery: Path | str, device: str = "cpu", model: Path | str | None = None
    ) -> Searcher:
        """The gallery at this path with its model; `model` says where that lies if it was moved."""
        opened = Gallery.open(gallery)
        from tipr.embedder import Embedder  # brings in torch: only once the gallery is known good

        source = opened.manifest.model if model is None else model
        try:
            embedder = Embedder.load(source, device)
        except ValueError as error:
            raise GalleryError(
                f"{gallery} was indexed with the model {opened.manifest.model}, and {error}; "
                "pass --model with the place where that model lies now"
            ) from error
        return cls(embedder, opened)

    def search(self, description: str, k: int = 10) -> list[Hit]:
        """The `k` pictures most similar to the description, best first."""
        if not description.strip():
            raise ValueError("the description is empty; say what the person looks like")
        return self.gallery.store.search(self.embedder.embed_texts([description])[0], k)

    def close(self) -> None:
        self.gallery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
