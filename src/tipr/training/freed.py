"""Memory that a process has freed, and whether the system gets it back at once.

The C library of Linux keeps freed blocks of up to 32 MB for itself, in pieces that the next step
does not always fit into: a process then takes much more than its tensors ever do at once. What
recomputing saves would not be seen.
"""

from __future__ import annotations

import ctypes
import platform

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_AT_ONCE, _KEPT = 256 << 10, 32 << 20  # bytes from which a block goes back


def give_back(at_once: bool) -> None:
    """Lets freed blocks of 256 KiB and more go back to the system, or those of 32 MiB (as usual).

    It holds for the whole process, and does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _AT_ONCE if at_once else _KEPT)
