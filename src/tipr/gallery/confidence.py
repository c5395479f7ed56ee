"""How likely the first hits show the person asked for, on the gallery they were found in.

A cosine alone says little: some sentences are near to everybody. It is therefore measured in
standard deviations above what the same sentence has with this gallery (zero-score normalisation:
Auckenthaler et al., Digital Signal Processing 2000), and a logistic curve (Platt, 1999) makes a
probability of that and the number of rows searched: the more rows, the higher the best by chance.

It supposes that the person is as likely there as not. It says how well a picture stands out, never
that somebody is absent: "nothing found" is all that can be said. It is fitted to sentences and does
not hold for queries that are pictures.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tipr.gallery.record import Hit
from tipr.gallery.store import Store

Floats = NDArray[np.float64]
Verdict = Literal["likely", "possible", "nothing found"]

NOTE = "calibration"
FEWEST = 10  # rows; fewer are judged as if they were so many
_FORMAT = 1
_AXES = 16  # directions in which a gallery's spread is kept: 48 kB of text at a width of 1,024
_GROWTH = 1.5


class CalibrationError(ValueError):
    """There is no calibration to be had, or it cannot be read; says what to do."""


@dataclass(frozen=True, eq=False)
class Background:
    """The mean of vectors and how they spread: along a few axes, and alike in all the others.

    Kept in half precision, so that what is read is what was fitted.
    """

    mean: NDArray[np.float16]  # (D,)
    axes: NDArray[np.float16]  # (A, D), as long as the spread along them exceeds that elsewhere
    elsewhere: float

    @classmethod
    def of(cls, vectors: NDArray[np.floating]) -> Self:
        """Of vectors (N, D); keeps the largest principal axes (Pearson, 1901)."""
        rows = vectors.astype(np.float64)
        mean = rows.mean(axis=0)
        _, lengths, axes = np.linalg.svd(rows - mean, full_matrices=False)
        spread = np.zeros(rows.shape[1])
        spread[: len(lengths)] = lengths**2 / len(rows)
        elsewhere = float(spread[_AXES:].mean()) if len(spread) > _AXES else 0.0
        longer = np.sqrt(spread[: len(axes)][:_AXES] - elsewhere)
        kept = axes[:_AXES] * longer[:, None]
        return cls(mean.astype(np.float16), kept.astype(np.float16), elsewhere)

    def standard(self, queries: ArrayLike, scores: ArrayLike) -> Floats:
        """Scores (Q, ...) in standard deviations above the mean of each query (Q, D)."""
        rows = np.asarray(queries, np.float64)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        mean = rows @ self.mean.astype(np.float64)
        variance = ((rows @ self.axes.T.astype(np.float64)) ** 2).sum(axis=1) + self.elsewhere
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        return ((np.asarray(scores, np.float64).T - mean) / deviation).T


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The probability `1 / (1 + exp(-(score * z + rows * ln(n) + offset)))` of a right hit.

    Never falls with the score z, never rises with the number of rows n.
    """

    score: float
    rows: float
    offset: float

    def __call__(self, standard: Floats, rows: ArrayLike) -> Floats:
        number = np.log(np.maximum(np.asarray(rows, np.float64), FEWEST))
        return logistic(self.score * standard + self.rows * number + self.offset)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """`probability` is that of the best hit, `hits` has one for each hit, in their order.

    A person may have several pictures in the gallery, so hits do not share out one probability.
    """

    verdict: Verdict
    probability: float
    hits: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `tipr.gallery.calibrating.fit` learns of a gallery; `report` says how true it is.

    `model` is the fingerprint of the embedder, `rows` the size of the gallery when it was fitted,
    `each` the pictures per track then. A hit is likely, or possible, above that probability.
    """

    model: str
    rows: int
    fitted: str
    each: float
    background: Background
    curve: Curve
    likely: float
    possible: float
    report: dict[str, Any]

    def judged(self, query: ArrayLike, hits: Sequence[Hit], rows_searched: int) -> Judged:
        """For the hits of a query (D,), and how many rows the filter let through."""
        if not hits:
            return Judged(verdict="nothing found", probability=0.0, hits=())
        scores = np.asarray([hit.score for hit in hits])[None]
        standard = self.background.standard(np.asarray(query)[None], scores)[0]
        each = tuple(float(p) for p in self.curve(standard, rows_searched / self.each))
        best = max(each)
        return Judged(verdict=self.word(best), probability=best, hits=each)

    def word(self, probability: float) -> Verdict:
        if probability > self.likely:
            return "likely"
        return "possible" if probability > self.possible else "nothing found"

    def stale(self, rows: int) -> bool:
        """The gallery has grown by more than half, so its background may be another."""
        return rows > _GROWTH * self.rows

    def to_json(self) -> str:
        facts = {"format": _FORMAT, **{name: getattr(self, name) for name in _PLAIN}}
        facts["curve"] = asdict(self.curve)
        facts["background"] = {
            "mean": _text(self.background.mean),
            "axes": _text(self.background.axes),
            "elsewhere": self.background.elsewhere,
        }
        return json.dumps(facts)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `CalibrationError` for what `to_json` does not write."""
        try:
            facts = json.loads(text)
            version = facts.pop("format")
            if version != _FORMAT:
                raise CalibrationError(
                    f"the calibration has format {version}, this tipr reads {_FORMAT}; fit it "
                    "again: tipr calibrate --gallery GALLERY"
                )
            curve = Curve(**{name: float(value) for name, value in facts.pop("curve").items()})
            background = _background(facts.pop("background"))
            made = cls(**facts, curve=curve, background=background)
            numbers = [made.each, made.likely, made.possible, *asdict(curve).values()]
            if not np.isfinite(numbers).all() or made.each < 1 or made.rows < 1:
                raise ValueError("a number is out of its range")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(
                f"the note {NOTE!r} of the gallery is damaged ({error}); fit it again: "
                "tipr calibrate --gallery GALLERY"
            ) from error
        return made


_PLAIN = ("model", "rows", "fitted", "each", "likely", "possible", "report")


def reading(store: Store) -> Calibration | None:
    """The calibration kept with the store; None where none was fitted.

    Raises:
        CalibrationError: it is damaged, or of another format.
    """
    text = store.note(NOTE)
    return None if text is None else Calibration.from_json(text)


def logistic(values: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -values))


def _background(facts: dict[str, Any]) -> Background:
    mean = _array(facts["mean"])
    axes = _array(facts["axes"]).reshape(-1, len(mean))
    elsewhere = float(facts["elsewhere"])
    if not (np.isfinite(mean).all() and np.isfinite(axes).all() and 0 <= elsewhere < np.inf):
        raise ValueError("the background has values that are no number")
    return Background(mean, axes, elsewhere)


def _text(values: NDArray[np.float16]) -> str:
    return base64.b64encode(values.astype("<f2").tobytes()).decode("ascii")


def _array(text: str) -> NDArray[np.float16]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float16)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
