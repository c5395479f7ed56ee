"""What happens during a run: one line of JSON per event on disk, a progress bar on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class Log:
    """Appends to `metrics.jsonl` and, where tensorboard is installed and wanted, to its files."""

    def __init__(self, folder: Path, tensorboard: bool = False) -> None:
        self._file = folder / "metrics.jsonl"
        self._board = _board(folder) if tensorboard else None

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        row = {"time": round(time.time(), 1), "kind": kind, "step": step, **values}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("--tensorboard needs: pip install 'tipr[tensorboard]'") from error
    return SummaryWriter(folder)


def watched(
    items: Iterable[Item], label: str, total: int, shown: dict[str, float]
) -> Iterator[Item]:
    """A progress bar with rate and remaining time on stderr; silent when not a terminal."""
    with tqdm(total=total, desc=label, unit="batch", disable=None, leave=False) as bar:
        for item in items:
            yield item
            bar.set_postfix({name: f"{value:.3f}" for name, value in shown.items()}, refresh=False)
            bar.update()
