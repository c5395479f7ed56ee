"""A build of tipr with a model, measured in a process of its own: `python -P speed_worker.py ...`.

The build is the one that PYTHONPATH names, which may be an older one: only what old ones have too
is called here. Without words after the script it is the machine itself that is measured. Every
line read is an order, `["METHOD", WORDS...]`, and is answered with a line. A stage's answer is
seconds for one item (a crop, a sentence), one number for each time that it was timed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tipr
from tipr.data.images import open_image
from tipr.embedder import Embedder
from tipr.gallery.gallery import Gallery
from tipr.gallery.indexing import index_folders
from tipr.gallery.record import Record
from tipr.gallery.searcher import Searcher

PICTURES, SENTENCES = 64, 256  # embedded at once
_PICTURES, _SENTENCES, _QUERIES = 16, 32, 100  # timed one by one
_SIDE = 2048  # of the matrices
_ARRAY = 1 << 26  # numbers that are read
_TRIES = 3  # the best of them is what the machine can do
_BATCH = 5000  # rows stored at once


class Machine:
    """What it can do at best, on as many threads as torch takes."""

    def __init__(self) -> None:
        self._matrix, self._array = torch.rand(_SIDE, _SIDE), torch.ones(_ARRAY)

    def run(self, what: str) -> list[float]:
        """Seconds for a multiplication or addition of a matrix product, or to read a byte."""
        if what == "matrix":
            return [self._best(lambda: self._matrix @ self._matrix) / (2 * _SIDE**3)]
        return [self._best(self._array.sum) / self._array.nbytes]

    def _best(self, work: Callable[[], object]) -> float:
        return min(_timed(work) for _ in range(_TRIES))


class Model:
    """A model with photographs below `place`, sentences, and a gallery that is searched."""

    def __init__(self, name: str, way: str, place: str) -> None:
        self.embedder, self.plain = _loaded(name, way), way == "plain"
        self.folder = Path(place) / "images"
        self.files = sorted(self.folder.iterdir())
        self.pictures = [open_image(path) for path in self.files]
        height, width = self.embedder.transform.size
        some = islice(cycle(self.pictures), PICTURES)
        self.sized = [picture.resize((width, height)) for picture in some]
        texts = json.loads((Path(place) / "sentences.json").read_text(encoding="utf-8"))
        self.texts, self.sentences = texts, cycle(texts)
        self.searcher: Searcher | None = None  # until it is filled

    def ready(self) -> dict[str, Any]:
        return {"tipr": tipr.__file__, "width": self.embedder.width}

    def fill(self, place: str) -> None:
        """Stores the vectors, and measures the index with the sentences, that lie in `place`."""
        vectors, queries = (np.load(Path(place) / f"{what}.npy") for what in ("rows", "queries"))
        gallery = Gallery.create(tempfile.mkdtemp(dir=place), self.embedder)
        for start in range(0, len(vectors), _BATCH):
            some = vectors[start : start + _BATCH]
            numbers = range(start, start + len(some))
            gallery.store.add(some, [Record(f"{n:032x}", f"/crops/{n:09d}.jpg") for n in numbers])
        gallery.store.maintain(queries)
        self.searcher = Searcher(self.embedder, gallery)

    def run(self, stage: str) -> list[float]:
        threads = torch.get_num_threads()
        match stage:
            case "decode alone":
                return _in_threads(1, open_image, self.files)
            case "decode":
                return _in_threads(threads, open_image, self.files)
            case "preprocess alone":
                return _in_threads(1, self.embedder.transform, self.pictures)
            case "preprocess":
                return _in_threads(threads, self.embedder.transform, self.pictures)
            case "index":
                return self._index()
            case "search" if self.searcher is not None:
                return _one_by_one(self.searcher.search, islice(self.sentences, _QUERIES))
        return self._encoded(stage)

    def _encoded(self, stage: str) -> list[float]:
        images, texts = self.embedder.embed_images, self.embedder.embed_texts
        match stage:
            case "images at once":
                return _at_once(images, self.sized)
            case "one image":
                return _one_by_one(lambda one: images([one]), self.sized[:_PICTURES])
            case "texts at once":
                return _at_once(texts, list(islice(self.sentences, SENTENCES)))
            case "one text":
                return _one_by_one(lambda one: texts([one]), islice(self.sentences, _SENTENCES))
        raise ValueError(f"there is no stage {stage!r}")

    def _index(self) -> list[float]:
        """Into a new gallery each time, which is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as place:
            gallery = Gallery.create(place, self.embedder)
            began = time.perf_counter()
            report = index_folders(gallery, self.embedder, [self.folder])
            taken = time.perf_counter() - began
            gallery.close()
        if report.added != len(self.files):
            raise RuntimeError(f"{report.added} of {len(self.files)} crops were stored")
        return [taken / len(self.files)]

    def work(self) -> dict[str, Any]:
        """What cannot be left out, for one item: an encoder's FLOPs, bytes that a search reads.

        Asked of the newest build alone, so that one that does needless work is not praised for it.
        """
        ours, threes = self.embedder, self.texts[:_SENTENCES]
        if self.plain:  # whose needless work is not asked for
            ours = Embedder.load(ours.source, "pytorch")
        encoder = ours.encoder.eval()
        image = _flops(encoder.embed_image, [self.embedder.transform(self.sized[0])[None]])
        text = _flops(encoder.embed_text, [self.embedder.tokenizer([one]) for one in threes])
        if self.searcher is None:
            return {"image": image, "text": text}
        facts = self.searcher.gallery.store.facts()
        vectors = 4 * facts["rows"] * self.embedder.width
        return {
            "image": image,
            "text": text,
            "search": vectors // 16 if facts["index"] == "codes" else vectors,
            "searched": "codes" if facts["index"] == "codes" else "vectors",
        }

    def told(self) -> dict[str, Any]:
        """What the model ran on, and the most memory that this process held, in bytes."""
        runtime = getattr(self.embedder, "runtime", None)
        return {"runtime": getattr(runtime, "name", "PyTorch"), "held": _held()}


def _loaded(name: str, way: str) -> Embedder:
    """The way says what computes the vectors: a device of `Embedder.load`, or `plain`."""
    if way == "plain":
        from tipr.bench.untrained import plain

        return plain(Embedder.load(name, "pytorch"))
    return Embedder.load(name, way or "cpu")


def _in_threads(
    threads: int, work: Callable[[Any], object], items: Sequence[Any]
) -> list[float]:  # fmt: skip
    """Seconds for an item where so many threads share them, each on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return _at_once(lambda some: deque(pool.map(work, some), maxlen=0), items)
    finally:
        torch.set_num_threads(before)


def _at_once(work: Callable[[Any], object], items: Sequence[Any]) -> list[float]:
    return [_timed(lambda: work(items)) / len(items)]


def _one_by_one(work: Callable[[Any], object], items: Iterable[Any]) -> list[float]:
    return [_timed(lambda one=one: work(one)) for one in items]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.no_grad()
def _flops(encode: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Of one input, in the mean; attention is counted as the products that it consists of."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for one in inputs:
            encode(one)
    return counter.get_total_flops() / len(inputs)


def _held() -> int | None:
    """By the system's own account; None where it gives none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(one.split()[1]) for one in lines if one.startswith("VmHWM:")), None)


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    _subject = Model(*sys.argv[1:]) if sys.argv[1:] else Machine()
    for _line in sys.stdin:
        _method, *_words = json.loads(_line)
        print(json.dumps(getattr(_subject, _method)(*_words)), file=_answers, flush=True)
