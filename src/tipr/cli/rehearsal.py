"""`tipr bench rehearsal`: everything once, on a set of CUHK-PEDES's size that is made up."""

from __future__ import annotations

import sys
import time

from tipr.cli.options import Device, Into, Json, Out, told


def rehearsal(
    *, out: Out, scale: float = 1.0, device: Device = "cpu", into: Into = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write a set of CUHK-PEDES's exact shape, then check, train, evaluate and index it.

    Each stage is the real command in a process of its own. The table of seconds and memory is
    printed and written to OUT/rehearsal.md; the set stays in OUT/data.

    Parameters
    ----------
    scale
        A share of the people and images, as 0.01; 1 is the real size.
    """
    from tipr.bench.rehearsal import cuhk_shape, rehearse, table

    def announce(stage: str) -> None:
        print(f"{stage} ...", file=sys.stderr)

    announce("write")
    began = time.perf_counter()
    data = cuhk_shape(out / "data", scale)
    written = time.perf_counter() - began
    stages = rehearse(data, out, device, announce)
    text = table(stages) + f"\n\nThe set was written in {written:.1f} seconds.\n"
    (out / "rehearsal.md").write_text(text, encoding="utf-8", newline="\n")
    facts = {"data": str(data), "scale": scale, "write": written,
             "stages": [stage.to_json() for stage in stages]}  # fmt: skip
    told(text, into, facts if as_json else None)
