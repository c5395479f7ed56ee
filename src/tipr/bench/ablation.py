"""Trains and measures the rows of a table, seed by seed, so that a stopped table is a whole one.

A run lies in OUT/ROW/seed-K: what `tipr train` leaves, `queries.npz` (how each test caption found
its person) and, written last, `result.json`. A run that has it is finished; any other goes on from
its last epoch. `failed.json` tells why a run did not get there; the next call tries it again.
"""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tipr.bench.extras import hardest_words, measured_also
from tipr.bench.machine import commit, machine
from tipr.bench.pages import folder_name
from tipr.data.pairs import Pair
from tipr.data.readers import read_dataset
from tipr.data.whole import put
from tipr.embedder import pick_device
from tipr.evaluation.evaluate import Queries, queries
from tipr.evaluation.naming import split_digests
from tipr.experiments.table import Table
from tipr.training.experiment import Experiment, changed
from tipr.training.loop import train

RESULT, FAILED, QUERIES, CLOCK = "result.json", "failed.json", "queries.npz", "clock.json"
WORDS = "difficulty.json"  # how hard words are, beside the run that says so


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row of a table with one seed."""

    row: str
    seed: int
    experiment: Experiment
    folder: Path
    teacher: Path | None = None  # the run that has to be finished before
    words_of: Experiment | None = None  # what that run was, where it says how hard words are

    @property
    def finished(self) -> bool:
        return (self.folder / RESULT).is_file()


def run_table(  # noqa: PLR0913 - one parameter for each flag
    table: Table,
    data: Path,
    out: Path,
    seeds: Sequence[int],
    changes: Sequence[str] = (),
    rows: Sequence[str] = (),
    device: str = "auto",
    budget_s: float | None = None,
) -> int:
    """Trains each row with each seed and measures it on the test split; how many runs are left.

    `changes` (`FIELD=VALUE`) hold for every row; `rows` are some of the table's, with the teachers
    they need. After `budget_s` seconds no further run is begun; a second call goes on. A run that
    fails does not stop the others.

    Raises:
        ValueError: a row, a change or the dataset is not there, or `out` holds other settings.
    """
    end = time.monotonic() + (float("inf") if budget_s is None else budget_s)
    dataset = read_dataset(data)
    test = dataset.test
    if not test:
        raise ValueError(f"{data} has no test pairs to measure on")
    pick_device(device)
    runs = planned(table, data, out, seeds, changes, rows)
    digests = {**split_digests(test, dataset.person), "cameras": "all"}
    made_with = {"commit": commit(), "digests": digests}
    teachers = {row.before for row in table.rows.values()}
    for place, run in enumerate(runs):
        if not run.finished and time.monotonic() >= end:
            break
        if not run.finished:
            print(f"run {place + 1}/{len(runs)}: {run.row}, seed {run.seed}", file=sys.stderr)
            _attempt(run, test, device, made_with)
        if run.finished and run.row not in teachers:
            (run.folder / "last.pt").unlink(missing_ok=True)
    return sum(not run.finished for run in runs)


def planned(
    table: Table,
    data: Path,
    out: Path,
    seeds: Sequence[int],
    changes: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> list[Run]:
    """The runs of a table in their order: all rows of one seed, teachers first, then the next."""
    names = _with_teachers(table, rows or list(table.rows))
    folders = {run_folder(out, name, 0) for name in names}
    if len(folders) < len(names):
        raise ValueError("two rows of the table have the same folder; rename one")
    runs = []
    for seed in seeds:
        for name in names:
            row = table.rows[name]
            experiment = _changed(row.experiment, changes)
            longer = row.longer * experiment.optim.epochs
            experiment = replace(experiment, optim=replace(experiment.optim, epochs=longer))
            experiment = replace(experiment, seed=seed, data=replace(experiment.data, root=data))
            before = run_folder(out, row.before, seed) if row.before else None
            if row.teacher:
                experiment = changed(experiment, "method.richer", str(before))
            if row.words_of:
                experiment = changed(experiment, "data.batching.table", f"{before}/{WORDS}")
            said_by = next((r.experiment for r in runs if r.folder == before), None)
            runs.append(Run(row=name, seed=seed, experiment=experiment,
                            folder=run_folder(out, name, seed), teacher=before,
                            words_of=said_by if row.words_of else None))  # fmt: skip
    for run in runs:
        _check(run)
    return runs


def run_folder(out: Path, row: str, seed: int) -> Path:
    return out / folder_name(row) / f"seed-{seed}"


def _with_teachers(table: Table, rows: Sequence[str]) -> list[str]:
    """The rows, each once, each after the row that it learns from."""
    ordered: dict[str, None] = {}
    for name in rows:
        if name not in table.rows:
            raise ValueError(f"there is no row {name!r}; choose from {', '.join(table.rows)}")
        if teacher := table.rows[name].before:
            ordered |= dict.fromkeys(_with_teachers(table, [teacher]))
        ordered[name] = None
    return list(ordered)


def _changed(experiment: Experiment, changes: Sequence[str]) -> Experiment:
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"--set takes FIELD=VALUE, not {change!r}")
        experiment = changed(experiment, name, value)
    return experiment


def _check(run: Run) -> None:
    """Raises ValueError when the folder holds a run with other settings."""
    record = run.folder / "experiment.json"
    begun = run.finished or (run.folder / "last.pt").is_file()
    if begun and record.read_text(encoding="utf-8") != run.experiment.to_json():
        raise ValueError(f"{run.folder} was trained with other settings; choose another --out")


def _attempt(run: Run, test: Sequence[Pair], device: str, made_with: dict[str, Any]) -> None:
    """Finishes a run, or leaves the reason why not."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / FAILED).unlink(missing_ok=True)
    try:
        _finish(run, test, device, made_with)
    except Exception as error:  # any mistake in one method leaves the other rows their turn
        reason = f"{type(error).__name__}: {error}"
        print(f"{run.row}, seed {run.seed}, failed: {reason}", file=sys.stderr)
        facts = {"reason": reason, "traceback": traceback.format_exc()}
        _written(run.folder / FAILED, facts)


