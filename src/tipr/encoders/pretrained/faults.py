"""What can be wrong with a file of weights, in the reader's words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class WeightsError(ValueError):
    """The weights cannot be read or do not fit; the message names the file and what to do."""


class UnsafeWeights(WeightsError):
    """Reading the file as it is would run code that the file brings along."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        super().__init__(
            f"{path} would import {name} when opened, so it was not executed and nothing of it was "
            "loaded. If you trust it, convert it in the environment it came from: "
            "torch.save(model.state_dict(), 'weights.pth'), or safetensors' save_file"
        )


def damaged(path: Path, error: Exception) -> WeightsError:
    told = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = told.split("\n", 1)[0][:200] or type(error).__name__
    return WeightsError(f"{path} is cut off or damaged ({reason}); download or copy it again")


@contextmanager
def named(file: Path | str) -> Generator[None]:
    """What is wrong within is told with the file's name."""
    try:
        yield
    except ValueError as error:
        if str(file) in str(error):
            raise
        raise WeightsError(f"{file}: {error}") from error
