"""A gallery of coloured pictures, empty stores of both kinds, and a folder of photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coloured import COLOURS, ColourEmbedder
from PIL import Image

from tipr.gallery import Gallery, MemoryStore, Store
from tipr.gallery.lance_store import LanceStore


@pytest.fixture
def embedder() -> ColourEmbedder:
    return ColourEmbedder()


@pytest.fixture
def gallery(tmp_path: Path, embedder: ColourEmbedder) -> Iterator[Gallery]:
    made = Gallery.create(tmp_path / "people", embedder)
    yield made
    made.close()


@pytest.fixture(params=["memory", "lance"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Store]:
    """Makes empty stores of a width; every claim about stores is put to both kinds."""
    made = iter(range(10_000))

    def make(width: int) -> Store:
        if request.param == "memory":
            return MemoryStore(width)
        return LanceStore(tmp_path / f"store{next(made)}", width)

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six different pictures of three colours, in two subfolders."""
    folder = tmp_path / "photos"
    for number, colour in enumerate(["red", "green", "blue"] * 2):
        path = folder / f"cam{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (8, 16), COLOURS[colour])
        picture.putpixel((0, 0), (number, 0, 0))
        picture.save(path)
    return folder
