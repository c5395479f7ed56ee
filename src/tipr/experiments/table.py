"""A comparison: which runs stand side by side, and what the papers say should come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tipr.training.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    experiment: Experiment
    teacher: str = ""  # the row whose run becomes this one's `method.richer`
    words_of: str = ""  # the MGRL row that says how hard words are: `data.batching.table`
    longer: int = 1  # times the epochs of the other rows

    @property
    def before(self) -> str:
        """The row whose run has to be there first, if any."""
        return self.teacher or self.words_of


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`better` should beat `worse`; whether it does is measured, and said either way."""

    says: str
    better: str
    worse: str
    metric: Literal["R1", "mAP"] = "R1"


@dataclass(frozen=True, kw_only=True)
class Table:
    rows: dict[str, Row]
    base: str  # the row that differences are taken to
    claims: tuple[Claim, ...] = field(default=())

    def __post_init__(self) -> None:
        named = {self.base, *(r.before for r in self.rows.values() if r.before)}
        named |= {name for claim in self.claims for name in (claim.better, claim.worse)}
        if missing := sorted(named - set(self.rows)):
            raise ValueError(f"the table has no row {missing[0]!r}")
