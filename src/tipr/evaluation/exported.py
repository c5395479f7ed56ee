"""Exporting a model, and whether what was exported is as good as what it came from.

Every engine and precision is judged beside PyTorch in one run: how quick it is, how far its vectors
turn, which of the nearest pictures stay, and what is lost in R@1 and mAP. Cosines are taken after
the mean vector is taken off: all pictures of people share most of theirs, so plain cosines flatter.
What loses too much is left out.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from torch import Tensor

from tipr.data.images import UnreadableImage
from tipr.data.pairs import Pair
from tipr.embedder.bundle import check_place
from tipr.embedder.embedder import Embedder, Picture
from tipr.embedder.exporting import calibration, graph_files, write_bundle
from tipr.embedder.graphs import Way, extra, file_of
from tipr.embedder.runtime import ENGINES, Engine, Exported, Precision, missing
from tipr.encoders.encoder import MODALITIES, Modality
from tipr.evaluation.bootstrap import paired
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.vectors import embedded

NEAREST = 10
LEAST_COSINE = 0.98  # of the mean: vectors of one way are searched with those of another
_FEWEST = 2  # pictures and sentences to judge with
_ROUNDS = 7
_TIMED = 32  # pictures of a round

Vectors = Float32[np.ndarray, "N D"]
Both = tuple[Float32[np.ndarray, "G D"], Float32[np.ndarray, "Q D"]]  # of pictures, of sentences


class ExportRefused(ValueError):
    """Nothing was written: everything that was wanted loses too much."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to export. No engines: all that are installed. `most_lost` is in points of R@1;
    `force` keeps what loses more."""

    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    engines: tuple[Engine, ...] = ()
    most_lost: float = 0.5
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What to calibrate with, and others to judge with; `pairs` are a split with known people."""

    calibrating: tuple[Sequence[Picture], Sequence[str]]
    judging: tuple[Sequence[Picture], Sequence[str]]
    pairs: Sequence[Pair] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """To PyTorch, in points; 95 of 100 draws of people lie from `low` to `high`."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Beside PyTorch. `cosines` are mean and least, for pictures and for sentences; `nearest` is
    the share of the ten nearest pictures of a sentence that stay, `first` of the nearest alone."""

    engine: Engine
    precision: Precision
    pictures: float  # times as quick in batches of 32
    sentence: float  # one at a time
    cosines: dict[Modality, tuple[float, float]]
    nearest: float
    first: float
    lost: dict[str, Difference]
    refused: str = ""  # why, if it is

    @property
    def numbers(self) -> bool:
        """Whether the vectors are numbers at all."""
        return all(math.isfinite(mean) for mean, _ in self.cosines.values())

    @property
    def way(self) -> Way:
        measured = {"pictures": self.pictures, "sentence": self.sentence, "cosines": self.cosines,
                    "lost": {name: asdict(one) for name, one in self.lost.items()}}  # fmt: skip
        return Way(engine=self.engine, precision=self.precision, measured=measured)


def export(
    embedder: Embedder,
    out: Path,
    wanted: Wanted,
    sample: Sample,
    told: Callable[[str], None] = lambda what: None,
) -> list[Judged]:
    """Writes the model with its graphs to `out`, the quickest first; all that was judged.

    Raises:
        ExportRefused: every way loses too much, and `force` is not given.
        ImportError: an extra is not installed.
        ValueError: there is nothing to judge with, or `out` holds other things.
    """
    engines = wanted.engines or [engine for engine in ENGINES if not missing(engine)]
    for engine in engines or ENGINES:
        if missing(engine):
            raise ImportError(f"{ENGINES[engine]} is not installed: "
                              f"pip install 'tipr[{extra(engine)}]'")  # fmt: skip
    if min(map(len, sample.judging)) < _FEWEST:
        raise ValueError("there are too few pictures to judge with; give a folder with more")
    out = out.absolute()
    check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        folder = Path(scratch) / "graphs"
        folder.mkdir()
        told("exporting")
        given = calibration(embedder, *sample.calibrating)
        graph_files(embedder, folder, wanted.precisions, given)
        judged = list(_all_judged(embedder, folder, engines, wanted, sample, told))
        kept = [one for one in judged if not one.refused or (wanted.force and one.numbers)]
        if not kept:
            more = "--most-lost allows more, " if sample.pairs else ""
            raise ExportRefused(
                f"nothing was written: {judged[0].refused}; other pictures to calibrate with may "
                f"lose less (--crops), {more}--force keeps it anyway"
            )
        kept.sort(key=lambda one: -one.pictures)
        unused = {one.precision for one in judged} - {one.precision for one in kept}
        for path in [folder / file_of(m, p) for m in MODALITIES for p in unused]:
            path.unlink()
        write_bundle(embedder, out, folder, [one.way for one in kept])
    return judged


