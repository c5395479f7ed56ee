"""`tipr data ...`: render synthetic people, learn a tokenizer."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from cyclopts import App
from tqdm import tqdm

from tipr.cli.options import Json, shown

data_app = App(name="data", help="Datasets: render synthetic people, learn a tokenizer.")


@data_app.command
def synth(  # noqa: PLR0913 - every number a user may choose
    out: Path,
    /,
    *,
    people: int = 200,
    images: int = 6,
    level: Literal["easy", "medium", "hard"] = "medium",
    captions: int = 2,
    seed: int = 0,
    workers: int | None = None,
    as_json: Json = False,
) -> None:
    """Render synthetic people with captions that say only what each picture shows.

    Parameters
    ----------
    people
        Identities over all splits.
    images
        Pictures of each.
    level
        How hard they are to see.
    captions
        Sentences for each picture.
    seed
        The same seed gives the same people, captions and pictures.
    workers
        Processes; as many as there are cores when not given.
    """
    from tipr.data.synthetic.dataset import render_dataset

    with tqdm(desc="render", unit="person", disable=None) as bar:
        summary = render_dataset(
            out, people=people, images=images, level=level, captions=captions, seed=seed,
            workers=workers or os.cpu_count() or 1, progress=shown(bar),
        )  # fmt: skip
    if as_json:
        print(json.dumps({**asdict(summary), "path": str(summary.path)}))
        return
    print(f"{out}: {summary.people} people, {summary.images} images, {summary.captions} captions")
    for name, counts in summary.splits.items():
        print(f"  {name:<6}" + ", ".join(f"{n} {what}" for what, n in counts.items()))
    print(f"annotations sha256 {summary.annotations_sha256}")


@data_app.command
def tokenizer(data: Path, /, *, out: Path, merges: int = 1500) -> None:
    """Learn a tokenizer from a dataset's training captions, for models trained from scratch."""
    from tipr.data.readers import read_dataset
    from tipr.data.text import Tokenizer, learn_merges

    captions = [pair.caption for pair in read_dataset(data).train]
    learned = Tokenizer(learn_merges(captions, merges))
    learned.save(out)
    print(f"{out}: {learned.vocabulary} pieces from {len(captions)} captions")
