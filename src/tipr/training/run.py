"""A training under way, and how it is kept: saved now and then, and left when it is asked to."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from tipr.data.batching import Drawn, Prepared
from tipr.data.pairs import Batch, Dataset
from tipr.data.sampling import EpochBatches
from tipr.embedder import Embedder
from tipr.evaluation.reranking import save_reranker
from tipr.objectives.extraction import TextGuidedExtraction
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment
from tipr.training.log import Log
from tipr.training.stopping import Stopped, StopRequests
from tipr.training.world import World, highest

CHECKPOINT = "last.pt"
GRACE = 60  # seconds that processes preparing batches live on when they are asked to stop


@dataclass(frozen=True)
class Kept:
    """What a run leaves behind: a model, and what can order its first hits again, if anything."""

    embedder: Embedder
    reranking: TextGuidedExtraction | None

    def save(self, folder: Path) -> None:
        self.embedder.save(folder)
        if self.reranking is not None:
            save_reranker(self.reranking, folder)


@dataclass
class Run:
    """Everything that a run needs between its steps."""

    experiment: Experiment
    out: Path
    embedder: Embedder  # of the encoder that is trained
    state: State
    log: Log | None  # the first process's
    order: EpochBatches
    batches: Prepared
    dataset: Dataset
    requests: StopRequests
    saved: float = field(default_factory=time.monotonic)
    drawn: list[Drawn] = field(default_factory=list)  # what is to be prepared
    asked: int = 0  # the signal that asked this process or another one to stop

    @property
    def world(self) -> World:
        return self.state.parallel.world

    @property
    def place(self) -> str:
        return f"epoch {self.state.epoch + 1}/{self.experiment.optim.epochs}"

    def say(self, text: str) -> None:
        """On the terminal, once for all processes."""
        if self.world.is_first:
            print(text, file=sys.stderr)

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Into the log, once for all processes."""
        if self.log is not None:
            self.log.write(kind, step, values)

    def save(self) -> None:
        """Writes the checkpoint; raises OSError when it cannot."""
        self.saved = time.monotonic()
        if self.log is not None:
            self.state.logged = self.log.size
        self.state.save(self.out / CHECKPOINT)

    def between_steps(self) -> None:
        """Saves when it is time to, and learns whether any process was asked to stop.

        A full disk is no reason to lose what was learned since.
        """
        minutes = self.experiment.optim.save_minutes
        due = self.world.is_first and time.monotonic() - self.saved >= 60 * minutes
        self.asked, due = highest(self.world, self.requests.number, int(due))
        if self.asked or not due:
            return
        try:
            self.save()
        except OSError as error:
            self.say(f"tipr: {error}. Training goes on; it is saved anew after {minutes:g} minutes "
                     "or at the end of the epoch")  # fmt: skip

    @contextmanager
    def shipped(self) -> Generator[Kept | None]:
        """The model as it would be used now, on the first process; all processes call this."""
        with self.state.parallel.whole() as method:
            if method is None:
                yield None
                return
            encoder, own = self.state.shipped.encoder(method.encoder), self.embedder
            training = encoder.training
            embedder = Embedder(encoder, own.transform, own.tokenizer, own.source)
            yield Kept(embedder, None if self.state.shipped.changes else method.reranking)
            encoder.train(training)

    def leave(self) -> None:
        """Saves the run and says how to go on."""
        self.save()
        self.say(f"stopped in {self.place} after batch {self.state.progress.steps}; give the same "
                 "command with --resume to go on")  # fmt: skip

    def obey(self) -> None:
        """Raises Stopped when any process was asked to stop."""
        if self.asked:
            raise Stopped(self.asked)

    def prepared(self, drawn: Sequence[Drawn]) -> Iterator[Batch]:
        """Batches in this order, prepared by as many processes as the experiment wants.

        The processes live as long as the run, with the pictures that they keep decoded.
        """
        self.drawn[:] = drawn
        return iter(self.loader)

    @cached_property
    def loader(self) -> DataLoader[Batch]:
        workers = self.experiment.data.workers
        return DataLoader(
            self.batches,  # ty: ignore[invalid-argument-type]
            batch_size=None,
            sampler=self.drawn,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_outlast_requests,
            generator=torch.Generator(),  # or it would draw from what the method draws from
        )

    def until_asked(self, batches: Iterable[Batch]) -> Generator[Batch]:
        """Ends after the step in which a request to stop came."""
        for batch in batches:
            yield batch
            if self.asked:
                return


def _outlast_requests(worker: int) -> None:
    """Who asks a run to stop often asks all of its processes, but the step still needs these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))
