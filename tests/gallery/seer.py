"""An embedder with known eyesight: it sees who a probe is, through noise, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
from PIL import Image

from tipr.data.images import ImageTransform
from tipr.gallery.probes import probes


class Seer:
    """Pictures and sentences lie in two cones, as those of real models do.

    Part of a vector is the person; `noise` is how little. Half of the noise is in ways all people
    share, so that some sentences are near to everybody.
    """

    fingerprint, source, width = "5ee25ee2", "seer", 64
    transform = ImageTransform((8, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self, noise: float = 0.5, seed: int = 0) -> None:
        self.noise, self.rng = noise, np.random.default_rng(seed)
        text, photo = self.rng.normal(size=(2, self.width))
        self.cones = {"text": text, "photo": photo, "look": photo + text}
        pictures, captions = probes()
        people = self.people(len(captions))
        self._people = dict(zip(captions, people, strict=True))
        self._people |= {p.tobytes(): one for p, one in zip(pictures, people, strict=True)}

    def people(self, count: int) -> np.ndarray:
        return self.rng.normal(size=(count, self.width))

    def seen(self, people: np.ndarray, kind: str) -> np.ndarray:
        """Vectors of them: sentences (text), rendered pictures (look) or photographs (photo).

        The same ones are always seen alike.
        """
        draws = np.random.default_rng(crc32(people.tobytes() + kind.encode()))
        noise = draws.normal(size=people.shape) * self.noise
        vectors = self.cones[kind] + people + noise
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def embed_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        return self.seen(np.stack([self._people[image.tobytes()] for image in images]), "look")

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.seen(np.stack([self._people[text] for text in texts]), "text")

    def unread(self, text: str) -> str | None:
        return None