def readable(embedder: Embedder, paths: Sequence[Path], most: int) -> list[Picture]:
    """The first `most` of the pictures that can be read."""
    found: list[Picture] = []
    for path in paths:
        try:
            embedder.pixels([path])
        except UnreadableImage:
            continue
        found.append(path)
        if len(found) == most:
            break
    return found


def _all_judged(
    embedder: Embedder,
    folder: Path,
    engines: Sequence[Engine],
    wanted: Wanted,
    sample: Sample,
    told: Callable[[str], None],
) -> Any:
    pictures, texts = sample.judging
    true = embedder.embed_images(pictures), embedder.embed_texts(texts)
    scores = _scores(embedder, sample.pairs) if sample.pairs else None
    for engine in engines:
        for precision in wanted.precisions:
            told(f"{ENGINES[engine]} {precision}")
            files = {one: folder / file_of(one, precision) for one in MODALITIES}
            other = embedder.computed_by(Exported(engine, precision, files))
            found = other.embed_images(pictures), other.embed_texts(texts)
            finite = all(np.isfinite(rows).all() for rows in found)
            known = scores is not None and finite
            lost = _lost(scores, _scores(other, sample.pairs)) if known else {}
            cosines = {m: _turned(a, b) for m, a, b in zip(MODALITIES, found, true, strict=True)}
            quick = _quicker(embedder, other, pictures, texts)
            near, first = _stay(found, true)
            yield Judged(
                engine=engine, precision=precision, pictures=quick[0], sentence=quick[1],
                cosines=cosines, nearest=near, first=first, lost=lost,
                refused=_refused(engine, precision, cosines, lost, wanted.most_lost),
            )  # fmt: skip


def _refused(
    engine: Engine, precision: Precision, cosines: dict[Modality, tuple[float, float]],
    lost: dict[str, Difference], most: float,
) -> str:  # fmt: skip
    name = f"{ENGINES[engine]} {precision}"
    worst = max((lost[metric].mean for metric in lost), default=-math.inf)
    if worst > most:
        return f"{name} loses {worst:.2f} points, more than {most:g}"
    means = [mean for mean, _ in cosines.values()]
    if all(mean >= LEAST_COSINE for mean in means):  # no NaN is
        return ""
    least = min(means)
    return f"the vectors of {name} turn too far (mean cosine {least:.3f}, not {LEAST_COSINE})"


def _turned(found: Vectors, true: Vectors) -> tuple[float, float]:
    """The mean and the least cosine after the true mean is taken off."""
    mean = true.mean(axis=0)
    a, b = (rows - mean for rows in (found, true))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    return float(cosines.mean()), float(cosines.min())


def _stay(found: Both, true: Both) -> tuple[float, float]:
    """Of the nearest pictures of each sentence, the share that stay; the same of the first."""
    scores = (texts @ images.T for images, texts in (found, true))
    ranked = [np.argsort(-each, axis=1, kind="stable") for each in scores]
    nearest = min(NEAREST, ranked[0].shape[1])
    kept = [len(set(a[:nearest]) & set(b[:nearest])) for a, b in zip(*ranked, strict=True)]
    return sum(kept) / (nearest * len(kept)), float((ranked[0][:, 0] == ranked[1][:, 0]).mean())


def _quicker(
    embedder: Embedder, other: Embedder, pictures: Sequence[Picture], texts: Sequence[str]
) -> tuple[float, float]:
    """How many times as quick, for a batch of pictures and for one sentence.

    The best of rounds in turn, since what else a machine does only ever takes time away.
    """
    batch, sentence = embedder.pixels(pictures[:_TIMED]), embedder.tokenizer(texts[:1])
    works: list[tuple[Callable[[Tensor], object], Tensor]]
    works = [(model.runtime.images, batch) for model in (embedder, other)]
    works += [(model.runtime.texts, sentence) for model in (embedder, other)]
    rounds = [[_seconds(work, given) for work, given in works] for _ in range(_ROUNDS)]
    slow_batch, quick_batch, slow, quick = (min(spent) for spent in zip(*rounds, strict=True))
    return slow_batch / quick_batch, slow / quick


def _seconds(work: Callable[[Tensor], object], batch: Tensor) -> float:
    start = time.perf_counter()
    work(batch)
    return time.perf_counter() - start


def _scores(embedder: Embedder, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    split = embedded(embedder, pairs)
    return split.t2i().values, split.asked


def _lost(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> dict[str, Difference]:
    found = paired(before[0], after[0], before[1])
    return {
        name: Difference(mean=100 * float(found.mean[n]), low=100 * float(found.low[n]),
                         high=100 * float(found.high[n]))
        for n, name in enumerate(COLUMNS)
        if name in ("R1", "mAP")
    }  # fmt: skip
