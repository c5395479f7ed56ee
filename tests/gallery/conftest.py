"""A gallery of coloured pictures, empty stores of every kind, and a folder of photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coloured import COLOURS, ColourEmbedder
from PIL import Image

from tipr.gallery import Gallery, MemoryStore, Store
from tipr.gallery.local import LocalStore


@pytest.fixture
def embedder() -> ColourEmbedder:
    return ColourEmbedder()


@pytest.fixture
def gallery(tmp_path: Path, embedder: ColourEmbedder) -> Iterator[Gallery]:
    made = Gallery.create(tmp_path / "people", embedder)
    yield made
    made.close()


@pytest.fixture(params=["memory", "local", "milvus"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], Store]]:
    """Makes empty stores of a width; every claim about stores is put to each kind."""
    made: list[Store] = []

    def make(width: int) -> Store:
        made.append(_store(request, tmp_path / f"store{len(made)}", width))
        return made[-1]

    yield make
    for store in made:
        store.close()


def _store(request: pytest.FixtureRequest, folder: Path, width: int) -> Store:
    if request.param == "memory":
        return MemoryStore(width)
    if request.param == "local":
        return LocalStore(folder, width)
    from milvus_server import empty_store

    return empty_store(width)


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
