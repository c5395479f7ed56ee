"""`tipr bench speed`: how fast models are on this machine, beside what the machine can do."""

from __future__ import annotations

import sys
from pathlib import Path

from tipr.cli.options import Into, Json, told


def speed(  # noqa: PLR0913 - one parameter for each flag
    models: list[str] | None = None,
    /,
    *,
    crops: int = 512,
    rows: int = 100_000,
    rounds: int = 5,
    against: Path | None = None,
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Time decoding, both encoders, indexing and searching on the CPU, beside the machine's limits.

    Several models, and two builds of tipr, take turns; ratios are to the first model.

    Parameters
    ----------
    models
        Run or bundle folders, or names of shipped models; `shipped:small` when not given.
    crops
        Made-up photographs that are decoded, preprocessed and indexed.
    rows
        Made-up vectors in the gallery that is searched.
    rounds
        How often every stage is measured; the median counts.
    against
        The folder that holds another build of tipr, as the src of another checkout; it takes turns
        with this one.
    """
    from tipr.bench.speed import Amount, measure
    from tipr.bench.speed_facts import table

    amount = Amount(crops=crops, rows=rows, rounds=rounds)
    chosen = models or ["shipped:small"]
    facts = measure(chosen, amount, against, lambda s: print(s, file=sys.stderr))
    told(table(facts), into, facts if as_json else None)
