"""Byte strings looked for in files, many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2**20
_KEY = 8  # bytes of a needle that are compared first
_BITS = 20
_ODD = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing


class Needles:
    """Looks for all of them in one pass: the time grows with the bytes, not with the needles.

    Eight bytes of each needle are its key. At every place of the data, a table of the keys' hashes
    says whether a key may stand there; what is left after that is compared whole.
    """

    def __init__(self, needles: Iterable[bytes]) -> None:
        wanted = set(needles) - {b""}
        self.longest = max(map(len, wanted), default=0)
        self._short = [needle for needle in wanted if len(needle) < _KEY]
        self._by_key: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for needle in wanted.difference(self._short):
            at = _telling(needle)
            self._by_key[int.from_bytes(needle[at : at + _KEY], "little")].append((at, needle))
        self._keys = np.sort(np.array(list(self._by_key), np.uint64))
        self._maybe = np.zeros(2**_BITS, bool)
        self._maybe[_hashes(self._keys)] = True

    def found(self, data: bytes) -> set[bytes]:
        """Those that stand in the data."""
        there = {needle for needle in self._short if needle in data}
        for shift in range(min(_KEY, max(0, len(data) - _KEY + 1))) if self._by_key else ():
            words = np.frombuffer(data, "<u8", (len(data) - shift) // _KEY, shift)
            places = np.flatnonzero(self._maybe[_hashes(words)])
            for place in places[self._are_keys(words[places])].tolist():
                start = place * _KEY + shift
                for at, needle in self._by_key.get(int(words[place]), ()):
                    if data.startswith(needle, start - at):
                        there.add(needle)
        return there

    def _are_keys(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        places = np.searchsorted(self._keys, words)
        return self._keys[np.minimum(places, len(self._keys) - 1)] == words


def files_holding(folder: Path, needles: Sequence[bytes]) -> list[str]:
    """The files below the folder in which any of the byte strings stands."""
    wanted = Needles(needles)
    overlap = max(0, wanted.longest - 1)
    holding = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with suppress(FileNotFoundError), path.open("rb") as file:
            before = b""
            while chunk := file.read(_CHUNK):
                data = before + chunk
                if wanted.found(data):
                    holding.append(path.relative_to(folder).as_posix())
                    break
                before = data[len(data) - overlap :] if overlap else b""
    return holding


def _telling(needle: bytes) -> int:
    """Where its key is taken: among zeros, a key would be found everywhere."""
    places = range(0, len(needle) - _KEY + 1, 4)
    return max(places, key=lambda place: len(set(needle[place : place + _KEY])))


def _hashes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _ODD) >> np.uint64(64 - _BITS)
