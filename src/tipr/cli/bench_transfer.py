"""`tipr bench transfer`: models on datasets that they were not trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tipr.cli.options import Device, Into, Json, command, told


def transfer(  # noqa: PLR0913 - one parameter for each flag
    models: list[str],
    /,
    *,
    data: Annotated[list[Path], Parameter(negative=())],
    split: Literal["train", "val", "test"] = "test",
    save: Path | None = None,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Measure models on several datasets, with intervals; where they were trained is marked.

    It warns where a dataset shares its source or its very pictures with what a model was trained
    on.

    Parameters
    ----------
    models
        Run or bundle folders, or names of shipped models.
    data
        A dataset's folder; repeated for each.
    split
        Which split of each.
    save
        Folder to keep the evaluations in, as SAVE/DATASET/MODEL, for `tipr compare`.
    """
    from tipr.bench.machine import commit, machine
    from tipr.bench.transfer import table, targets
    from tipr.bench.transfer import transfer as measured
    from tipr.embedder.embedder import place_of

    facts = measured(
        models, targets(data, split), device=device, save=save,
        made_with={"commit": commit(), **machine(place_of(device)),
                   "command": command()},
        announce=lambda what: print(f"{what} ...", file=sys.stderr),
    )  # fmt: skip
    told(table(facts), into, facts if as_json else None)
