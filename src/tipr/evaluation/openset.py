"""Queries whose person may be absent: how often the right one is found without false alarms.

A seeded share of the people is taken out of the gallery; their captions are the *absent* queries,
all others the *present* ones. The first picture's score decides whether an alarm is raised.

false-alarm rate   absent queries that raise an alarm (FPIR: Grother & Ngan, FRVT, NISTIR 8009)
detection and      present queries that raise one with the right person first (DIR at rank 1:
identification     Phillips, Grother & Micheals, 2011; one minus Grother & Ngan's FNIR)
AUROC              how often a present query scores above an absent one, ties half (Hanley &
                   McNeil, 1982), whoever is shown
probability        that the first picture shows the person, from its score: a logistic curve fitted
                   on validation (Platt, 1999), measured on test
ECE                how far probabilities are from what happens, in bins of equal size (Guo et al.,
                   ICML 2017; equal mass: Nguyen & O'Connor, EMNLP 2015)
Brier score        the mean squared error of the probabilities (Brier, 1950)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from tipr.evaluation.ranks import products
from tipr.evaluation.vectors import Vectors

RATES = (0.001, 0.01, 0.1)
BINS = 15
_STEPS = 100


@dataclass(frozen=True)
class Searches:
    """What was found first. Row q of everything is the same query."""

    scores: Float64[Tensor, " Q"]  # of the first picture
    right: Bool[Tensor, " Q"]  # it shows the person
    present: Bool[Tensor, " Q"]  # somebody asked for is in the gallery


@dataclass(frozen=True, kw_only=True)
class Detection:
    """At a threshold: alarms are scores above it."""

    asked: float  # the false-alarm rate that is allowed
    false_alarms: float  # the one there is: the most that the absent queries can tell apart
    threshold: float
    rate: float  # detection and identification


@dataclass(frozen=True, kw_only=True)
class Bin:
    predicted: float
    observed: float
    queries: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The probability `1 / (1 + exp(-(slope * score + offset)))`, and how true it is on test."""

    slope: float
    offset: float
    ece: float
    brier: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class OpenSet:
    present: int
    absent: int
    auroc: float
    detections: tuple[Detection, ...]
    calibration: Calibration | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def held_out(
    person_ids: Int64[Tensor, " N"], share: float = 0.2, seed: int = 0
) -> Int64[Tensor, " A"]:
    """Who is taken out of the gallery: a share of the people, but neither nobody nor everybody.

    Raises:
        ValueError: there are fewer than two people, or the share is not between 0 and 1.
    """
    people = person_ids.unique()
    if not 0 < share < 1:
        raise ValueError(f"the share of absent people lies between 0 and 1; this is {share}")
    if len(people) < 2:
        raise ValueError("an open set needs two people or more: one absent, one present")
    count = min(max(1, round(share * len(people))), len(people) - 1)
    order = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))
    return people[order[:count]].sort().values


def searched(vectors: Vectors, absent: Int64[Tensor, " A"]) -> Searches:
    """All queries of a split, in its gallery without those people. Equal scores: gallery order.

    Raises:
        ValueError: nobody is left in the gallery.
    """
    kept = ~torch.isin(vectors.shown, absent)
    if not kept.any():
        raise ValueError("nobody is left in the gallery; hold out fewer people")
    shown = vectors.shown[kept]
    scores, first = [], []
    for block in products(vectors.texts, vectors.images[kept]):
        place = block.argmax(dim=1, keepdim=True)
        scores.append(block.gather(1, place)[:, 0].double())
        first.append(shown[place[:, 0]])
    present = torch.isin(vectors.asked, shown)
    return Searches(torch.cat(scores), torch.cat(first) == vectors.asked, present)


def open_set(
    test: Searches, validation: Searches | None = None, rates: Sequence[float] = RATES
) -> OpenSet:
    """What is reported of a split; its probabilities only where there is a validation split.

    Raises:
        ValueError: no query is present, or none absent.
    """
    present, absent = test.scores[test.present], test.scores[~test.present]
    if not len(present) or not len(absent):
        raise ValueError("an open set needs queries about people of the gallery and about others")
    return OpenSet(
        present=len(present),
        absent=len(absent),
        auroc=auroc(present, absent),
        detections=tuple(detection(test, rate) for rate in rates),
        calibration=None if validation is None else calibration(test, validation),
    )


