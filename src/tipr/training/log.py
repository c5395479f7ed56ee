"""What happens during a run: one line of JSON per event on disk, a progress bar on the terminal."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from tipr.training.trackers import Tracker

Item = TypeVar("Item")


class Log:
    """Appends to `metrics.jsonl` and tells the trackers the same.

    A resumed run keeps the first `keep` bytes, which tell of what its checkpoint has done, so that
    the file tells nothing twice; None keeps everything.
    """

    def __init__(
        self, folder: Path, trackers: Sequence[Tracker] = (), keep: int | None = None
    ) -> None:
        self._file = folder / "metrics.jsonl"
        _shorten(self._file, keep)
        self._trackers = tuple(trackers)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.stat().st_size if self._file.exists() else 0

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Numbers; what is none (NaN, infinity) is null, as JSON has it."""
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._append({"kind": kind, "step": step, **known})
        for tracker in self._trackers:
            tracker.write(kind, step, values)

    def note(self, kind: str, text: str) -> None:
        """A sentence, for the file alone."""
        self._append({"kind": kind, "step": 0, "text": text})

    def _append(self, values: dict[str, Any]) -> None:
        """A line that does not fit on the disk is left out with a warning; training goes on."""
        row = {"time": round(time.time(), 1), **values}
        before = self.size
        try:
            with self._file.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            warnings.warn(f"{self._file} could not be written ({error})", stacklevel=2)
            if self._file.exists():
                os.truncate(self._file, before)

    def close(self) -> None:
        """The trackers are told that the run has ended."""
        for tracker in self._trackers:
            tracker.close()


def _shorten(file: Path, keep: int | None) -> None:
    """Whole lines within the first `keep` bytes stay."""
    if not file.is_file():
        return
    before = file.read_bytes()
    kept = before[:keep]
    kept = kept[: kept.rfind(b"\n") + 1]
    if kept != before:
        part = file.with_suffix(".part")
        part.write_bytes(kept)
        part.replace(file)


def watched(
    items: Iterable[Item], label: str, total: int, shown: dict[str, float],
    *, done: int = 0, quiet: bool = False,
) -> Iterator[Item]:  # fmt: skip
    """A progress bar with rate and remaining time on stderr; silent when not a terminal."""
    with tqdm(
        total=total, initial=done, desc=label, unit="batch", disable=quiet or None, leave=False
    ) as bar:
        for item in items:
            yield item
            bar.set_postfix({name: f"{value:.3f}" for name, value in shown.items()}, refresh=False)
            bar.update()
