"""Rendering a whole dataset: many people, all or nothing, the same with any number of workers.

The dataset grows in a hidden folder beside its destination and takes its name when complete; on
any failure the hidden folder is removed. One task is one person, so work spreads over processes
without changing a byte of what is made.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tipr.data.synthetic.annotators import ANNOTATORS, HELD_OUT
from tipr.data.synthetic.export import Export
from tipr.data.synthetic.levels import LEVELS
from tipr.data.synthetic.shots import Task, kinship, render_member
from tipr.data.synthetic.splits import split_families
from tipr.data.synthetic.twins import Member, population

FAMILIES_NEEDED = 3  # one for each split
BYTES_PER_IMAGE = {"easy": 16_000, "medium": 12_000, "hard": 9_000}  # with its annotations
MOST_WORKERS = 61  # Windows waits for no more processes than these
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Records = list[dict[str, Any]]
Progress = Callable[[int, int], None]


class RenderingError(RuntimeError):
    """A picture could not be made; the message says whose."""


@dataclass(frozen=True)
class Summary:
    """What was rendered; `splits` counts people, images and captions of each."""

    path: Path
    people: int
    images: int
    captions: int
    splits: dict[str, dict[str, int]]
    annotations_sha256: str


def render_dataset(  # noqa: PLR0913 - the front door: every number a user may choose
    out: Path,
    *,
    people: int,
    images: int,
    level: str = "medium",
    seed: int = 0,
    workers: int = 1,
    captions: int = 2,
    progress: Progress | None = None,
) -> Summary:
    """Renders `people` people with `images` pictures each into the new folder `out`.

    `progress` is called with the number of people done and to do. Raises ValueError for numbers
    that make no dataset, FileExistsError if `out` holds something, OSError if the disk is full,
    RenderingError if a worker fails; then nothing is left behind.
    """
    out = Path(out).resolve()
    _check(people, images, level, workers, captions)
    members = population(people, level, seed)
    splits = _splits(members, level, seed)
    _check_space(out, people * images * BYTES_PER_IMAGE[level])
    with _growing(out) as folder:
        tasks = [
            Task(member, splits[member.family], folder, seed, level, images, captions)
            for member in members
        ]
        facts = {"name": out.name, "seed": seed, "level": level}
        facts = _exported(folder, tasks, workers, facts, progress or _silent)
    chosen = ("people", "images", "captions", "splits", "annotations_sha256")
    return Summary(out, *(facts[name] for name in chosen))


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


def _check(people: int, images: int, level: str, workers: int, captions: int) -> None:
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}; choose one of {', '.join(LEVELS)}")
    counts = {"people": people, "images": images, "captions": captions, "workers": workers}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")
    most = ANNOTATORS - HELD_OUT
    if captions > most:
        raise ValueError(f"{captions} captions need as many annotators; there are only {most}")


def _splits(members: list[Member], level: str, seed: int) -> dict[int, str]:
    """The split of each family, where there are enough families."""
    families = {member.family for member in members}
    if len(families) < FAMILIES_NEEDED:
        enough = (FAMILIES_NEEDED - 1) * (1 + LEVELS[level].twins) + 1
        raise ValueError(
            f"{len(members)} people at level {level} are too few for three splits that share"
            f" nobody; ask for at least {enough} people"
        )
    return split_families(families, seed)


def _check_space(out: Path, needed: int) -> None:
    folder = out.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.exists():
        raise FileNotFoundError(f"there is no drive {folder}; choose another folder than {out}")
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _disk_full(out, f"about {needed // 2**20} MB are needed, {free // 2**20} MB are free")


def _disk_full(out: Path, why: str) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"the disk is full ({why}); free some space or choose another folder",
        str(out),
    )


@contextmanager
def _growing(out: Path) -> Generator[Path]:
    """A hidden folder beside `out` that takes its name at the end, or is removed on any failure."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} already holds something; choose another folder or empty it")
    folder = out.parent / f".{out.name}.partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        yield folder
        if out.is_dir():  # empty, and Windows renames onto no folder
            out.rmdir()
        folder.replace(out)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(out, "nothing was kept") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exported(
    folder: Path, tasks: list[Task], workers: int, facts: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Renders and writes everything in the order of the tasks; returns what `dataset.json` says."""
    with Export(folder) as export, closing(_rendered(tasks, workers)) as rendered:
        for done, (task, records) in enumerate(rendered, start=1):
            person = {"id": task.member.id, "split": task.split, **kinship(task.member)}
            export.add(task.member, person, records)
            progress(done, len(tasks))
        return export.finish(facts)


def _rendered(tasks: list[Task], workers: int) -> Generator[tuple[Task, Records]]:
    """Each task with its records, in the order of the tasks, whoever finishes first."""
    if workers == 1:
        results = map(render_member, tasks)
        yield from zip(tasks, _named(tasks, results), strict=True)
        return
    workers = min(MOST_WORKERS, workers)
    with _single_threaded(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            results = pool.map(render_member, tasks)
            yield from zip(tasks, _named(tasks, results), strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _named(tasks: list[Task], results: Iterator[Records]) -> Iterator[Records]:
    """The results; a failure says whose picture it was."""
    for task in tasks:
        try:
            records = next(results)
        except BrokenProcessPool as error:
            raise RenderingError(
                "a worker was stopped, perhaps for want of memory (each takes about 300 MB);"
                " try again with fewer workers"
            ) from error
        except OSError:
            raise
        except Exception as error:
            raise RenderingError(f"rendering person {task.member.id} failed: {error}") from error
        yield records


@contextmanager
def _single_threaded() -> Generator[None]:
    """Workers started in here use one thread each; the environment is put back afterwards."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
