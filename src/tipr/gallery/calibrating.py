"""Fits the confidence of a gallery that has no captions, with people who are not in it.

The probes (`tipr.gallery.probes`) are asked for twice. An *absent* trial searches for a caption
among rows of the gallery: whoever comes first is wrong. A *present* trial does so as if the probe's
picture were one of the rows; nothing is written. How far that picture stands out is measured among
the pictures of the other probes and not among the gallery's, since a rendered picture in a gallery
of photographs stands out for being rendered. What cannot be known without captions is whether the
model tells the people of this gallery apart as well as it does the probes.

By chance somebody who fits a caption may be in a gallery: then the true rate of false alarms is
lower than the reported one. A person with pictures in several tracks is easier to find than a probe
with one, so the probabilities are then too low rather than too high. The pictures of one track
are taken to be nearly alike: they count as one row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tipr.gallery.confidence import (
    FEWEST,
    Background,
    Calibration,
    CalibrationError,
    Curve,
    Floats,
    logistic,
)
from tipr.gallery.gallery import EmbedderLike
from tipr.gallery.probes import probes
from tipr.gallery.store import Store, Vectors

LEAST = 30
LIKELY, POSSIBLE = 0.5, 0.15  # the least that the words stand for
ALARMS = {"likely": 0.05, "possible": 0.25}  # of the absent, at most, among those fitted to
_SAMPLE, _READ = 2_000, 1_000_000
_SIZES = (FEWEST, 30, 100, 300, 1_000)
_DRAWS = 4
_BATCH, _BINS, _RESAMPLED, _STEPS = 30, 10, 100, 100


@dataclass(frozen=True, eq=False)
class Trials:
    """What came first in each search: how far it stands out, among how many rows, and who it is."""

    standard: Floats
    rows: Floats
    right: NDArray[np.bool_]
    present: NDArray[np.bool_]
    person: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        return type(self)(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Checked:
    """Trials with the probability of each, and whether it alarms; what is likely is possible."""

    trials: Trials
    p: Floats
    likely: NDArray[np.bool_]
    possible: NDArray[np.bool_]


def fit(
    store: Store,
    embedder: EmbedderLike,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Of the store as it is now; `progress(done, total)` follows the pictures of the probes.

    Fitted to all probes; the report is about each half judged by a fit to the other. Reads at most
    the first million records, and asks the store for the best row of each probe's caption.

    Raises:
        CalibrationError: the gallery is too small.
    """
    rng = np.random.default_rng(seed)
    sample, each = _sample(store, rng)
    pictures, captions = probes()
    looks, queries = _looks(embedder, pictures, progress), embedder.embed_texts(captions)
    background, among = Background.of(sample), Background.of(looks)
    own = among.standard(queries, (queries * looks).sum(axis=1))
    inside = background.standard(queries, queries @ sample.T)
    found = store.search_many(queries, 1, exact=True)
    best = background.standard(queries, [hits[0].score for hits in found])
    trials = _trials(own, inside, best, len(store) / each, rng)
    curve, likely, possible = _learned(trials)
    return Calibration(
        model=embedder.fingerprint,
        rows=len(store),
        fitted=datetime.now(UTC).isoformat(timespec="seconds"),
        each=each,
        background=background,
        curve=curve,
        likely=likely,
        possible=possible,
        report=_report(_checked(trials, rng), each, rng),
    )


def _sample(store: Store, rng: np.random.Generator) -> tuple[Vectors, float]:
    """Rows of different tracks, drawn evenly (Vitter's algorithm R), and the rows of a track."""
    tracks: set[tuple[str, str, str]] = set()
    kept: list[str] = []
    read = different = 0
    for record in islice(store.records(), _READ):
        read += 1
        track = (record.source, record.camera, record.track)
        if record.track and track in tracks:
            continue
        if record.track:
            tracks.add(track)
        if len(kept) < _SAMPLE:
            kept.append(record.id)
        elif (place := int(rng.integers(different + 1))) < _SAMPLE:
            kept[place] = record.id
        different += 1
    if different < LEAST:
        raise CalibrationError(
            f"the gallery has {read} pictures in {different} tracks; to know what is common in it, "
            f"{LEAST} of different tracks are needed: index more, then calibrate"
        )
    return store.vectors(kept), read / different


def _looks(
    embedder: EmbedderLike, pictures: list[Any], progress: Callable[[int, int], None] | None
) -> Vectors:
    parts = []
    for start in range(0, len(pictures), _BATCH):
        parts.append(embedder.embed_images(pictures[start : start + _BATCH]))
        if progress is not None:
            progress(min(start + _BATCH, len(pictures)), len(pictures))
    return np.concatenate(parts)


