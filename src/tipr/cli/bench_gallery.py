"""`tipr bench gallery`: the speed and memory of a gallery's store."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from tipr.cli.options import Into, Json, told


def bench_gallery(
    *,
    rows: Annotated[list[int] | None, Parameter(negative=())] = None,
    width: int = 512,
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Store, index and search made-up people, against an exact NumPy scan in the same run.

    Parameters
    ----------
    rows
        How many, repeatable; 100,000 and 1,000,000 unless given. A million needs 8 GB of memory
        and of disk.
    width
        Numbers in a vector.
    """
    from tipr.bench.gallery import measure
    from tipr.bench.gallery_table import table

    facts = measure(rows or [100_000, 1_000_000], width, lambda s: print(s, file=sys.stderr))
    told(table(facts), into, facts if as_json else None)
