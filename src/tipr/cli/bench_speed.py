"""`tipr bench speed`: how fast models are on this machine, beside what the machine can do."""

from __future__ import annotations

import sys
from pathlib import Path

from tipr.cli.options import Flag, Into, Json, told


def speed(  # noqa: PLR0913 - one parameter for each flag
    models: list[str] | None = None,
    /,
    *,
    crops: int = 512,
    rows: int = 100_000,
    rounds: int = 5,
    encoders: Flag = False,
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
        untrained:EXPERIMENT is the encoder of an experiment. MODEL@WAY says what computes it:
        pytorch, openvino:int8 and the like, or plain, as research code does it.
    crops
        Made-up photographs that are decoded, preprocessed and indexed.
    rows
        Made-up vectors in the gallery that is searched.
    rounds
        How often every stage is measured; the median counts.
    encoders
        Measure nothing but the two encoders.
    against
        The folder that holds another build of tipr, as the src of another checkout; it takes turns
        with this one.
    """
    from tipr.bench.speed import Amount, measure
    from tipr.bench.speed_facts import table

    amount = Amount(crops=crops, rows=rows, rounds=rounds, encoders=encoders)
    chosen = models or ["shipped:small"]
    facts = measure(chosen, amount, against, lambda s: print(s, file=sys.stderr))
    told(table(facts), into, facts if as_json else None)
