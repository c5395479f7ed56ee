"""One evaluation as a page: a single HTML file without scripts that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tipr.data.pairs import Dataset
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import Unread, unread
from tipr.evaluation.records import Record, model_facts
from tipr.evaluation.report.contents import contents
from tipr.evaluation.report.page import page, write
from tipr.evaluation.vectors import Vectors, embedded, validation

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
    pairs = dataset.split(split)
    return report_of(
        path, dataset, embedded(embedder, pairs), facts,
        fitted_on=validation(embedder, dataset, split), cut=unread(embedder, pairs),
        pictures=pictures,
    )  # fmt: skip


def report_of(  # noqa: PLR0913 - what was measured, and how it is told
    path: Path | str,
    dataset: Dataset,
    vectors: Vectors,
    facts: Mapping[str, Any],
    *,
    fitted_on: Vectors | None = None,
    cut: Unread | None = None,
    selected: Mapping[str, Any] | None = None,
    pictures: bool = True,
) -> Record:
    """The same of a split whose vectors are there already; `facts` say which (`split`).

    `selected` tells of a run's other models: epochs by number (`last`, `best_on_val`,
    `best_on_test`), `last_t2i`, and the `test` scores of epochs.
    """
    carved = ", taken from train" if dataset.carved_val else ""
    told = {"calibrated on": f"val ({len(dataset.val)} captions{carved})"} if fitted_on else {}
    found = contents(
        vectors, dataset.split(facts["split"]), {**facts, **told},
        person=dataset.person, validation=fitted_on, cut=cut,
    )  # fmt: skip
    write(Path(path), page(found, pictures=pictures, selected=selected))
    return found.record
