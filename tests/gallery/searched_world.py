"""People in a gallery, people elsewhere, and what is found when one asks for them."""

from __future__ import annotations

from functools import cache

import numpy as np
from seer import Seer

from tipr.gallery.calibrating import fit
from tipr.gallery.record import Hit, Record
from tipr.gallery.store import MemoryStore

ROWS = 600


def filled(vectors: np.ndarray, tracks: list[str] | None = None) -> MemoryStore:
    store = MemoryStore(vectors.shape[1])
    tracks = tracks or [""] * len(vectors)
    store.add(vectors, [Record(id=f"{row}", track=name) for row, name in enumerate(tracks)])
    return store


def hits_of(*scores: float) -> list[Hit]:
    return [Hit(score, Record(id=f"{place}")) for place, score in enumerate(scores)]


class World:
    """People in a gallery, people elsewhere, and what is found when one asks for them."""

    def __init__(self, noise: float, kind: str = "look", rows: int = ROWS) -> None:
        self.seer = Seer(noise)
        self.inside, self.outside = self.seer.people(rows), self.seer.people(rows)
        self.vectors = self.seer.seen(self.inside, kind)
        self.store = filled(self.vectors)
        self.calibration = fit(self.store, self.seer)

    def asked(self, present: bool, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
        """The probability of the first hit of each search, and whether it is right."""
        queries = self.seer.seen(self.inside if present else self.outside, "text")
        found, right = [], []
        for number, query in enumerate(queries):
            chosen = (number + np.arange(rows)) % ROWS  # the person is among them
            scores = self.vectors[chosen] @ query
            first = int(scores.argmax())
            judged = self.calibration.judged(query, hits_of(float(scores[first])), rows)
            found.append(judged.probability)
            right.append(present and first == 0)
        return np.array(found), np.array(right)


@cache
def seen_through(noise: float) -> World:
    return World(noise)
