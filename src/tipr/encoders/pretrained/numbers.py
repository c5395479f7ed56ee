"""Numpy's numbers in a pickle, such as IVT's best accuracy, made Python's without numpy's code."""

from __future__ import annotations

import struct

_FORMATS = {
    "b1": "?", "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip


class Kind:
    """Stands in for numpy.dtype, of plain numbers alone."""

    def __init__(self, name: str, *_: object) -> None:
        self.form, self.order = _FORMATS[name], "<"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def number(kind: Kind, raw: bytes) -> float | int | bool:
    """Stands in for numpy's scalar: the number that the bytes are."""
    return struct.unpack(kind.order + kind.form, raw)[0]


STANDINS = (
    (Kind, "numpy.dtype"),
    (number, "numpy.core.multiarray.scalar"),  # until numpy 2
    (number, "numpy._core.multiarray.scalar"),
)
