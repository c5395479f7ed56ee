"""`tipr bench ...`: ablation tables with intervals, and what each method costs."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from tqdm import tqdm

from tipr.cli.bench_data import data as input_
from tipr.cli.bench_evaluation import evaluation
from tipr.cli.bench_gallery import bench_gallery
from tipr.cli.bench_memory import memory
from tipr.cli.bench_queries import bench_queries
from tipr.cli.bench_speed import speed
from tipr.cli.bench_step import step
from tipr.cli.bench_transfer import transfer
from tipr.cli.options import Device, Into, Json, Out, shown, told
from tipr.cli.rehearsal import rehearsal

bench_app = App(name="bench", help="Compare methods, their cost; rehearse a full-size set.")
bench_app.command(rehearsal)
bench_app.command(evaluation)
bench_app.command(bench_gallery, name="gallery")
bench_app.command(bench_queries, name="queries")
bench_app.command(memory)
bench_app.command(speed)
bench_app.command(step)
bench_app.command(transfer)
bench_app.command(input_, name="data")


@bench_app.command
def ablation(  # noqa: PLR0913 - one parameter for each flag
    name: str,
    *,
    data: str,
    out: Out,
    seeds: int = 3,
    rows: str = "",
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    budget: float | None = None,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Train every row of a method's ablation with several seeds and judge its claims.

    A stopped or failed table goes on when the same command is given again. The table is printed
    and written to OUT/table.md and OUT/table.json.

    Parameters
    ----------
    name
        A module of tipr.experiments with an ablation, or ./FILE.py of your own.
    data
        The dataset's folder; `synth` renders the set of docs/results.md into OUT/data.
    seeds
        How many; seeds 0, 1, ... are trained one after the other, all rows of each.
    rows
        Some rows only, as `--rows a,b`; the teachers that they need are trained too.
    set_
        Change a setting of every row, as `--set optim.epochs=3`; may be repeated.
    budget
        Seconds after which no further run is begun.
    """
    from tipr.bench.ablation import run_table
    from tipr.bench.report import report, write_report
    from tipr.experiments.find import find_table

    if seeds < 1:
        raise ValueError("--seeds is at least 1")
    table, chosen = find_table(name), [row.strip() for row in rows.split(",") if row.strip()]
    root = _rendered(out / "data") if data == "synth" else Path(data)
    left = run_table(table, root, out, range(seeds), set_ or (), chosen, device, budget)
    if left:
        print(f"{left} runs are left; the same command goes on", file=sys.stderr)
    facts = report(table, out, range(seeds))
    told(write_report(facts, out), into, facts if as_json else None)


@bench_app.command
def table(name: str, *, out: Out, seeds: int = 3, into: Into = None, as_json: Json = False) -> None:
    """Print the table of an ablation as far as its runs are finished, without training any.

    Parameters
    ----------
    name
        The ablation that OUT was made with.
    seeds
        How many are told.
    """
    from tipr.bench.report import markdown, report
    from tipr.experiments.find import find_table

    facts = report(find_table(name), out, range(seeds))
    told(markdown(facts), into, facts if as_json else None)


@bench_app.command
def methods(  # noqa: PLR0913 - one parameter for each flag
    *,
    data: Path | None = None,
    batch: int = 64,
    steps: int = 10,
    only: str = "",
    base: str = "clip_sdm:small",
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Time a training step of every method beside a base's, and what each ships.

    Parameters
    ----------
    data
        A dataset's folder; noise pictures of made-up people when not given.
    batch
        Pairs in a batch, the same for all.
    steps
        Rounds of one step each; the median counts.
    only
        Some experiments only, as `--only irra:small,ivt:small`.
    base
        The experiment that the others are compared with.
    """
    from tipr.bench.cost import measure, small_experiments
    from tipr.bench.cost import table as costs_table
    from tipr.bench.machine import machine
    from tipr.embedder import pick_device

    names = [name.strip() for name in only.split(",") if name.strip()] or small_experiments()
    costs, skipped = measure(names, data, batch, steps, device, base)
    made_with = machine(pick_device(device))
    facts = {"batch": batch, "steps": steps, **made_with, "skipped": skipped,
             "methods": [asdict(cost) for cost in costs]}  # fmt: skip
    told(f"{costs_table(costs)}\n\nBatches of {batch}, {steps} rounds; {made_with['hardware']}, "
         f"torch {made_with['torch']}.", into, facts if as_json else None)  # fmt: skip
    for name, reason in skipped.items():
        print(f"{name} could not be measured: {reason}", file=sys.stderr)


def _rendered(folder: Path) -> Path:
    """The set that small benchmarks are made on, rendered when it is not there."""
    if folder.exists():
        return folder
    from tipr.data.synthetic.dataset import render_dataset

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(desc="render", unit="person", disable=None) as bar:
        render_dataset(folder, people=5000, images=5, level="medium", seed=7,
                       workers=os.cpu_count() or 1, progress=shown(bar))  # fmt: skip
    return folder
