"""`tipr bench evaluation`: our exact, blockwise evaluation beside the usual full sort."""

from __future__ import annotations

import sys

from tipr.cli.options import Flag, Into, Json, told


def evaluation(  # noqa: PLR0913 - one parameter for each flag
    *,
    queries: int = 19_848,
    gallery: int = 19_848,
    width: int = 512,
    people: int = 1_000,
    rounds: int = 3,
    alone: Flag = False,
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Time the evaluation and its memory beside the usual one, which sorts all scores.

    Both run on the same made-up embeddings, in turn, each in a process of its own, and have to
    agree. The standard sizes are those of ICFG-PEDES's test split; there the usual evaluation
    takes about 7 GB of memory.

    Parameters
    ----------
    queries
        Sentences.
    gallery
        Pictures.
    width
        Numbers in an embedding.
    people
        Whom they show, all as often.
    rounds
        How often each runs; the median counts.
    alone
        Ours only, as where the usual one would need more memory than there is.
    """
    import torch

    from tipr.bench.evaluation import Shape, compare, table
    from tipr.bench.machine import machine

    shape = Shape(queries=queries, gallery=gallery, width=width, people=people)
    found = compare(
        shape, rounds, lambda what: print(f"{what} ...", file=sys.stderr), with_usual=not alone
    )
    made_with = machine(torch.device("cpu"))
    told(f"{table(found)} {made_with['hardware']}, torch {made_with['torch']}.", into,
         {**found.to_json(), **made_with} if as_json else None)  # fmt: skip
