"""Whether pictures and words are prepared as fast as the model takes them.

Every rate is of one run: all stages are measured in turn, round by round, each round beginning with
another, and compared with the model's step of the same round. A row of a batch counts as an image.

Decoding is measured with the files in the system's memory, since rounds read the same ones again: a
slow disk comes on top of it.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle, islice
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader

from tipr.bench.subjects import fed, made_up, subject
from tipr.data.batching import Drawn, PairBatcher, Prepared, drawn_batches
from tipr.data.pairs import Pair, contiguous
from tipr.data.readers import read_dataset
from tipr.data.sampling import EpochBatches
from tipr.embedder import pick_device
from tipr.experiments.find import find_experiment
from tipr.training.experiment import Experiment
from tipr.training.start import new_embedder

WARM_UP = 1  # rounds that are not counted
AHEAD = 2  # batches that each worker of a DataLoader prepares ahead
DIFFERENT = 8  # batches that are shown again and again
LOST = 0.1  # of its time; a model that waits for no more is fed
ALL_KEPT = 1 << 62  # bytes

STAGES = {
    "decode": "read, decode, resize",
    "augment": "augment",
    "words": "words",
    "decoding": "whole batches, every picture decoded",
    "kept": "whole batches, pictures kept decoded",
    "model": "the model's step",
}
WITH_WORKERS = ("decoding", "kept")  # the other stages are measured in one process


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What was measured: images/s of each stage, and its ratio to the model's in the same round."""

    batch: int
    workers: int
    cores: int
    on_cpu: bool  # the model computes where batches are prepared
    pictures: int  # of the training split
    cache: int  # bytes; data.cache
    needed_cache: int  # bytes that keep every picture, in each process
    rates: dict[str, float]
    ratios: dict[str, float]

    def waits(self, stage: str) -> float:
        """The share of the time for which the model waits for batches of this stage.

        Where both compute on the same cores, or in one process, one waits for the other.
        """
        step, prepared = 1 / self.rates["model"], 1 / self.rates[stage]
        in_turn = self.on_cpu or not self.workers
        return 1 - step / (step + prepared if in_turn else max(step, prepared))

    def enough_workers(self, stage: str) -> int:
        """How many feed the model, if each adds as much as one does now."""
        each = self.rates[stage] / max(self.workers, 1)
        return max(math.ceil(self.rates["model"] * (1 - LOST) / each), 1)


def measure(
    name: str, data: Path | None = None, workers: int | None = None, rounds: int = 5,
    device: str = "auto",
) -> Feed:  # fmt: skip
    """The stages of an experiment's input beside its step; without `data` on made-up photographs.

    Raises:
        ValueError: a number is too small, or the experiment cannot be built.
    """
    if rounds < 1 or (workers or 0) < 0:
        raise ValueError("--rounds is at least 1 and --workers at least 0")
    place, wanted = pick_device(device), find_experiment(name).data
    workers = wanted.workers if workers is None else workers
    with tempfile.TemporaryDirectory(prefix="tipr-input-") as folder:
        root = data or photographs(Path(folder) / "data", wanted.batch_size)
        pairs = contiguous(read_dataset(root).train)[0]
        size = min(wanted.batch_size, len(pairs))
        experiment = fed(name, root, size, Path(folder))
        works, pixels = _works(experiment, pairs, workers)
        ready = subject(experiment, root, place)
        works["model"] = lambda: _seconds(ready.step, place)
        seconds = in_rounds(works, rounds)
    pictures = len({pair.image for pair in pairs})
    rates = {stage: size / statistics.median(taken) for stage, taken in seconds.items()}
    ratios = {stage: _relative(seconds["model"], taken) for stage, taken in seconds.items()}
    return Feed(
        batch=size, workers=workers, cores=_cores(), on_cpu=place.type == "cpu", pictures=pictures,
        cache=wanted.cache, needed_cache=pictures * pixels * max(workers, 1), rates=rates,
        ratios=ratios,
    )  # fmt: skip


