"""Files that are there whole or not at all, also after a crash or a power failure."""

from __future__ import annotations

import os
from pathlib import Path


def put(path: Path, data: bytes | str) -> None:
    """Takes the place of what was there in one step. Raises OSError, and leaves that as it was."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())  # or a power failure may leave the new name on no contents
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
