"""What is stored beside a vector, and what a search gives back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Record:
    """One crop of a person. Text that is empty and values that are None are not known.

    `id` is the content hash of the picture, `path` where it lies (empty where only a thumbnail is
    kept), `extra` the owner's own JSON values. `box` is left, top, width, height in pixels of the
    frame numbered `frame` of `source` (a video, a folder). `time` is when the picture was taken,
    `indexed` when its vector was made, by the model of fingerprint `model`.
    """

    id: str
    path: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False)
    camera: str = ""
    time: datetime | None = None
    track: str = ""
    box: Box | None = None
    frame: int | None = None
    source: str = ""
    indexed: datetime | None = None
    model: str = ""

    def __post_init__(self) -> None:
        for name in ("time", "indexed"):
            when = getattr(self, name)
            if when is not None:
                object.__setattr__(self, name, utc(when, f"the {name} of record {self.id!r}"))
        if self.box is not None:
            object.__setattr__(self, "box", tuple(int(side) for side in self.box))

    def to_json(self) -> dict[str, Any]:
        """Times as ISO 8601 in UTC, the box as a list."""
        facts = asdict(self)
        for name in ("time", "indexed"):
            facts[name] = facts[name].isoformat() if facts[name] else None
        facts["box"] = list(self.box) if self.box else None
        return facts

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Record:
        """Raises ValueError, TypeError or KeyError for what `to_json` does not write."""
        times = {
            name: datetime.fromisoformat(facts[name]) if facts.get(name) else None
            for name in ("time", "indexed")
        }
        box = facts.get("box")
        given: dict[str, Any] = {**facts, **times, "box": tuple(box) if box else None}
        return cls(**given)


@dataclass(frozen=True)
class Hit:
    """One result; the score is the cosine similarity, higher is better."""

    score: float
    record: Record


def utc(when: datetime, what: str = "a time") -> datetime:
    """The same moment in UTC, to the microsecond; a time without a zone is refused."""
    if when.tzinfo is None:
        raise ValueError(f"{what} has no zone ({when.isoformat()}); say which, as 15:00+01:00 or Z")
    return when.astimezone(UTC)


def microseconds(when: datetime) -> int:
    """Since 1970 in UTC, as stores keep it; exact."""
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
