"""What can be compared, as it lies on disk: evaluations, and the runs of `tipr bench ablation`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from tipr.evaluation.experiment import experiment_facts
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.records import (
    FACTS,
    RecordError,
    is_record,
    read_record,
)

RESULT, QUERIES = "result.json", "queries.npz"  # of a run of `tipr bench ablation`
_SAYS = {
    "gallery": "the pictures of the gallery",
    "captions": "the captions",
    "queries": "which caption is about whom",
    "cameras": "whether a picture from the query's own camera counts",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model measured on one split, whoever measured it."""

    source: str
    group: str  # the same for all seeds of an experiment
    seed: int | None = None
    person_ids: Int64[Tensor, " Q"]
    values: Float64[Tensor, "Q M"]  # the columns of `metrics.COLUMNS`
    gallery: int
    digests: dict[str, str] = field(default_factory=dict)  # empty where it does not tell
    keys: tuple[str, ...] = ()
    row: str = ""  # of a table


def read_runs(path: Path | str) -> list[Run]:
    """A saved evaluation, one run, or all finished runs of a row or of a whole table.

    Raises:
        RecordError: there is nothing of the kind, or it is damaged.
    """
    path = Path(path)
    path = path.parent if path.name in (FACTS, RESULT) else path
    if is_record(path):
        return [_of_record(path)]
    if (path / RESULT).is_file():
        return [_of_table(path)]
    found = sorted([*path.glob(f"*/{RESULT}"), *path.glob(f"*/*/{RESULT}")])
    if not found:
        raise RecordError(
            f"{path} holds no evaluation ({FACTS} of `tipr eval --save`) and no finished run of "
            f"`tipr bench ablation` ({RESULT})"
        )
    return [_of_table(file.parent) for file in found]


def on_one_split(runs: Sequence[Run]) -> list[Run]:
    """The runs with their queries in the order of the first.

    Raises:
        ValueError: they were measured on different splits; it says what differs.
    """
    first = runs[0]
    for run in runs[1:]:
        if differs := _differences(first, run):
            raise ValueError(
                f"{first.source} and {run.source} were measured on different splits, which cannot "
                f"be compared: they differ in {', '.join(differs)}; evaluate both on the same data "
                "and --split"
            )
    return [_ordered_as(first, run) for run in runs]


def _differences(one: Run, other: Run) -> list[str]:
    """What tells their splits apart, in words; nothing when they are the same."""
    told = []
    if one.gallery != other.gallery:
        told.append(f"the gallery ({one.gallery} and {other.gallery} pictures)")
    if len(one.person_ids) != len(other.person_ids):
        told.append(f"the queries ({len(one.person_ids)} and {len(other.person_ids)})")
    if one.digests and other.digests:
        unlike = [name for name in _SAYS if one.digests.get(name) != other.digests.get(name)]
        told = told or [_SAYS[name] for name in unlike]
    ordered = one.keys and other.keys
    if not told and not ordered and not one.person_ids.equal(other.person_ids):
        told.append("whom the queries ask for, or the order of the queries")
    return told


def _ordered_as(first: Run, run: Run) -> Run:
    """Queries are told by their keys; where one has none, both are in the order of the data."""
    if not (first.keys and run.keys) or first.keys == run.keys:
        return run
    places = sorted(range(len(run.keys)), key=run.keys.__getitem__)
    wanted = sorted(range(len(run.keys)), key=first.keys.__getitem__)
    order = torch.empty(len(places), dtype=torch.long)
    order[torch.tensor(wanted)] = torch.tensor(places)
    return replace(
        run, keys=first.keys, person_ids=first.person_ids, values=run.values[order]
    )  # fmt: skip


def _of_record(folder: Path) -> Run:
    record = read_record(folder)
    facts = record.facts
    if facts["columns"] != list(COLUMNS):
        raise RecordError(f"{folder} tells of {', '.join(map(str, facts['columns']))}; this tipr "
                          f"compares {', '.join(COLUMNS)}: evaluate again")  # fmt: skip
    experiment, seed = facts.get("experiment"), facts.get("seed")
    known = isinstance(experiment, dict) and isinstance(seed, int)
    return Run(
        source=str(folder),
        group=str(experiment.get("digest")) if known else str(folder),
        seed=seed if known else None,
        person_ids=record.person_ids,
        values=record.values,
        gallery=facts["gallery"],
        digests=facts["digests"],
        keys=record.keys,
    )


def _of_table(folder: Path) -> Run:
    """A run of `tipr bench ablation`; its queries are in the order of the data.

    Rows of one name are one experiment only where all else was the same too.
    """
    try:
        facts = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        data = io.BytesIO((folder / QUERIES).read_bytes())
        with np.load(data, allow_pickle=False) as arrays:
            people, values = (torch.from_numpy(arrays[n]) for n in ("person_ids", "values"))
        if values.shape != (len(people), len(COLUMNS)):
            raise ValueError(f"{QUERIES} has not {len(COLUMNS)} values for each query")
        row, told = str(facts["row"]), experiment_facts(folder)
        known = told["experiment"]["digest"] if told else str(folder.parent)
        return Run(
            source=str(folder), group=f"{known} {row}", row=row, seed=int(facts["seed"]),
            person_ids=people.long(), values=values.double(), gallery=int(facts["test"]["gallery"]),
            digests=dict(facts.get("digests", {})),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(f"the run in {folder} is damaged ({type(error).__name__}: {error}); "
                          "measure it again") from error  # fmt: skip
