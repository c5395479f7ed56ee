"""Weights that several processes hold in memory once.

A bundle keeps half precision, which a CPU computes slowly: every process that loads it makes
float32 of it, for itself. Here that is done once, into a file that all of them map, so that the
system keeps it in memory once. Whoever changes such a weight gets a copy of its own.

The file lies below `$XDG_CACHE_HOME/tipr` (`~/.cache/tipr`), named by the SHA-256 of the bundle's
weights, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from tipr.data import whole


def mapped(weights: Path) -> dict[str, Tensor]:
    """A bundle's weights in float32, mapped into memory.

    Raises:
        OSError, SafetensorError: the bundle's file cannot be read, or is damaged.
        ValueError: the file to map could not be written, or is damaged.
    """
    with weights.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()
    path = cache() / f"{name}.safetensors"
    if not path.is_file():
        _write(path, {name: value.float() for name, value in load_file(weights).items()})
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{path} cannot be mapped ({error}); delete it, it is made anew"
        ) from error


def _write(path: Path, values: dict[str, Tensor]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.put(path, save(values))
    except OSError as error:
        raise ValueError(f"the weights to share could not be written to {path} ({error}); make "
                         "room there, set XDG_CACHE_HOME to another folder, or give --device "
                         "pytorch, which shares nothing") from error  # fmt: skip


def cache() -> Path:
    """The folder of the files to map."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tipr" / "weights"