def detection(searches: Searches, allowed: float) -> Detection:
    """The lowest threshold with no more than the allowed share of false alarms, and what it finds.

    Raises:
        ValueError: the rate is not from 0 to below 1.
    """
    if not 0 <= allowed < 1:
        raise ValueError(f"a false-alarm rate lies from 0 to below 1; this is {allowed}")
    absent = searches.scores[~searches.present].sort(descending=True).values
    count = math.floor(allowed * len(absent) + 1e-9)  # 0.1 * 30 is a little less than 3
    threshold = absent[count]
    alarms = searches.scores > threshold
    found = alarms & searches.right & searches.present
    return Detection(
        asked=allowed,
        false_alarms=(absent > threshold).double().mean().item(),
        threshold=threshold.item(),
        rate=(found.sum() / searches.present.sum()).item(),
    )


def auroc(present: Float64[Tensor, " P"], absent: Float64[Tensor, " A"]) -> float:
    """How often one of the former is above one of the latter; ties count half."""
    ordered = absent.sort().values
    below = torch.searchsorted(ordered, present, right=False)
    up_to = torch.searchsorted(ordered, present, right=True)
    return ((below + up_to).double().mean() / 2 / len(absent)).item()


def calibration(test: Searches, validation: Searches) -> Calibration:
    """Fitted on validation, measured on test. An absent person is never shown, so never right."""
    slope, offset = platt(validation.scores, validation.right)
    p = torch.sigmoid(slope * test.scores + offset)
    ece, bins = calibration_error(p, test.right)
    brier = (p - test.right.double()).square().mean().item()
    return Calibration(slope=slope, offset=offset, ece=ece, brier=brier, bins=bins)


def platt(scores: Float64[Tensor, " Q"], right: Bool[Tensor, " Q"]) -> tuple[float, float]:
    """Slope and offset of the likeliest logistic curve, by Newton's method with halved steps.

    Outcomes count a little less than 1 and more than 0, as Platt has it, so that a perfect
    separation has a curve too (Lin, Lin & Weng, Machine Learning 2007).
    """
    ups, downs = int(right.sum()), int((~right).sum())
    high, low = (ups + 1) / (ups + 2), 1 / (downs + 2)
    targets = low + (high - low) * right.double()
    middle, width = scores.mean(), scores.std(correction=0)
    if not width > 0:
        return 0.0, torch.logit(targets.mean()).item()
    x = torch.stack([(scores - middle) / width, torch.ones_like(scores)], dim=1)
    w = x.new_zeros(2)
    for _ in range(_STEPS):
        p = torch.sigmoid(x @ w)
        gradient = x.T @ (p - targets)
        if gradient.abs().max() < 1e-9 * len(x):
            break
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-12 * torch.eye(2, dtype=x.dtype)
        w = _descended(x, targets, w, torch.linalg.solve(curvature, gradient))
    slope = w[0] / width
    return slope.item(), (w[1] - slope * middle).item()


def calibration_error(
    p: Float64[Tensor, " Q"], right: Bool[Tensor, " Q"], bins: int = BINS
) -> tuple[float, tuple[Bin, ...]]:
    """The expected calibration error in bins of equal size; queries of equal p share outcomes.

    Sharing makes it the same whatever the order of the queries.
    """
    levels, place, counts = p.unique(return_inverse=True, return_counts=True)
    shares = p.new_zeros(len(levels)).index_add(0, place, right.double()) / counts
    order = p.argsort()
    parts = zip(p[order].tensor_split(bins), shares[place][order].tensor_split(bins), strict=True)
    found = tuple(
        Bin(predicted=said.mean().item(), observed=was.mean().item(), queries=len(said))
        for said, was in parts if len(said)
    )  # fmt: skip
    error = sum(abs(b.predicted - b.observed) * b.queries for b in found) / len(p)
    return error, found


def _descended(
    x: Float64[Tensor, "Q 2"],
    targets: Float64[Tensor, " Q"],
    w: Float64[Tensor, " 2"],
    step: Float64[Tensor, " 2"],
) -> Float64[Tensor, " 2"]:
    """A step that does not make the fit worse, halved as often as that takes."""

    def loss(w: Tensor) -> float:
        z = x @ w
        return (torch.nn.functional.softplus(z) - targets * z).sum().item()

    before = loss(w)
    while loss(w - step) > before and step.abs().max() > 1e-12:
        step = step / 2
    return w - step
