"""What a pickle would do, read off its opcodes without doing it."""

from __future__ import annotations

import mmap
import pickletools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

SCANNED = 8 * 2**20  # bytes of a pickle that are searched for names
BYTEARRAY = b"\nbytearray\n"  # the end of its import; it alone takes a size and fills the memory


def imports(program: bytes) -> Iterator[str]:
    """The names that it would import."""
    strings: deque[str] = deque(maxlen=2)  # on the top of its stack
    memo: dict[object, str | None] = {}
    top: str | None = None
    for kind, argument in _operations(program):
        if kind.endswith("PUT") or kind == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = top
            continue
        if kind in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif kind == "STACK_GLOBAL":
            yield ".".join(strings)
        value = memo.get(argument) if kind.endswith("GET") else argument
        top = value if isinstance(value, str) else None
        strings.extend(() if top is None else (top,))


def is_pickle(program: bytes) -> bool:
    """Whether all of it can be read as one, which needs no mark in the protocols 0 and 1."""
    return any(kind == "STOP" for kind, _ in _operations(program))


def holds_bytearray(path: Path) -> bool:
    """Whether a pickle in the file, where it is not compressed, imports bytearray."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(BYTEARRAY) >= 0


def _operations(program: bytes) -> Iterator[tuple[str, object]]:
    try:
        for opcode, argument, _ in pickletools.genops(program):
            yield opcode.name, argument
    except ValueError:  # cut off, or garbage: what came before counts
        return
