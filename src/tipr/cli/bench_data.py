"""`tipr bench data`: whether the input keeps up with the model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tipr.cli.options import Device, Into, Json, told


def data(  # noqa: PLR0913 - one parameter for each flag
    experiment: str = "clip_sdm:small",
    *,
    data: Path | None = None,
    workers: int | None = None,
    rounds: int = 5,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Compare how fast batches are prepared with how fast the model takes them: images/s.

    The last line says whether the model is fed or starved, and how many workers or how large a
    cache would feed it.

    Parameters
    ----------
    experiment
        Whose pictures' size, augmentation, batches and steps; its method is untrained.
    data
        A dataset's folder; made-up photographs of 280 x 110 pixels when not given.
    workers
        Processes that prepare batches; as many as the experiment has when not given.
    rounds
        How often every stage is measured; the median counts.
    """
    from tipr.bench.input import measure, table, verdict
    from tipr.bench.machine import machine
    from tipr.embedder import pick_device

    feed = measure(experiment, data, workers, rounds, device)
    made_with = machine(pick_device(device))
    waits = {stage: feed.waits(stage) for stage in ("decoding", "kept")}
    facts = {"experiment": experiment, "rounds": rounds, **made_with, **asdict(feed),
             "waits": waits, "verdict": verdict(feed)}  # fmt: skip
    told(f"{table(feed)}\n\n`{experiment}`, batches of {feed.batch}, {rounds} rounds; "
         f"{made_with['hardware']}, torch {made_with['torch']}.\n\n{verdict(feed)}",
         into, facts if as_json else None)  # fmt: skip
