"""`tipr bench queries`: what clauses, NOT, examples and feedback are worth."""

from __future__ import annotations

import sys
from pathlib import Path

from tipr.cli.options import Device, Into, Json, command, told


def bench_queries(  # noqa: PLR0913 - one parameter for each flag
    model: str = "shipped:small",
    /,
    *,
    data: Path,
    people: int = 300,
    seed: int = 0,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Ask for rendered people, whose looks are known, with AND, OR, NOT, examples and feedback.

    Parameters
    ----------
    model
        A run or bundle folder, or the name of a shipped model.
    data
        A folder of `tipr data synth`; its test split is asked.
    people
        How many of them.
    seed
        Other seeds ask for others.
    """
    from tipr.bench.machine import commit, machine
    from tipr.bench.meaning import queries, table
    from tipr.data.readers import read_dataset
    from tipr.embedder import Embedder
    from tipr.embedder.embedder import place_of

    facts = queries(
        Embedder.load(model, device),
        read_dataset(data).test,
        people=people,
        seed=seed,
        made_with={"commit": commit(), **machine(place_of(device)), "command": command()},
        announce=lambda what: print(f"{what} ...", file=sys.stderr),
    )
    told(table(facts), into, facts if as_json else None)
