"""`tipr data ...`: render synthetic people, check a dataset, learn a tokenizer."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from cyclopts import App
from tqdm import tqdm

from tipr.cli.options import Flag, Json, shown

data_app = App(name="data", help="Datasets: render people, check a set, learn a tokenizer.")


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
def check(data: Path, /, *, deep: Flag = False, as_json: Json = False) -> None:
    """Say what is wrong with a dataset and what to do; exit code 1 when there are problems.

    Parameters
    ----------
    data
        The dataset's folder; nothing in it is changed.
    deep
        Decode every image and look for equal ones, instead of reading headers only.
    """
    from tipr.data.check import check_dataset

    try:
        with tqdm(desc="check", unit="image", disable=None) as bar:
            report = check_dataset(data, deep, shown(bar))
    except (ValueError, OSError) as error:
        if not as_json:
            raise
        print(json.dumps({"error": str(error)}))
        sys.exit(1)
    print(json.dumps(report.to_json()) if as_json else report)
    if not report.clean:
        sys.exit(1)


@data_app.command
def tokenizer(data: Path, /, *, out: Path, merges: int = 1500) -> None:
    """Learn a tokenizer from a dataset's training captions, for models trained from scratch."""
    from tipr.data.bpe import BytePairs, learn_merges, write_merges
    from tipr.data.readers import read_dataset

    captions = [pair.caption for pair in read_dataset(data).train]
    learned = BytePairs(learn_merges(captions, merges))
    write_merges(out, learned.merges)
    print(f"{out}: {learned.size} pieces from {len(captions)} captions")