def in_rounds(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each work says it took in each round; a round begins with another work each time."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(WARM_UP + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds = works[name]()
            if number >= WARM_UP:
                taken[name].append(seconds)
    return taken


def photographs(root: Path, pairs: int) -> Path:
    """Made-up people on JPEGs of the size and the smoothness of photographs in the benchmarks."""
    record = made_up(root, pairs) / "reid_raw.json"
    rows = json.loads(record.read_text(encoding="utf-8"))
    for row in rows:
        before = root / "images" / row["file_path"]
        row["file_path"] = before.with_suffix(".jpg").name
        with Image.open(before) as noise:
            noise.resize((110, 280), Image.Resampling.BICUBIC).save(before.with_suffix(".jpg"))
        before.unlink()
    record.write_text(json.dumps(rows), encoding="utf-8")
    return root


def verdict(feed: Feed) -> str:
    """One sentence: fed or starved, and what would feed it."""
    who = f"with {feed.workers or 'no'} worker{'' if feed.workers == 1 else 's'}"
    decoding, kept = (f"{feed.rates[stage]:,.0f}" for stage in WITH_WORKERS)
    lost, lost_kept = (
        f"the model takes {feed.rates['model']:,.0f} and waits {feed.waits(stage):.0%} of the time"
        for stage in WITH_WORKERS
    )
    if feed.waits("decoding") <= LOST:
        return f"Fed: {who} {decoding} images/s are ready, each of them decoded; {lost}."
    if feed.waits("kept") <= LOST:
        return (f"Starved until pictures are kept decoded: {who} {decoding} images/s are ready "
                f"before and {kept} after that; {lost} at first; {_cache(feed)}; "
                f"{_workers(feed, 'decoding')}.")  # fmt: skip
    return (f"Starved: {who} {kept} images/s are ready, even of pictures that are kept decoded; "
            f"{lost_kept}; {_workers(feed, 'kept')}.")  # fmt: skip


def table(feed: Feed) -> str:
    """The stages, Markdown."""
    lines = ["| stage | processes | images/s | to the model's |", "|---|---|---|---|"]
    for stage, told in STAGES.items():
        processes = max(feed.workers, 1) if stage in WITH_WORKERS else 1
        lines.append(f"| {told} | {processes} | {feed.rates[stage]:,.0f} | "
                     f"{feed.ratios[stage]:.2f} |")  # fmt: skip
    return "\n".join(lines)


def _cache(feed: Feed) -> str:
    if feed.needed_cache <= feed.cache:
        return f"data.cache has room for all {feed.pictures:,} here"
    return f"data.cache={feed.needed_cache} would have room for all {feed.pictures:,} here"


def _workers(feed: Feed, stage: str) -> str:
    """What more workers would do."""
    if feed.on_cpu:
        return "more workers would not feed it, since it computes on the same cores"
    enough = feed.enough_workers(stage)
    if enough > feed.cores:
        return f"feeding it would take {enough} workers, and there are {feed.cores} cores"
    return f"data.workers={enough} would feed it"


def _works(
    experiment: Experiment, pairs: Sequence[Pair], workers: int
) -> tuple[dict[str, Callable[[], float]], int]:
    """The stages, each telling its seconds for one batch; and the bytes of a decoded picture."""
    data = experiment.data
    new = new_embedder(replace(experiment, init_from=""), "")
    cold, warm = (PairBatcher(new.transform, new.tokenizer, data.augmentation, cache)
                  for cache in (0, ALL_KEPT))  # fmt: skip
    order = EpochBatches(data.sampling, pairs, data.batch_size)
    epochs = chain.from_iterable(drawn_batches(order, 0, epoch) for epoch in range(DIFFERENT))
    drawn = list(islice(epochs, DIFFERENT))
    shown = {pairs[row].person_id for each in drawn for row in each.rows}
    kept = [warm.pixels(pair.image) for pair in pairs if pair.person_id in shown]
    images = torch.stack(kept[: data.batch_size]).float() / 255
    flipped = torch.rand(len(images)) < data.augmentation.flip

    def decode(rows: Sequence[Pair]) -> None:
        for pair in rows:
            cold.pixels(pair.image)

    def words(rows: Sequence[Pair]) -> None:
        new.tokenizer.numbered([data.augmentation.caption(pair.caption, False) for pair in rows])

    def augment(rows: Sequence[Pair]) -> None:
        data.augmentation.images(images, flipped)

    stages = {"decode": decode, "augment": augment, "words": words}
    whole = {name: data.batching.build(plain, pairs)
             for name, plain in zip(WITH_WORKERS, (cold, warm), strict=True)}  # fmt: skip
    works = {
        name: _flowing(Prepared(pairs, work), drawn, workers if name in whole else 0)  # ty: ignore
        for name, work in {**stages, **whole}.items()
    }
    return works, kept[0].nbytes


def _flowing(prepared: Prepared, drawn: Sequence[Drawn], workers: int) -> Callable[[], float]:
    """Seconds for a batch while they keep coming: neither a worker's start nor its end counts."""
    counted, ahead = max(4 * workers, len(drawn) // 2), AHEAD * workers

    def seconds() -> float:
        order = list(islice(cycle(drawn), counted + 2 * ahead))
        loader = DataLoader(
            prepared,  # ty: ignore[invalid-argument-type]
            batch_size=None, sampler=order, num_workers=workers, generator=torch.Generator(),
        )  # fmt: skip
        batches = iter(loader)
        for _ in range(ahead):
            next(batches)
        began = time.perf_counter()
        for _ in range(counted):
            next(batches)
        return (time.perf_counter() - began) / counted

    return seconds


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _relative(base: Sequence[float], mine: Sequence[float]) -> float:
    """How many times as fast as the base, in the same rounds."""
    return statistics.median(a / b for a, b in zip(base, mine, strict=True))


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
