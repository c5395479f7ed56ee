"""A gallery of rendered people whose looks are known, to search in and to judge what is found."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tipr.data.pairs import Pair
from tipr.embedder import Embedder
from tipr.evaluation.rendered import rendered
from tipr.gallery import Hit, MemoryStore, Record
from tipr.gallery.meaning import Strengths, Wanted, compiled, search

_IDENTITIES = "identities.jsonl"
_PLAIN = {"denim": "blue", "light denim": "light blue", "dark denim": "dark blue"}


class Remembering:
    """An embedder that reads each sentence once."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.known = embedder, dict[str, np.ndarray]()
        self.fingerprint, self.width = embedder.fingerprint, embedder.width
        self.source, self.transform = embedder.source, embedder.transform

    def embed_images(self, images: Iterable[Image.Image]) -> np.ndarray:
        return self.embedder.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known |= dict(zip(new, self.embedder.embed_texts(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def unread(self, text: str) -> str | None:
        return self.embedder.unread(text)


@dataclass(frozen=True)
class Shown:
    """A picture: who it shows, what that person wears, and what of it can be seen."""

    path: Path
    person: int
    looks: dict[str, Any]
    seen: frozenset[str]
    captions: tuple[str, ...]

    def has(self, attribute: str, kind: str = "") -> bool:
        """Whether it can be seen that the person has one (of this kind)."""
        value = str(self.looks[attribute])
        return attribute in self.seen and value != "none" and kind in value

    @property
    def top(self) -> str:
        """The attribute that is seen first: what is worn over all, or the shirt."""
        return "outer" if self.looks["outer"] != "none" else "upper"

    def garment(self, attribute: str) -> str:
        """As "red coat"."""
        colour = str(self.looks[f"{attribute}_c"])
        return f"{_PLAIN.get(colour, colour)} {self.looks[attribute]}"

    def wears(self, attribute: str, like: Shown) -> bool:
        """Whether it shows the same garment, in the same colour, as another picture."""
        names = (attribute, f"{attribute}_c")
        return self.has(attribute) and all(self.looks[n] == like.looks[n] for n in names)


class Crowd:
    """People of a rendered dataset: their pictures, in a store under their place as id."""

    def __init__(self, embedder: Embedder, pairs: Sequence[Pair], people: int, seed: int) -> None:
        pictures = _shown(pairs)
        ids = sorted({picture.person for picture in pictures})
        chosen = np.random.default_rng(seed).permutation(ids)[:people]
        self.pictures = [picture for picture in pictures if picture.person in set(chosen)]
        self.embedder, self.store = Remembering(embedder), MemoryStore(embedder.width)
        vectors = embedder.embed_images([picture.path for picture in self.pictures])
        self.store.add(vectors, [Record(str(row)) for row in range(len(vectors))])
        rows = defaultdict(list)
        for row, picture in enumerate(self.pictures):
            rows[picture.person].append(row)
        self.rows = {person: tuple(found) for person, found in rows.items() if len(found) > 2}
        if len(self.rows) < 2:
            raise ValueError("queries are measured with two people or more of three pictures each")

    def found(self, wanted: Wanted, strengths: Strengths, k: int = 0) -> list[int]:
        """The pictures, best first; all of them, or the best `k`."""
        query = compiled(wanted, self.embedder, self.store, strengths)
        hits: list[Hit] = search(self.store, query, k or len(self.store))
        return [int(hit.record.id) for hit in hits]

    def picture(self, row: int) -> Image.Image:
        with Image.open(self.pictures[row].path) as image:
            return image.convert("RGB")


def _shown(pairs: Sequence[Pair]) -> list[Shown]:
    known = rendered(pairs)
    if known is None:
        raise ValueError("queries are measured on rendered people, whose looks are known; render "
                         "some: tipr data synth FOLDER")  # fmt: skip
    path, line = next(iter(known.pictures.items()))
    root = Path(str(path)[: -len(line["image"])])
    with (root / _IDENTITIES).open(encoding="utf-8") as lines:
        looks = {one["id"]: one["attributes"] for one in map(json.loads, lines)}
    return [
        Shown(path, line["id"], looks[line["id"]], frozenset(line["facts"]),
              tuple(caption["text"] for caption in line["captions"]))
        for path, line in known.pictures.items()
    ]  # fmt: skip
