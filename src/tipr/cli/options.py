"""What the verbs have in common: a flag means the same wherever it appears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from tqdm import tqdm

Out = Annotated[Path, Parameter(help="Folder to write to.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Flag = Annotated[bool, Parameter(negative=())]


def shown(bar: tqdm) -> Callable[[int, int], None]:
    """A progress callback (done, total) that moves the bar."""

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return progress
