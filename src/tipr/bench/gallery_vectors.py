"""Made-up vectors that lie as those of pictures and sentences do: people, cameras, a modality gap.

Pictures of a person lie close together, those of a camera share a shift, and all lie in one cone;
sentences lie in another cone and say a little about the person. Their energy falls with the axis as
it does in trained models. An index that does well on such pictures and badly on such sentences
would do so on real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_BLOCK = 50_000
_GAP = 0.2  # cosine between the cones
_SIGNAL, _NOISE = 0.3, 0.25  # of a sentence
_PERSON, _CAMERA, _VIEW = 0.6, 0.25, 0.35  # of a picture


@dataclass(frozen=True)
class People:
    """Pictures (N, D) with the person and the camera of each; `sentences(n, seed)` are (n, D)."""

    pictures: Vectors
    person: NDArray[np.int64]
    camera: NDArray[np.int64]
    sentences: Callable[[int, int], Vectors]


def people(rows: int, width: int = 512, cameras: int = 100, seed: int = 0) -> People:
    """People of 5 to 50 pictures each, seen by up to four cameras."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1, dtype=np.float32) ** -0.5
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)

    def drawn(count: int, source: np.random.Generator) -> Vectors:
        return _unit((source.standard_normal((count, width)).astype(np.float32) * spectrum) @ turn)

    sizes = rng.integers(5, 51, size=rows // 5 + 1)
    person = np.repeat(np.arange(len(sizes)), sizes)[:rows]
    camera = rng.integers(0, cameras, size=(len(sizes), 4))[person, rng.integers(0, 4, size=rows)]
    cone, shifts = drawn(1, rng)[0], drawn(cameras, rng)
    faces = np.concatenate([
        drawn(min(_BLOCK, person[-1] + 1 - start), rng)
        for start in range(0, int(person[-1]) + 1, _BLOCK)
    ])  # fmt: skip
    pictures = np.empty((rows, width), np.float32)
    for start in range(0, rows, _BLOCK):
        some = slice(start, min(rows, start + _BLOCK))
        views = drawn(some.stop - start, rng)
        pictures[some] = _unit(
            cone + _PERSON * faces[person[some]] + _CAMERA * shifts[camera[some]] + _VIEW * views
        )
    away = drawn(1, rng)[0]
    away = _unit((away - away @ cone * cone)[None])[0]
    words = _GAP * cone + np.float32((1 - _GAP**2) ** 0.5) * away

    def sentences(count: int, seed: int) -> Vectors:
        source = np.random.default_rng((seed, 1))
        who = source.integers(0, person[-1] + 1, size=count)
        return _unit(words + _SIGNAL * faces[who] + _NOISE * drawn(count, source))

    return People(pictures, person, camera, sentences)


def _unit(rows: Vectors) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
