"""One-dimensional curves, small vectors, and the noise that folds cloth.

Lengths are metres and angles radians, vectors are rows of three, and nothing here knows about
people. Every division is guarded, so degenerate input gives a finite answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tipr.data.synthetic.rng import Rng

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

TAU = 2 * math.pi
UP: Array = np.array([0.0, 1.0, 0.0])


def smoothstep(low: ArrayLike, high: ArrayLike, x: ArrayLike) -> Array:
    """0 at `low`, 1 at `high`, flat at both ends; falls when `high` lies below `low`."""
    low = np.asarray(low, float)
    t = np.clip((np.asarray(x, float) - low) / (np.asarray(high, float) - low), 0, 1)
    return t * t * (3 - 2 * t)


def bell(x: ArrayLike, centre: float, width: float) -> Array:
    """A Gaussian bump of height one."""
    return np.exp(-(((np.asarray(x, float) - centre) / width) ** 2))


@dataclass(frozen=True, eq=False)
class Curve:
    """A cubic Hermite curve through knots; constant beyond its ends."""

    knots: Array
    values: Array
    slopes: Array

    @classmethod
    def through(cls, knots: Sequence[float] | Array, values: Sequence[float] | Array) -> Curve:
        """The curve whose slope at a knot is that of the parabola through its neighbours."""
        x, y = np.asarray(knots, float), np.asarray(values, float)
        step = np.diff(x)
        chord = np.diff(y) / step
        slopes = np.empty_like(y)
        slopes[0], slopes[-1] = chord[0], chord[-1]
        slopes[1:-1] = (step[:-1] * chord[1:] + step[1:] * chord[:-1]) / (step[:-1] + step[1:])
        return cls(x, y, slopes)

    def __call__(self, x: ArrayLike) -> Array:
        x = np.asarray(x, float)
        i = np.clip(np.searchsorted(self.knots, x) - 1, 0, len(self.knots) - 2)
        step = self.knots[i + 1] - self.knots[i]
        t = np.clip((x - self.knots[i]) / step, 0, 1)
        t2, t3 = t * t, t * t * t
        start = (2 * t3 - 3 * t2 + 1) * self.values[i] + (t3 - 2 * t2 + t) * step * self.slopes[i]
        end = (3 * t2 - 2 * t3) * self.values[i + 1] + (t3 - t2) * step * self.slopes[i + 1]
        return start + end


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` for three columns of `a`, added in a fixed order: unlike BLAS, alike everywhere."""
    if b.ndim == 1:
        return a[..., 0] * b[0] + a[..., 1] * b[1] + a[..., 2] * b[2]
    return a[..., 0, None] * b[0] + a[..., 1, None] * b[1] + a[..., 2, None] * b[2]


def length(vector: Array) -> float:
    return math.sqrt(float(product(vector, vector)))


def unit(vector: Array) -> Array:
    """The vector at length one; the zero vector stays zero."""
    return vector / max(length(vector), 1e-12)


def unit_rows(vectors: Array) -> Array:
    """Every row at length one; zero rows stay zero."""
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), 1e-12)


def cross(a: Array, b: Array) -> Array:
    """The cross product of two vectors, without the overhead of the general one."""
    ax, ay, az = a
    bx, by, bz = b
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def perpendicular(vector: Array, axis: Array) -> Array:
    """The direction nearest to `vector` at a right angle to the unit `axis`."""
    return unit(vector - axis * float(product(vector, axis)))


def rotation(yaw: float, pitch: float) -> Array:
    """The turn by `yaw` about up, after the turn by `pitch` about sideways (down is positive)."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    return np.array([[cy, sy * sp, sy * cp], [0.0, cp, -sp], [-sy, cy * sp, cy * cp]])


def value_noise(
    rng: Rng, shape: tuple[int, int], cells: tuple[int, int], octaves: int = 3, gain: float = 0.5
) -> Array32:
    """Noise that tiles in both directions, shape (rows, columns), roughly within -1 and 1."""
    generator = rng.generator()
    total, amplitude, weight = np.zeros(shape, np.float32), 1.0, 0.0
    for octave in range(octaves):
        lattice_shape = (cells[0] << octave, cells[1] << octave)
        lattice = generator.random(lattice_shape, dtype=np.float32) * 2 - 1
        (y0, y1, fy), (x0, x1, fx) = map(_lattice_axis, shape, lattice_shape)
        upper = lattice[y0][:, x0] * (1 - fx) + lattice[y0][:, x1] * fx
        lower = lattice[y1][:, x0] * (1 - fx) + lattice[y1][:, x1] * fx
        total += amplitude * (upper * (1 - fy)[:, None] + lower * fy[:, None])
        weight += amplitude
        amplitude *= gain
    return (total * np.float32(1.6 / weight)).astype(np.float32)


def _lattice_axis(count: int, cells: int) -> tuple[NDArray[np.int32], NDArray[np.int32], Array32]:
    """For each of `count` texels: the cell before, the cell after, and the eased share of it."""
    position = np.arange(count, dtype=np.float32) * np.float32(cells / count)
    before = position.astype(np.int32)
    share = position - before.astype(np.float32)
    return before % cells, (before + 1) % cells, share * share * (3 - 2 * share)


@lru_cache(maxsize=1)
def fold_textures() -> tuple[Array32, Array32, Array32]:
    """Three 64 x 64 noise tables that everyone shares: body folds, sleeve creases, soft lumps."""
    size = (64, 64)
    return (
        value_noise(Rng("folds", "body"), size, (6, 3), 3, 0.55),
        value_noise(Rng("folds", "sleeve"), size, (3, 8), 3, 0.5),
        value_noise(Rng("folds", "lumps"), size, (5, 5), 3, 0.5),
    )