def _finish(run: Run, test: Sequence[Pair], device: str, made_with: dict[str, Any]) -> None:
    if run.teacher is not None and not (run.teacher / RESULT).is_file():
        raise ValueError(f"its teacher {run.teacher} is not trained")
    if run.teacher is not None and run.words_of is not None:
        words = run.teacher / WORDS
        if not words.is_file():
            train_pairs = read_dataset(run.experiment.data.root or "").train
            hardest_words(run.teacher, run.words_of, train_pairs, words)
    with _clocked(run.folder / CLOCK):
        resume = (run.folder / "last.pt").is_file()
        embedder = train(run.experiment, run.folder, resume=resume, device=device)
    measured = queries(embedder, test)
    _save_queries(run.folder / QUERIES, measured)
    clock = json.loads((run.folder / CLOCK).read_text(encoding="utf-8"))
    facts = {
        "row": run.row,
        "seed": run.seed,
        "test": measured.metrics.to_json(),
        **clock,
        **made_with,
        **machine(embedder.device),
        "also": measured_also(run.folder, run.experiment, test, embedder),
    }
    _written(run.folder / RESULT, facts)


@contextmanager
def _clocked(file: Path) -> Generator[None]:
    """Adds the seconds spent inside to those of earlier starts; a killed start leaves none."""
    before = {"seconds": 0.0, "starts": 0}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
    _written(file, {**before, "starts": before["starts"] + 1})
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = before["seconds"] + time.monotonic() - began
        _written(file, {"seconds": round(seconds, 3), "starts": before["starts"] + 1})


def _save_queries(file: Path, measured: Queries) -> None:
    arrays = io.BytesIO()
    np.savez(arrays, person_ids=measured.person_ids.numpy(), values=measured.values.numpy())
    put(file, arrays.getvalue())


def _written(file: Path, facts: dict[str, Any]) -> None:
    put(file, json.dumps(facts, indent=2) + "\n")
