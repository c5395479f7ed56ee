"""What a search answers: results, how the query was understood, and whether anybody was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tipr.gallery.confidence import Calibration, Verdict
from tipr.gallery.filters import Filter, describe
from tipr.gallery.meaning import Compiled, Understood
from tipr.gallery.record import Hit
from tipr.gallery.results import Group


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One page of results. `searched` is how many rows the filter let through.

    `verdict` and `probability` are None where no probability can be told: the gallery is not
    calibrated, or the query has no sentence. `stale` says that it was calibrated with far fewer
    rows. `unread` is the first word that the model did not read.
    """

    groups: tuple[Group, ...]
    more: bool
    looked_at: int
    searched: int
    understood: Understood
    where: Filter | None = None
    verdict: Verdict | None = None
    probability: float | None = None
    stale: bool = False
    unread: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "understood": {"words": self.understood.words(), **self.understood.to_json()},
            "filter": None if self.where is None else self.where.to_json(),
            "filter_words": None if self.where is None else describe(self.where),
            "unread": self.unread,
            "searched": self.searched,
            "looked_at": self.looked_at,
            "verdict": self.verdict,
            "probability": self.probability,
            "calibration_stale": self.stale,
            "groups": [group.to_json() for group in self.groups],
            "more": self.more,
        }


@dataclass(frozen=True)
class Judge:
    """The probability of hits of one query; of alternatives the most favourable counts."""

    calibration: Calibration
    compiled: Compiled
    searched: int

    def __call__(self, hit: Hit) -> float:
        """Never rises with the rank: it depends on the hit's score alone, and not falling."""
        judged = [
            self.calibration.judged(vector, [hit], self.searched)
            for vector in self.compiled.vectors
        ]
        return max(one.probability for one in judged)
