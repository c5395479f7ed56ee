"""One evaluation as a page: a single HTML file without scripts that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tipr.data.pairs import Dataset
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import unread
from tipr.evaluation.records import Record, model_facts
from tipr.evaluation.report.contents import contents
from tipr.evaluation.report.page import page, write
from tipr.evaluation.vectors import Vectors, embedded

__all__ = ["report_of", "write_report"]


def write_report(
    path: Path | str,
    embedder: Embedder,
    dataset: Dataset,
    split: str = "test",
    *,
    made_with: Mapping[str, Any] | None = None,
    pictures: bool = True,
) -> Record:
    """Evaluates a split, writes all that is found as a page, and gives the record of it.

    `made_with` are further facts, as commit, hardware, torch and command. The page shows people;
    without `pictures` it has their captions, ids and ranks alone.

    Raises:
        ValueError: the split is empty, or has fewer than two people.
        OSError: the page could not be written; one that was there is intact.
    """
    facts = {**model_facts(embedder), "data": dataset.name, "split": split, **(made_with or {})}
    vectors = embedded(embedder, dataset.split(split))
    return report_of(path, embedder, dataset, vectors, facts, pictures=pictures)


def report_of(
    path: Path | str,
    embedder: Embedder,
    dataset: Dataset,
    vectors: Vectors,
    facts: Mapping[str, Any],
    *,
    pictures: bool = True,
) -> Record:
    """The same of a split whose vectors are there already; `facts` say which (`split`)."""
    split = facts["split"]
    pairs = dataset.split(split)
    fitting = dataset.val if split != "val" and len(dataset.people("val")) > 1 else ()
    carved = ", taken from train" if dataset.carved_val else ""
    fitted = {"calibrated on": f"val ({len(fitting)} captions{carved})"} if fitting else {}
    found = contents(
        vectors,
        pairs,
        {**facts, **fitted},
        person=dataset.person,
        validation=embedded(embedder, fitting) if fitting else None,
        cut=unread(embedder, pairs),
    )
    write(Path(path), page(found, pictures=pictures))
    return found.record
