"""Training captions shuffled over pairs: the protocol of noisy correspondence.

As released with RDE (Qin et al., CVPR 2024): an index file holds a whole number for each training
pair, in the order of the annotation. Pair i keeps its picture, its person and the id of its picture
and gets the caption of pair index[i]; where index[i] is i nothing changes. A share of all pairs,
rounded down, is drawn and permuted among themselves, so a few stay right by chance. Identity labels
stay with the pictures: of a wrong pair the caption is wrong, never the label. Validation and test
pairs are never shuffled.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from tipr.data.pairs import Pair
from tipr.data.whole import put

Index = Int64[np.ndarray, " N"]
_FORMS = (".npy", ".txt")


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Which training captions are of another pair: a share drawn by `seed`, or an index file."""

    share: float = 0.0
    index: Path | None = None  # .npy, or .txt with a number in each line
    seed: int = 0  # of the share; not that of the run, so that all seeds of a table are alike

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"data.noise.share is a share from 0 to 1, not {self.share}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"data.noise.seed is from 0 to {2**32 - 1}, not {self.seed}")
        if self.index is not None and self.share:
            raise ValueError("an index file says itself which captions are shuffled; leave "
                             "data.noise.share at 0")  # fmt: skip


@dataclass(frozen=True)
class Noisy:
    """Training pairs, some with captions that are not theirs."""

    pairs: tuple[Pair, ...]
    moved: int  # captions of another pair
    wrong: int  # those of them that tell of another person


def noisy(pairs: Sequence[Pair], noise: Noise) -> Noisy:
    """The same pairs, in the same order, with captions shuffled; their ids move with them.

    Raises:
        ValueError: the index file cannot be read, or it is not for these pairs.
    """
    if noise.index is None:
        index = drawn(len(pairs), noise.share, noise.seed)
    else:
        index = read_index(noise.index, len(pairs))
    others = [pairs[place] for place in index.tolist()]
    rows = list(zip(pairs, others, strict=True))
    return Noisy(
        pairs=tuple(replace(p, caption=o.caption, caption_id=o.caption_id) for p, o in rows),
        moved=int((index != np.arange(len(pairs))).sum()),
        wrong=sum(p.person_id != o.person_id for p, o in rows),
    )


def drawn(count: int, share: float, seed: int) -> Index:
    """An index that permutes `int(share * count)` pairs; a seed gives the same one everywhere.

    NumPy keeps the draws of RandomState the same in all its versions (NEP 19).
    """
    index = np.arange(count, dtype=np.int64)
    draws = np.random.RandomState(seed)
    order = index.copy()
    draws.shuffle(order)
    chosen = order[: int(share * count)]
    shuffled = chosen.copy()
    draws.shuffle(shuffled)
    index[chosen] = shuffled
    return index


def write_index(index: Index, file: Path) -> None:
    """Writes an index for other code to read; `file` ends in .npy or .txt.

    Raises:
        ValueError: it ends in neither, or the index is no permutation.
    """
    form = _form(file)
    _check(index, len(index), file)
    if form == ".txt":
        put(file, "".join(f"{place}\n" for place in index.tolist()))
        return
    array = io.BytesIO()
    np.save(array, index.astype("<i8"), allow_pickle=False)
    put(file, array.getvalue())


def read_index(file: Path | str, count: int) -> Index:
    """The index in `file` for `count` training pairs.

    Raises:
        ValueError: it cannot be read, or is no permutation of so many pairs.
    """
    file = Path(file)
    form = _form(file)
    try:
        index: Any = _array(file) if form == ".npy" else _numbers(file)
    except FileNotFoundError as error:
        raise ValueError(f"there is no index file {file}; check data.noise.index") from error
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(f"{file} is no index file ({error}); it holds one whole number for each "
                         "training pair") from error  # fmt: skip
    _check(index, count, file)
    return index.astype(np.int64)


def _array(file: Path) -> np.ndarray:
    """Mapped, so that a header that promises more than the file holds asks for no memory."""
    return np.array(np.lib.format.open_memmap(file, mode="r"))


def _numbers(file: Path) -> np.ndarray:
    lines = file.read_text(encoding="utf-8-sig").split()
    return np.array([int(line) for line in lines], dtype=np.int64)


def _form(file: Path) -> str:
    if file.suffix not in _FORMS:
        raise ValueError(f"an index file ends in {' or '.join(_FORMS)}; {file} does not")
    return file.suffix


def _check(index: np.ndarray, count: int, file: Path) -> None:
    """Raises ValueError unless the numbers are 0 to count - 1, each once."""
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ValueError(f"{file} holds {index.dtype} numbers of shape {index.shape}; an index is "
                         "one whole number for each training pair")  # fmt: skip
    if len(index) != count:
        raise ValueError(
            f"{file} is for {len(index)} training pairs, and there are {count}; use the file of "
            "this dataset. Where validation people are held out of train there are fewer pairs "
            "than in the annotation: set data.noise.share instead"
        )
    outside = (index < 0) | (index >= count)
    if outside.any():
        place = int(outside.argmax())
        raise ValueError(f"{file}: pair {place} has the caption of pair {index[place]}, and pairs "
                         f"are numbered 0 to {count - 1}")  # fmt: skip
    times = np.bincount(index.astype(np.int64), minlength=count)
    if (times > 1).any():
        raise ValueError(f"{file} gives the caption of pair {int(times.argmax())} to "
                         f"{times.max()} pairs; an index gives every caption to one")  # fmt: skip
