"""Half a byte for every two numbers of a vector: coarse, and so small that all can be looked at.

Product quantisation with 4 bits (Jegou et al., PAMI 2011), scanned with the tables in registers
(Andre et al., VLDB 2015) by FAISS. A scan reads a sixteenth of the vectors' bytes and gives
candidates, whose exact scores decide. There are no partitions and no graph on purpose: sentences
lie elsewhere than pictures, and an index that looks only where it expects pictures loses people.
How many candidates are enough is measured with sentences.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from tipr.gallery.local.vectors import Slots, Vectors

_BITS = 4
_NUMBERS = 2  # of a vector, for one code
_SAMPLE = 20_000  # vectors that the code book is made from, 16 entries for two numbers each
_BATCH = 50_000


class Codes:
    """The codes of the slots [0, rows), whether their rows are still there or not."""

    def __init__(self, index: Any, centre: Vectors) -> None:
        self._index, self._centre = index, centre

    @property
    def rows(self) -> int:
        return self._index.ntotal

    @classmethod
    def built(cls, vectors: Vectors, alive: Slots) -> Codes:
        """A code book from a sample of the living rows, and the codes of all rows."""
        import faiss

        width = vectors.shape[1] + vectors.shape[1] % _NUMBERS
        index = faiss.IndexPQFastScan(width, width // _NUMBERS, _BITS, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.seed = 0
        step = max(1, len(alive) // _SAMPLE)
        sample = vectors[alive[::step][:_SAMPLE]]
        codes = cls(index, sample.mean(axis=0))
        with _one_thread():
            index.train(codes._centred(sample))
        codes.extend(vectors)
        return codes

    def extend(self, vectors: Vectors) -> None:
        """Adds the codes of the rows that it has none for."""
        for start in range(self.rows, len(vectors), _BATCH):
            self._index.add(self._centred(vectors[start : start + _BATCH]))

    def candidates(self, queries: Vectors, count: int) -> list[Slots]:
        """For each query (D,) the slots of the `count` best by their codes."""
        padded = self._padded(np.ascontiguousarray(queries, np.float32))
        with _one_thread() if len(padded) < 4 else nullcontext():
            _, slots = self._index.search(padded, min(count, self.rows))
        return [row[row >= 0] for row in slots]

    def _centred(self, vectors: Vectors) -> Vectors:
        """What all pictures have in common says nothing and would waste the code book."""
        return self._padded(vectors - self._centre)

    def _padded(self, vectors: Vectors) -> Vectors:
        more = self._index.d - vectors.shape[1]
        rows = np.pad(vectors, ((0, 0), (0, more))) if more else vectors
        return np.ascontiguousarray(rows, np.float32)

    def save(self, path: Path) -> None:
        """In one step; raises OSError and leaves what was there."""
        import faiss

        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                np.save(file, self._centre)
                writer = faiss.PyCallbackIOWriter(file.write)  # ty: ignore[missing-attribute]
                faiss.write_index(self._index, writer)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Codes:
        """Raises OSError or ValueError for a file that holds no codes."""
        import faiss

        with path.open("rb") as file:
            try:
                centre = np.load(file, allow_pickle=False)
                reader = faiss.PyCallbackIOReader(file.read)  # ty: ignore[missing-attribute]
                index = faiss.read_index(reader)
            except (RuntimeError, EOFError) as error:
                raise ValueError(f"{path} holds no codes") from error
        if not isinstance(index, faiss.IndexPQFastScan) or index.d - len(centre) not in (0, 1):
            raise ValueError(f"{path} holds no codes of this kind")
        return cls(index, centre)


@contextmanager
def _one_thread() -> Generator[None]:
    """For work in small steps: threads that wait for each other at every step cost more, and on a
    busy machine many times more, than they bring."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
