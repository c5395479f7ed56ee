"""A model that reads and sees a few things, and a picture of each set of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from tipr.data.images import ImageTransform
from tipr.gallery import MemoryStore, Record

THINGS = ("coat", "hat", "bag", "dress", "red", "blue")


class Bag:
    """It sees and reads things, and a person in everything; pictures also have what none reads.

    A picture's pixels say which things it shows. `faint` is how near sentences lie to one another.
    """

    fingerprint, source, width = "ba9ba9ba", "bag", len(THINGS) + 3
    transform = ImageTransform((1, 6), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self, faint: float = 1.0) -> None:
        self.faint, self.read = faint, list[str]()

    def embed_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        return unit([[*np.asarray(i.convert("L"))[0] / 255.0, 0.5, 1.0, 0.0] for i in images])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.read += texts
        told = unit([[*(float(t in text) for t in THINGS), 0.5, 0.0, 0.0] for text in texts])
        return unit(self.faint * told + (1 - self.faint) * np.eye(self.width)[-1])

    def unread(self, text: str) -> str | None:
        return None


def unit(rows: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def picture(*things: str) -> Image.Image:
    return Image.fromarray(np.array([[255 * (t in things) for t in THINGS]], np.uint8))


def every_set(bag: Bag) -> MemoryStore:
    """Every set of things is shown once, as `coat+hat`; `nothing` is the first."""
    filled = MemoryStore(bag.width)
    for number in range(2 ** len(THINGS)):
        shown = [thing for place, thing in enumerate(THINGS) if number >> place & 1]
        filled.add(bag.embed_images([picture(*shown)]), [Record("+".join(shown) or "nothing")])
    return filled
