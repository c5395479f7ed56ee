"""`tipr bench step`: our training steps beside plain ones of the same loss."""

from __future__ import annotations

import sys
from dataclasses import asdict

from tipr.cli.options import Device, Into, Json, told


def step(
    *,
    only: str = "",
    batch: int = 64,
    steps: int = 10,
    device: Device = "auto",
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Compare time and memory of a training step with a plain implementation of the same loss.

    Plain is nn.MultiheadAttention, sentences padded to full length and an optimiser that goes from
    parameter to parameter; method, weights and batch are the same. Ratios below 1 speak for ours.

    Parameters
    ----------
    only
        Some experiments only, as `--only irra:small,clip_sdm:cuhk_pedes`; every method's `small`
        when not given.
    batch
        Pairs in a batch.
    steps
        Rounds of one step each; the median counts.
    """
    from tipr.bench.cost import small_experiments
    from tipr.bench.machine import commit, machine
    from tipr.bench.training_step import measure, table
    from tipr.embedder import pick_device

    names = [name.strip() for name in only.split(",") if name.strip()] or small_experiments()
    found, skipped = measure(
        names, batch, steps, device, lambda name: print(f"{name} ...", file=sys.stderr)
    )
    made_with = {"commit": commit(), **machine(pick_device(device))}
    facts = {"batch": batch, "steps": steps, **made_with, "skipped": skipped,
             "found": [asdict(one) for one in found]}  # fmt: skip
    told(f"{table(found)}\n\nBatches of {batch}, {steps} rounds; {made_with['hardware']}, "
         f"torch {made_with['torch']}.", into, facts if as_json else None)  # fmt: skip
    for name, reason in skipped.items():
        print(f"{name} could not be measured: {reason}", file=sys.stderr)
