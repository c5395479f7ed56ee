"""What AND, NOT, examples and feedback are worth, on rendered people whose looks are known.

The strengths of `tipr.gallery.meaning` are chosen by these tables: other strengths and plainer ways
stand beside what is built in, which is marked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from tipr.bench import asking
from tipr.bench.asking import TOP, Way
from tipr.bench.crowd import Crowd
from tipr.bench.pages import escaped
from tipr.data.pairs import Pair
from tipr.embedder import Embedder
from tipr.evaluation.bootstrap import bootstrapped, caveat, people_scored

PEOPLE = 300
SECTIONS = (
    ("Clauses of a caption", ("R@1", "mAP"), asking.together),
    ("Weights", ("wear the outfit", "wear the trousers"), asking.weights),
    ("An outfit, and NOT a thing", ("show the thing", "wear the outfit"), asking.denials),
    ("NOT alone", ("show the thing",), asking.only_denials),
    ("An example of the person", ("R@1", "mAP"), asking.examples),
    ("An example, in other trousers", ("look like it", "wear them", "both"), asking.mixtures),
    ("Feedback", ("R@1", "mAP"), asking.feedback),
)


def queries(
    embedder: Embedder,
    pairs: Sequence[Pair],
    *,
    people: int = PEOPLE,
    seed: int = 0,
    made_with: Mapping[str, Any] | None = None,
    announce: Callable[[str], None] = lambda told: None,
) -> dict[str, Any]:
    """Asks a gallery of so many people in every way; ready for JSON, shares are fractions.

    Raises:
        ValueError: these are not rendered people, or too few.
    """
    crowd, sections = Crowd(embedder, pairs, people, seed), []
    for title, columns, ways in SECTIONS:
        announce(title)
        rows = [{"way": way.name, "built_in": way.built_in, "scores": _scores(way, crowd, columns)}
                for way in ways(crowd)]  # fmt: skip
        sections.append({"title": title, "columns": list(columns), "rows": rows})
    return {**(made_with or {}), "model": embedder.source, "people": len(crowd.rows),
            "pictures": len(crowd.store), "seed": seed, "sections": sections}  # fmt: skip


def table(facts: Mapping[str, Any]) -> str:
    """A table for each section, and how to read them."""
    lines = []
    for section in facts["sections"]:
        lines += [f"| {section['title']} | {' | '.join(section['columns'])} |"]
        lines += ["|---" * (1 + len(section["columns"])) + "|"]
        for row in section["rows"]:
            name = f"**{row['way']}**" if row["built_in"] else row["way"]
            cells = [_shown(row["scores"][column]) for column in section["columns"]]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    told = (f"Per cent, with 95 % intervals over people; bold is built in. Shares are of the first "
            f"{TOP}. {escaped(facts['model'])}; {facts['people']} people, {facts['pictures']} "
            f"pictures. {caveat(facts['people'])}")  # fmt: skip
    return "\n".join([*lines, told.strip()])


def _scores(way: Way, crowd: Crowd, columns: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Means with their intervals; None where the answer is the same for every person."""
    found = [(person, good) for person in sorted(crowd.rows) for good in way.asks(person)]
    values = torch.tensor([good for _, good in found], dtype=torch.float64)
    people = torch.tensor([person for person, _ in found])
    spread: dict[str, Sequence[float | None]] = {"mean": values.mean(dim=0).tolist()}
    spread |= {"low": [None] * len(columns), "high": [None] * len(columns)}
    if people_scored(values, people) > 1:
        resampled = bootstrapped(values, people)
        spread |= {"low": resampled.low.tolist(), "high": resampled.high.tolist()}
    return {
        column: {part: numbers[place] for part, numbers in spread.items()}
        for place, column in enumerate(columns)
    }


def _shown(score: Mapping[str, Any]) -> str:
    mean, *ends = (score[part] for part in ("mean", "low", "high"))
    around = "" if None in ends else " ({:.1f}..{:.1f})".format(*(100 * end for end in ends))
    return f"{100 * mean:.1f}{around}"
