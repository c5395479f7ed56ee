"""Embedders for tests of workers: they take their process with them, or note what they see."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from coloured import COLOURS, ColourEmbedder
from PIL import Image


class Deadly(ColourEmbedder):
    """Dies at the sight of a colour; only at the first, where it can leave word in a file."""

    def __init__(self, colour: str, word: Path | None = None) -> None:
        super().__init__()
        self.colour, self.word = colour, word

    def embed_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        pictures = list(images)
        if any(one.getpixel((4, 7)) == COLOURS[self.colour] for one in pictures):
            self._die()
        return super().embed_images(pictures)

    def _die(self) -> None:
        if self.word is not None:
            if self.word.exists():
                return
            self.word.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Noting(ColourEmbedder):
    """Notes in a file how many pictures it is given at a time."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def embed_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        pictures = list(images)
        with self.file.open("a") as file:
            file.write(f"{len(pictures)} ")
        return super().embed_images(pictures)


def dead_on_arrival() -> ColourEmbedder:
    """A model that its process does not survive."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