def _trials(
    own: Floats, inside: Floats, best: Floats, rows: float, rng: np.random.Generator
) -> Trials:
    """Each probe (P,) absent and present, among some of the sample (P, N) and among all rows."""
    people, sampled = np.arange(len(own)), inside.shape[1]
    sizes = [size for size in _SIZES if 2 * size <= sampled]
    parts = []
    for size, _ in product((*sizes, rows), range(_DRAWS)):  # all sizes weigh the same
        first = best
        if size != rows:
            drawn = [rng.choice(sampled, int(size), replace=False) for _ in people]
            first = np.take_along_axis(inside, np.stack(drawn), axis=1).max(axis=1)
        for there in (False, True):
            top = np.maximum(first, own) if there else first
            right = (own > first) & there
            parts.append((top, np.full_like(own, size), right, np.full(len(own), there), people))
    return Trials(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _curve(trials: Trials) -> Curve:
    """A measure that would count the wrong way has no say."""
    measures = np.stack([trials.standard, np.log(np.maximum(trials.rows, FEWEST))], axis=1)
    used = [0, 1]
    while True:
        *weights, offset = _logistic_weights(measures[:, used], trials.right)
        found = dict(zip(used, weights, strict=True))
        wrong = [number for number, sign in ((0, 1), (1, -1)) if sign * found.get(number, 0) < 0]
        if not wrong:
            return Curve(score=found.get(0, 0.0), rows=found.get(1, 0.0), offset=offset)
        used.remove(wrong[0])


def _logistic_weights(measures: Floats, right: NDArray[np.bool_]) -> list[float]:
    """The likeliest weights and, last, the offset, by Newton's method with halved steps.

    Outcomes count a little less than 1 and more than 0, so that a perfect separation has a curve
    too (Platt, 1999; Lin, Lin & Weng, Machine Learning 2007).
    """
    ups, downs = int(right.sum()), int((~right).sum())
    targets = np.where(right, (ups + 1) / (ups + 2), 1 / (downs + 2))
    middle, width = measures.mean(axis=0), np.maximum(measures.std(axis=0), 1e-12)
    x = np.column_stack([(measures - middle) / width, np.ones(len(measures))])

    def loss(weights: Floats) -> float:
        return float((np.logaddexp(0, x @ weights) - targets * (x @ weights)).sum())

    weights = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = logistic(x @ weights)
        gradient = x.T @ (p - targets)
        if np.abs(gradient).max() < 1e-9 * len(x):
            break
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + 1e-9 * np.eye(len(weights)), gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
    slopes = weights[:-1] / width
    return [*map(float, slopes), float(weights[-1] - slopes @ middle)]


def _learned(trials: Trials) -> tuple[Curve, float, float]:
    """A curve, and the least p above which few enough of the absent are, at any number of rows."""
    curve = _curve(trials)
    p = curve(trials.standard, trials.rows)
    least = {"likely": LIKELY, "possible": POSSIBLE}
    for size in np.unique(trials.rows):
        absent = np.sort(p[~trials.present & (trials.rows == size)])[::-1]
        for word, allowed in ALARMS.items():
            least[word] = max(least[word], float(absent[int(allowed * len(absent))]))
    return curve, least["likely"], min(least["possible"], least["likely"])


def _checked(trials: Trials, rng: np.random.Generator) -> Checked:
    """Every trial, judged by what the half of the people that it is not about has taught."""
    half = rng.permutation(trials.person.max() + 1)[trials.person] % 2
    p, likely, possible = np.empty(len(half)), half > 2, half > 2
    for side in (0, 1):
        theirs = half == side
        curve, *least = _learned(trials.where(~theirs))
        p[theirs] = curve(trials.standard, trials.rows)[theirs]
        likely[theirs], possible[theirs] = (p[theirs] > above for above in least)
    return Checked(trials, p, likely, possible)


def _report(checked: Checked, each: float, rng: np.random.Generator) -> dict[str, Any]:
    """Among all rows of the gallery, and as filters select fewer."""
    error, bins = calibration_error(checked.p, checked.trials.right)
    rows = checked.trials.rows
    sizes = [
        {"rows": round(size * each), **_rates(checked, rows == size)} for size in np.unique(rows)
    ]
    return {
        "people": len(np.unique(checked.trials.person)),
        "calibration_error": error,
        "interval": _interval(checked, rng),
        "bins": bins,
        "whole": sizes[-1],
        "sizes": sizes,
    }


def _rates(checked: Checked, some: NDArray[np.bool_]) -> dict[str, Any]:
    """Shares of the searches for absent people that alarm, and of the others that find theirs."""
    trials = checked.trials.where(some)
    facts: dict[str, Any] = {
        "calibration_error": calibration_error(checked.p[some], trials.right)[0],
        "first": float(trials.right[trials.present].mean()),
    }
    for word in ALARMS:
        alarm = getattr(checked, word)[some]
        facts[word] = {
            "false_alarms": float(alarm[~trials.present].mean()),
            "found": float((alarm & trials.right)[trials.present].mean()),
        }
    return facts


def calibration_error(p: Floats, right: NDArray[np.bool_]) -> tuple[float, list[dict[str, float]]]:
    """Expected, in bins of equal size (Nguyen & O'Connor, EMNLP 2015); equal p share outcomes."""
    order = np.argsort(p, kind="stable")
    p, right = p[order], right[order]
    place = np.concatenate([[0], np.cumsum(np.diff(p) > 0)])
    shares = (np.bincount(place, right) / np.bincount(place))[place]
    parts = zip(np.array_split(p, _BINS), np.array_split(shares, _BINS), strict=True)
    bins = [
        {"said": float(said.mean()), "was": float(was.mean()), "trials": len(said)}
        for said, was in parts
        if len(said)
    ]
    return sum(abs(b["said"] - b["was"]) * b["trials"] for b in bins) / len(p), bins


def _interval(checked: Checked, rng: np.random.Generator) -> list[float]:
    """95 % of the calibration error, people drawn again with replacement (Efron, 1979)."""
    trials = checked.trials
    order = np.argsort(trials.person, kind="stable")
    by_person = np.split(order, np.flatnonzero(np.diff(trials.person[order])) + 1)
    errors = []
    for _ in range(_RESAMPLED):
        drawn = rng.integers(len(by_person), size=len(by_person))
        again = np.concatenate([by_person[number] for number in drawn])
        errors.append(calibration_error(checked.p[again], trials.right[again])[0])
    return [float(limit) for limit in np.quantile(errors, (0.025, 0.975))]
