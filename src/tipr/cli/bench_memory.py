"""`tipr bench memory`: how large a batch fits, and what makes a larger one fit."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from tipr.cli.options import Device, Into, Json, told


def memory(  # noqa: PLR0913 - one parameter for each flag
    experiment: str = "clip_sdm:small",
    *,
    batches: str = "64,256,1024",
    chunk: int = 32,
    data: Path | None = None,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Measure the peak memory of training steps against the batch: MiB, plain, in chunks, ...

    Parameters
    ----------
    experiment
        Whose steps; its method is untrained.
    batches
        Sizes, as `--batches 64,256`.
    chunk
        Rows that the encoder sees at a time, where it works in chunks (optim.chunk).
    data
        A dataset's folder; noise pictures of made-up people when not given.
    """
    from tipr.bench.large_batches import peaks, table
    from tipr.bench.machine import machine
    from tipr.embedder import pick_device

    if not all(size.strip().isdigit() for size in batches.split(",")):
        raise ValueError(f"--batches takes numbers with commas between, not {batches!r}")

    def announce(way: str, batch: int) -> None:
        print(f"{way}, batch {batch} ...", file=sys.stderr)

    sizes = [int(size) for size in batches.split(",")]
    found = list(peaks(experiment, sizes, chunk, data, device, announce))
    made_with = machine(pick_device(device))
    facts = {"experiment": experiment, "chunk": chunk, **made_with,
             "peaks": [asdict(peak) for peak in found]}  # fmt: skip
    told(f"{table(found)}\n\nMiB above what the model and the batch need, `{experiment}`; "
          f"{made_with['hardware']}, torch {made_with['torch']}.",
         into, facts if as_json else None)  # fmt: skip
    for peak in found:
        if peak.reason:
            print(f"{peak.way}, batch {peak.batch}: {peak.reason}", file=sys.stderr)
