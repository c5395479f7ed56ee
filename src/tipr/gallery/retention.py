"""How long rows are kept: for each camera at least, and at most, so many days.

The age of a row counts from `time`, when its picture was taken, or from `indexed`, when its vector
was made, where `time` is not known. A row with neither has no age: it is never past its maximum and
never below its minimum, and `expire` says how many such rows there are.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tipr.gallery.filters import All, Among, AnyOf, Filter, Known, Range
from tipr.gallery.record import utc
from tipr.gallery.store import Store

NOTE = "retention"
REST = "*"
_LONGEST = 36_500  # days
_TICK = timedelta(microseconds=1)
_BATCH = 1000


class PolicyError(ValueError):
    """A policy that cannot be kept; says which camera and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Ages:
    """In days: kept for at least `minimum`, for at most `maximum` (None: as long as one likes)."""

    minimum: float = 0
    maximum: float | None = None

    def __post_init__(self) -> None:
        for name in ("minimum", "maximum"):
            days = getattr(self, name)
            if not _is_days(days) and (days is not None or name == "minimum"):
                raise PolicyError(
                    f"the {name} is {days!r}; write a number of days from 0 to {_LONGEST}, "
                    "as 30 or 0.5, or leave it out for no limit"
                )
        if self.maximum is not None and self.minimum > self.maximum:
            raise PolicyError(
                f"the minimum of {self.minimum:g} days is above the maximum of {self.maximum:g}"
            )


@dataclass(frozen=True)
class Policy:
    """Ages by camera; "*" stands for every camera that is not named, and for rows without one.

    A camera that is named keeps to its own ages alone, nothing of "*" holds for it.
    """

    cameras: Mapping[str, Ages]

    def __post_init__(self) -> None:
        for camera, ages in self.cameras.items():
            if not isinstance(camera, str) or not camera or not isinstance(ages, Ages):
                raise PolicyError(f"{camera!r}: {ages!r} names no camera, or no ages for it")

    def to_json(self) -> dict[str, dict[str, float]]:
        """{"lobby": {"minimum": 1, "maximum": 3}, "*": {"maximum": 30}}"""
        return {
            camera: {"minimum": ages.minimum}
            | ({} if ages.maximum is None else {"maximum": ages.maximum})
            for camera, ages in self.cameras.items()
        }

    @classmethod
    def from_json(cls, facts: Any) -> Policy:
        """Raises `PolicyError` for what `to_json` does not write."""
        if not isinstance(facts, dict):
            raise PolicyError(
                f'{facts!r} is no policy; write {{"lobby": {{"minimum": 1, "maximum": 3}}, '
                f'"{REST}": {{"maximum": 30}}}}, in days'
            )
        return cls({camera: _ages(camera, values) for camera, values in facts.items()})


@dataclass(frozen=True)
class Expired:
    """What was past its maximum: rows by camera ("" where it is not known), and their moments."""

    cameras: dict[str, int]
    oldest: datetime | None
    newest: datetime | None
    ids: int
    ageless: int  # rows of the gallery whose age is not known


def policy_of(store: Store) -> Policy:
    """What was kept last; without limits where nothing was."""
    text = store.note(NOTE)
    if text is None:
        return Policy({})
    try:
        return Policy.from_json(json.loads(text))
    except ValueError as error:
        raise PolicyError(f"the retention policy of this gallery is damaged: {error}") from error


def keep(store: Store, policy: Policy) -> None:
    """Puts the policy beside the rows, in place of the one before."""
    store.put_note(NOTE, json.dumps(policy.to_json()) if policy.cameras else None)


def expired(policy: Policy, now: datetime) -> Filter | None:
    """Selects the rows that are older than their maximum; None where there is none."""
    limits = {
        camera: {"below": utc(now) - timedelta(days=ages.maximum)}
        for camera, ages in policy.cameras.items()
        if ages.maximum is not None
    }
    return _dated(policy, limits)


def protected(policy: Policy, now: datetime) -> Filter | None:
    """Selects the rows that are younger than their minimum; None where there is none."""
    limits = {
        camera: {"at_least": utc(now) - timedelta(days=ages.minimum) + _TICK}
        for camera, ages in policy.cameras.items()
        if ages.minimum
    }
    return _dated(policy, limits)


def expire(
    store: Store,
    now: datetime,
    dry: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Expired:
    """Removes what is past its maximum, from the files of the store too; `dry` only counts it."""
    where = expired(policy_of(store), now)
    cameras: Counter[str] = Counter()
    oldest = newest = None
    ids: list[str] = []
    for record in store.records(where) if where is not None else ():
        when = record.time or record.indexed
        cameras[record.camera] += 1
        ids.append(record.id)
        oldest = min(filter(None, (oldest, when)), default=None)
        newest = max(filter(None, (newest, when)), default=None)
    ageless = store.count(All((~Known("time"), ~Known("indexed")))) if where is not None else 0
    if not dry and (ids or store.facts().get("removed")):  # or a run was killed before it compacted
        for start in range(0, len(ids), _BATCH):
            store.remove(ids[start : start + _BATCH])
            if progress is not None:
                progress(min(start + _BATCH, len(ids)), len(ids))
        store.compact()
    return Expired(dict(sorted(cameras.items())), oldest, newest, len(ids), ageless)


def _dated(policy: Policy, limits: Mapping[str, Mapping[str, datetime]]) -> Filter | None:
    """The rows whose moment lies within the limits of their camera."""
    named = tuple(camera for camera in policy.cameras if camera != REST)
    parts = []
    for camera, bounds in limits.items():
        whose = ~Among("camera", named) if camera == REST else Among("camera", (camera,))
        taken = Range("time", **bounds)
        made = All((~Known("time"), Range("indexed", **bounds)))
        parts.append(All((whose, AnyOf((taken, made)))))
    return AnyOf(tuple(parts)) if parts else None


def _ages(camera: str, values: Any) -> Ages:
    try:
        if not isinstance(values, dict) or values.keys() - {"minimum", "maximum"}:
            raise PolicyError(f'{values!r} is not as {{"minimum": 1, "maximum": 30}}, in days')
        return Ages(**values)
    except PolicyError as error:
        raise PolicyError(f"{camera}: {error}") from None


def _is_days(days: Any) -> bool:
    number = isinstance(days, int | float) and not isinstance(days, bool)
    return number and math.isfinite(days) and 0 <= days <= _LONGEST
