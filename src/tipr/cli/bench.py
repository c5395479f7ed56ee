"""`tipr bench ...`: ablation tables with intervals, and what each method costs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from tqdm import tqdm

from tipr.cli.options import Device, Json, Out, shown
from tipr.cli.rehearsal import rehearsal

bench_app = App(name="bench", help="Compare methods, their cost; rehearse a full-size set.")
bench_app.command(rehearsal)


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
    text = write_report(facts, out)
    print(json.dumps(facts) if as_json else text, end="\n" if as_json else "")


@bench_app.command
def methods(  # noqa: PLR0913 - one parameter for each flag
    *,
    data: Path | None = None,
    batch: int = 64,
    steps: int = 10,
    only: str = "",
    base: str = "clip_sdm:small",
    device: Device = "auto",
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
    from tipr.bench.machine import machine
    from tipr.embedder import pick_device

    names = [name.strip() for name in only.split(",") if name.strip()] or small_experiments()
    costs, skipped = measure(names, data, batch, steps, device, base)
    made_with = machine(pick_device(device))
    if as_json:
        facts = {"batch": batch, "steps": steps, **made_with, "skipped": skipped}
        print(json.dumps({**facts, "methods": [asdict(cost) for cost in costs]}))
        return
    print("| experiment | step | to base | MiB | ships | to base | encoding | to base |")
    print("|---|---|---|---|---|---|---|---|")
    for c in costs:
        print(f"| {c.name} | {c.step_seconds:.3f} s | {c.relative_step:.2f} | {c.memory >> 20} | "
              f"{c.parameters:,} | {c.relative_parameters:.2f} | {c.encode_seconds:.3f} s | "
              f"{c.relative_encode:.2f} |")  # fmt: skip
    print(f"\nBatches of {batch}, {steps} rounds; {made_with['hardware']}, "
          f"torch {made_with['torch']}.")  # fmt: skip
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
