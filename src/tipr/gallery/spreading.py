"""Pictures into a gallery by many processes, on one machine or several, that may die at any time.

Ray runs the processes, as plain actors: they say which one died over which chunk, so that a chunk
is done again, or cut down to the file that kills; Ray Data would repeat or drop its own blocks and
tell nobody, and would leave the asking, the adding and the acknowledging to us all the same.

The workers hash, decode and embed a few hundred files at a time, one chunk each. Only the caller
writes: a chunk counts as done once it is in the store, and every picture is there exactly once,
because its id is the hash of its bytes. What is held in memory grows with the number of workers,
not of files. The workers read the files themselves, so all machines need the folders at the same
place, and the same tipr. A Ray cluster runs whatever it is sent: keep strangers out of its network.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from socket import gethostname
from typing import Any, Literal

from tipr.gallery.cluster import joined
from tipr.gallery.crops import File, Lot, decoded, described, embedded, enough, hashed
from tipr.gallery.gallery import EmbedderLike, Gallery
from tipr.gallery.indexing import Indexing, IndexReport, Progress, Tally, is_gone, keep, lacking

_BATCHES = 4  # in a chunk
_TRIES = 2  # of a chunk, before it is cut, and of a file, before it is skipped
_PIECES = 16  # that a chunk is cut into: two cuts reach the file that kills
_IN_A_ROW = 24  # deaths with nothing done between them; more are not the fault of single files
_THREADS = 4  # that read ahead of the encoder, in each worker


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that embed.

    `load` makes the embedder, in each of them. `address` is where a Ray cluster runs; if it is
    empty, one of `count` processes runs on this machine for as long as it is needed. `gpus` is the
    share of a GPU that each worker holds: with 0.5 two of them use one.
    """

    load: Callable[[], EmbedderLike]
    count: int
    address: str = ""
    gpus: float = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"there is at least 1 worker; this is {self.count}")


def spread(
    gallery: Gallery,
    embedder: EmbedderLike,
    names: Mapping[Path, str],
    workers: Workers,
    progress: Progress | None = None,
    how: Indexing | None = None,
) -> IndexReport:
    """`index_files` by workers: the same rows, in the order in which they come.

    A file over which a worker died again and again is skipped. After a stop, by whatever, the same
    call goes on with what is missing.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no Ray cluster at the address.
        ChildProcessError: workers die whatever they are given.
        ValueError: a machine has not the files, or another model; the cluster is too small.
    """
    start = time.monotonic()
    gallery.check(embedder)
    tally = Tally(len(names), progress)
    job = _Job(gallery, names, how or Indexing(), tally)
    with joined(workers.address, workers.count, workers.gpus) as ray:
        crew = _Crew(ray, workers, job)
        try:
            crew.run()
        finally:
            crew.dismiss()
    if tally.added:
        gallery.tidy(embedder)
    tally.tell()
    return tally.report(time.monotonic() - start)


