"""How the numeric kernels are compiled: once per machine, cached on disk, IEEE arithmetic.

`fastmath` stays off, so that a picture has the same pixels in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

try:
    from numba import njit
except ImportError as error:
    raise ImportError("rendering people needs numba: pip install 'tipr[synth]'") from error

Function = TypeVar("Function", bound=Callable)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


def kernel(function: Function) -> Function:
    """A function compiled on first use."""
    compiled: Any = njit(cache=True, nogil=True, fastmath=False, error_model="numpy")(function)
    return compiled


def inlined(function: Function) -> Function:
    """A piece of a kernel, copied into its callers at compile time."""
    compiled: Any = njit(inline="always", fastmath=False, error_model="numpy")(function)
    return compiled
