"""Placeholder by the lead so that imports work; its owner overwrites it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Wanted:
    description: str = ""
    images: tuple[Image.Image | Path, ...] = ()
    more_like: tuple[str, ...] = ()
    less_like: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understood:
    text: str

    @property
    def is_text(self) -> bool:
        return True

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,)

    def words(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Compiled:
    vectors: np.ndarray
    understood: Understood


def compiled(wanted, embedder, store):
    return Compiled(embedder.embed_texts([wanted.description]), Understood(wanted.description))


def search(store, compiled, k, where=None, exact=False):
    return store.search(compiled.vectors[0], k, where, exact=exact)