@dataclass(frozen=True)
class _Task:
    """What a worker is to do to some files: the name of a method of `_Worker`."""

    step: Literal["hashed", "embedded"]
    files: Sequence[File]
    deaths: int = 0

    def pieces(self) -> list[_Task]:
        size = -(-len(self.files) // _PIECES)
        cuts = range(0, len(self.files), size)
        return [_Task(self.step, self.files[cut : cut + size]) for cut in cuts]


class _Worker:
    """What runs in a process of its own, on any machine."""

    def load(self, load: Callable[[], EmbedderLike], fingerprint: str, how: Indexing) -> None:
        self._embedder, self._how = load(), how
        self._pool = ThreadPoolExecutor(_THREADS)
        if self._embedder.fingerprint != fingerprint:
            raise ValueError(
                f"the model {self._embedder.source} of machine {gethostname()} is another one than "
                "here; put the same model at the same place on every machine"
            )

    def hashed(self, files: Sequence[File]) -> tuple[list[File], Path | None, str]:
        """The files with their ids, the first one that is not there, and what machine this is."""
        found = list(self._pool.map(hashed, [file.path for file in files]))
        lost = (file.path for file in found if file.record is None and is_gone(str(file.path)))
        return found, next(lost, None), gethostname()

    def embedded(self, files: Sequence[File]) -> list[Lot]:
        """A lot for each batch; the next one is decoded while one is embedded."""
        size = self._how.batch
        batches = [files[start : start + size] for start in range(0, len(files), size)]
        lots, ahead = [], self._decoding(batches[0])
        for batch in [*batches[1:], []]:
            now, ahead = ahead, self._decoding(batch)
            lots.append(self._lot([(file, future.result()) for file, future in now]))
        return lots

    def _decoding(self, files: Sequence[File]) -> list[tuple[File, Any]]:
        at_least = enough(self._embedder, self._how.thumbnails)
        return [(file, self._pool.submit(decoded, file.path, at_least)) for file in files]

    def _lot(self, files: Sequence[tuple[File, Any]]) -> Lot:
        good = [(file, picture) for file, picture in files if not isinstance(picture, str)]
        bad = [(file.path, reason) for file, reason in files if isinstance(reason, str)]
        lot = embedded(self._embedder, good, self._embedder.width, self._how.thumbnails)
        return replace(lot, skipped=lot.skipped + bad)


class _Job:
    """The files that are left, and what becomes of those that a worker is done with."""

    def __init__(
        self, gallery: Gallery, names: Mapping[Path, str], how: Indexing, tally: Tally
    ) -> None:
        self.gallery, self.how = gallery, how
        self._names, self._rest, self._tally = names, iter(names), tally
        self._tasks: deque[_Task] = deque()
        self._seen: set[str] = set()

    def is_left(self) -> bool:
        """Whether there is a task to give out."""
        if not self._tasks:
            chunk = [File(path) for path in islice(self._rest, _BATCHES * self.how.batch)]
            self._tasks.extend([_Task("hashed", chunk)] if chunk else [])
        return bool(self._tasks)

    def task(self) -> _Task:
        return self._tasks.popleft()

    def done(self, task: _Task, result: Any) -> None:
        if task.step == "hashed":
            self._ask(*result)
        else:
            for lot in result:
                keep(self.gallery, lot, self._tally)

    def _ask(self, found: list[File], lost: Path | None, machine: str) -> None:
        """The pictures that the gallery lacks are embedded next."""
        if lost is not None and not is_gone(str(lost)):
            raise ValueError(
                f"machine {machine} has no {lost}, which is here; all machines need the folders "
                "at the same place. What was done is kept: run it again"
            )
        files = [described(file, self._names[file.path], self.how.describe) for file in found]
        new = list(lacking(self.gallery, files, self._seen, self._tally))
        if new:
            self._tasks.appendleft(_Task("embedded", new))

    def lost(self, task: _Task) -> None:
        """A worker died over it: once more, then in pieces; a single file is skipped in the end."""
        again = replace(task, deaths=task.deaths + 1)
        if again.deaths < _TRIES:
            self._tasks.appendleft(again)
        elif len(task.files) > 1:
            self._tasks.extendleft(reversed(task.pieces()))
        else:
            reason = f"{_TRIES} workers died while they read it; look at it, or leave it out"
            self._tally.skipped.append((task.files[0].path, reason))
            self._tally.tell()


class _Crew:
    """Workers with at most one task each; one that dies is replaced."""

    def __init__(self, ray: Any, workers: Workers, job: _Job) -> None:
        self._ray, self._workers, self._job = ray, workers, job
        self._kind = ray.remote(num_cpus=1, num_gpus=workers.gpus)(_Worker)
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, _Task | None]] = {}  # by what Ray promised
        self._deaths = 0  # since something was done

    def run(self) -> None:
        for _ in range(self._workers.count):
            self._hire()
        while self._occupied():
            (promise,), _ = self._ray.wait(list(self._busy))
            worker, task = self._busy.pop(promise)
            try:
                result = self._ray.get(promise)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._replace(worker, task, error)
            else:
                self._idle.append(worker)
                if task is not None:
                    self._deaths = 0
                    self._job.done(task, result)

    def dismiss(self) -> None:
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)

    def _occupied(self) -> bool:
        """Gives out tasks; whether there is anything to wait for."""
        while self._idle and self._job.is_left():
            worker, task = self._idle.pop(), self._job.task()
            self._busy[getattr(worker, task.step).remote(task.files)] = worker, task
        return self._job.is_left() or any(task for _, task in self._busy.values())

    def _hire(self) -> None:
        worker, how = self._kind.remote(), self._job.how
        how = Indexing(batch=how.batch, thumbnails=how.thumbnails)  # facts are the caller's affair
        fingerprint = self._job.gallery.manifest.fingerprint
        self._busy[worker.load.remote(self._workers.load, fingerprint, how)] = worker, None

    def _replace(self, worker: Any, task: _Task | None, error: Exception) -> None:
        self._ray.kill(worker)  # it may only have been out of reach
        self._deaths += 1
        if self._deaths > _IN_A_ROW:
            raise ChildProcessError(
                f"{self._deaths} workers died one after the other; if memory ran out, use fewer "
                "workers or a smaller model. What was done is kept: run it again"
            ) from error
        if task is not None:
            self._job.lost(task)
        self._hire()
