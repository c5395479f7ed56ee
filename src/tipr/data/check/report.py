"""What the doctor says: counts beside the published ones, and findings with what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tipr.data.check.kinds import FAULTS, KINDS, Kind
from tipr.data.plain import plain

Severity = Literal["problem", "note"]
EXAMPLES = 5


@dataclass(frozen=True)
class Hit:
    """One place where something was found; `count` places when it speaks for several."""

    kind: str
    example: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Everything of one kind that was found."""

    kind: str
    severity: Severity
    count: int
    examples: tuple[str, ...]  # the first few
    advice: str


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number of the set, and the one that its authors published."""

    split: str  # or "all"
    what: Literal["images", "captions", "people"]
    found: int
    published: int | None = None

    @property
    def difference(self) -> int:
        return 0 if self.published is None else self.found - self.published


@dataclass(frozen=True, kw_only=True)
class Report:
    """A dataset folder, examined."""

    root: Path
    layout: str
    annotations: tuple[Path, ...]
    images: Path
    deep: bool  # whether the pictures were decoded
    compared: str  # what the counts are compared with; "" where nothing was published
    ask: str  # where the set comes from; "" where that is not known
    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether there are no problems; notes do not count."""
        return not any(finding.severity == "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        counts = [asdict(c) | {"difference": c.difference} for c in self.counts]
        return {
            "path": str(self.root),
            "layout": self.layout,
            "annotations": [str(path) for path in self.annotations],
            "images": str(self.images),
            "deep": self.deep,
            "clean": self.clean,
            "compared": self.compared,
            "ask": self.ask,
            "counts": counts,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        files = ", ".join(path.name for path in self.annotations)
        lines = [plain(f"{self.root}: {self.layout} ({files}; images in {self.images})"), ""]
        lines += [*_table(self.counts), *([self.compared] if self.compared else []), ""]
        for finding in self.findings:
            lines += [*_told(finding), ""]
        if self.ask and not self.clean:
            lines += [self.ask, ""]
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        number = {s: sum(f.severity == s for f in self.findings) for s in ("problem", "note")}
        said = [f"{n} {what}{'s' * (n != 1)}" for what, n in number.items() if n]
        looked = "decoded" if self.deep else "headers read"
        return f"{'clean' if self.clean else 'not clean'}: {', '.join(said) or 'nothing found'} " \
               f"(images: {looked})"  # fmt: skip


def gathered(hits: Iterable[Hit]) -> tuple[Finding, ...]:
    """One finding for each kind, in the order of `KINDS`, problems first."""
    counts, examples = dict[str, int](), dict[str, list[str]]()
    for hit in hits:
        counts[hit.kind] = counts.get(hit.kind, 0) + hit.count
        shown = examples.setdefault(hit.kind, [])
        if len(shown) < EXAMPLES:
            shown.append(hit.example)
    order = {name: place for place, name in enumerate(KINDS)}
    found = [_finding(name, counts[name], examples[name]) for name in counts]
    return tuple(sorted(found, key=lambda f: (f.severity == "note", order.get(f.kind, -1))))


def _finding(kind: str, count: int, examples: list[str]) -> Finding:
    known: Kind = KINDS.get(kind, FAULTS)
    return Finding(kind=kind, severity=known.severity, count=count, examples=tuple(examples),
                   advice=known.advice)  # fmt: skip


def _table(counts: tuple[Count, ...]) -> list[str]:
    columns = ("images", "captions", "people")
    rows: dict[str, dict[str, str]] = {}
    for c in counts:
        rows.setdefault(c.split, {})[c.what] = f"{c.found:,}" + f" ({c.difference:+,})" * (
            c.difference != 0
        )
    lines = [f"{'split':<8}" + "".join(f"{name:>18}" for name in columns)]
    for split, cells in rows.items():
        lines.append(f"{split:<8}" + "".join(f"{cells.get(name, '-'):>18}" for name in columns))
    return lines


def _told(finding: Finding) -> list[str]:
    more = finding.count - len(finding.examples)
    lines = [f"{finding.severity}: {finding.kind} ({finding.count:,})"]
    lines += [f"    {plain(example)}" for example in finding.examples]
    if more > 0 and len(finding.examples) == EXAMPLES:
        lines.append("    ...")
    return [*lines, f"  {finding.advice}"]
