"""Peak memory of a training step against the size of the batch, by what is kept of it.

plain       everything that the backward pass needs
recompute   what stands between transformer blocks (`optim.recompute`)
chunked     a few rows' (`optim.chunk`)
both        a few rows', between blocks

Each number is of a process of its own (`bench/memory.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tipr.bench.memory import peak_memory
from tipr.bench.subjects import made_up
from tipr.embedder import pick_device


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One cell of the table."""

    way: str
    batch: int
    memory: int | None  # bytes; None where it failed
    reason: str = ""  # why it failed


def ways(chunk: int) -> dict[str, tuple[str, ...]]:
    """What each way changes in an experiment."""
    recompute, rows = "optim.recompute=blocks", f"optim.chunk={chunk}"
    return {
        "plain": (),
        "recompute": (recompute,),
        f"chunks of {chunk}": (rows,),
        f"both, {chunk}": (rows, recompute),
    }


def peaks(
    name: str,
    batches: Sequence[int],
    chunk: int = 16,
    data: Path | None = None,
    device: str = "auto",
    announce: Callable[[str, int], None] | None = None,
) -> Iterator[Peak]:
    """The peak of every way at every batch size, without `data` on noise pictures.

    Raises:
        ValueError: a number is too small.
    """
    if min(batches, default=0) < 4 or chunk < 1:
        raise ValueError("give batches of at least 4, and a chunk of at least 1")
    place = pick_device(device)
    with tempfile.TemporaryDirectory(prefix="tipr-memory-") as folder:
        root = data or made_up(Path(folder) / "data", max(batches))
        for batch in batches:
            for way, changes in ways(chunk).items():
                if announce is not None:
                    announce(way, batch)
                try:
                    memory = peak_memory(name, root, batch, Path(folder), place, changes)
                    yield Peak(way=way, batch=batch, memory=memory)
                except RuntimeError as error:  # too little memory is a result too
                    yield Peak(way=way, batch=batch, memory=None, reason=str(error))


def table(found: Sequence[Peak]) -> str:
    """Batches down, ways across, MiB in the cells, as Markdown."""
    across = list(dict.fromkeys(peak.way for peak in found))
    cells = {(peak.batch, peak.way): peak.memory for peak in found}
    lines = [f"| batch | {' | '.join(across)} |", "|---|" + "---|" * len(across)]
    for batch in dict.fromkeys(peak.batch for peak in found):
        told = (cells.get((batch, way)) for way in across)
        shown = " | ".join("failed" if m is None else f"{m >> 20:,}" for m in told)
        lines.append(f"| {batch} | {shown} |")
    return "\n".join(lines)
