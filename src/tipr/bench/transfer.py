"""Models on datasets that they were not trained on: a matrix, and what makes it less than fair.

Some sets are cut from the same photographs, and then a high number is no transfer. So the table
marks where a model is at home, and says which sets share a source and which tested pictures were,
byte for byte, among those that a model was trained on or chosen by.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tipr.bench.pages import escaped, folder_name
from tipr.data.pairs import Dataset, Pair
from tipr.data.readers import DatasetError, read_dataset
from tipr.data.shards import ShardError, index, member_bytes, shard_of
from tipr.embedder import Embedder
from tipr.evaluation.bootstrap import bootstrapped, people_scored
from tipr.evaluation.experiment import settings_of
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.naming import split_digests
from tipr.evaluation.records import Record, record, write_record

LEVEL = 0.95
SHOWN = {"R1": "R@1", "mAP": "mAP"}
SOURCES = {  # what published sets were cut from, by their layout
    "CUHK-PEDES": ("CUHK03", "Market-1501", "SSM", "VIPeR", "CUHK01"),
    "ICFG-PEDES": ("MSMT17",),
    "RSTPReid": ("MSMT17",),
}


@dataclass(frozen=True, eq=False)
class Target:
    """A split that models are measured on."""

    name: str
    root: Path
    dataset: Dataset
    split: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class Home:
    """What a model was trained on; the dataset is None where it cannot be read any more."""

    root: Path
    dataset: Dataset | None

    @property
    def pictures(self) -> set[Path]:
        """Those that it learned from, and those that it was chosen by."""
        seen = (*self.dataset.train, *self.dataset.val) if self.dataset else ()
        return {pair.image for pair in seen}


@dataclass(frozen=True)
class Overlap:
    """What a target has in common with a home."""

    same: bool  # the dataset
    sources: tuple[str, ...] = ()  # that both were cut from
    pictures: int = 0  # of the tested ones, that are in both
    people: int = 0  # whom these show


def targets(data: Sequence[Path], split: str = "test") -> list[Target]:
    """The split of each dataset, named by its folder, or by its whole path where two have one name.

    Raises:
        ValueError: a dataset is given twice, cannot be read, or has no such pairs.
    """
    if len({root.resolve() for root in data}) < max(len(data), 1):
        raise ValueError("give at least one dataset, and each once")
    found = []
    for root in data:
        dataset = read_dataset(root)
        if not (pairs := dataset.split(split)):
            raise ValueError(f"{root} has no {split} pairs to measure on")
        found.append(Target(dataset.name, root, dataset, split, pairs))
    names = [target.name for target in found]
    if len(set(names)) == len(names):
        return found
    return [Target(str(t.root), t.root, t.dataset, t.split, t.pairs) for t in found]


def transfer(
    models: Sequence[str],
    tested: Sequence[Target],
    *,
    device: str = "auto",
    save: Path | None = None,
    made_with: Mapping[str, Any] | None = None,
    announce: Callable[[str], None] = lambda told: None,
) -> dict[str, Any]:
    """Measures every model on every target, once; ready for JSON, scores are fractions.

    With `save` the evaluations are kept as DATASET/MODEL below it, for `tipr compare`.

    Raises:
        ValueError: a model is given twice or is not there.
    """
    folders = [folder_name(model) for model in models]
    if len(set(folders)) < max(len(folders), 1):
        raise ValueError("give at least one model, and each once")
    home, overlap, rows = cache(_home), cache(_overlap), []
    for model, folder in zip(models, folders, strict=True):
        embedder = Embedder.load(model, device)
        homes, cells = [home(root) for root in training_roots(embedder.source)], []
        for target in tested:
            announce(f"{model} on {target.name}")
            measured = record(
                embedder, target.pairs, data=str(target.root), split=target.split,
                person=target.dataset.person, made_with=made_with,
            )  # fmt: skip
            if save is not None:
                write_record(measured, save / folder_name(target.name) / folder)
            cells.append(_cell(target, measured, [(h, overlap(h, target)) for h in homes]))
        rows.append({"model": model, "trained_on": [str(h.root) for h in homes], "cells": cells,
                     "unread": [str(h.root) for h in homes if h.dataset is None]})  # fmt: skip
    return {
        **(made_with or {}),
        "level": LEVEL,
        "datasets": [_told(target) for target in tested],
        "models": rows,
        "warnings": [told for row in rows for told in _warnings(row)],
    }


def training_roots(model: str) -> list[Path]:
    """The datasets of the run that a model lies in, and of those that it started or learned from.

    Empty where no run tells.
    """
    roots: dict[Path, None] = {}
    waiting, seen = [model], set[str]()
    while waiting:
        run = waiting.pop()
        if not run or run in seen:
            continue
        seen.add(run)
        settings = settings_of(run)
        data, method = settings.get("data") or {}, settings.get("method") or {}
        if data.get("root"):
            roots[Path(data["root"])] = None
        waiting += [str(settings.get("init_from") or ""), str(method.get("richer") or "")]
    return list(roots)


def shared_pictures(seen: Iterable[Path], shown: Iterable[Path]) -> set[Path]:
    """Those of `shown` with the very bytes of one in `seen`; only those of one size are read."""
    by_size: dict[int, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for place, pictures in enumerate((seen, shown)):
        for picture in pictures:
            by_size[_size(picture)][place].append(picture)
    found = set[Path]()
    for size, (ours, theirs) in by_size.items():
        known = {_digest(picture) for picture in ours} if size >= 0 and theirs else set()
        found |= {picture for picture in theirs if known and _digest(picture) in known}
    return found


def table(facts: Mapping[str, Any]) -> str:
    """The matrix as a page, its legend and its warnings."""
    names = [dataset["name"] for dataset in facts["datasets"]]
    columns = [f"{escaped(name)}, {label}" for name in names for label in SHOWN.values()]
    lines = [f"| model | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for row in facts["models"]:
        cells = [_shown(cell, metric) for cell in row["cells"] for metric in SHOWN]
        lines.append(f"| {escaped(row['model'])} | {' | '.join(cells)} |")
    sizes = "; ".join(f"{d['name']} ({d['split']}): {d['queries']} captions, {d['gallery']} "
                      f"pictures, {d['people']} people" for d in facts["datasets"])  # fmt: skip
    told = (f"Text to image, per cent, with {100 * facts['level']:.0f} % intervals over people; "
            f"(own): the model was trained on that dataset. {sizes}.")  # fmt: skip
    return "\n".join([*lines, "", told, *([""] if facts["warnings"] else []),
                      *(f"- {warning}" for warning in facts["warnings"])])  # fmt: skip


def _home(root: Path) -> Home:
    try:
        return Home(root, read_dataset(root))
    except (DatasetError, OSError):
        return Home(root, None)


def _overlap(home: Home, target: Target) -> Overlap:
    if home.dataset is None:
        return Overlap(same=False)
    same = split_digests(home.dataset.train) == split_digests(target.dataset.train)
    sources = SOURCES.get(home.dataset.layout, ())
    both = [source for source in SOURCES.get(target.dataset.layout, ()) if source in sources]
    shared = shared_pictures(home.pictures, {pair.image for pair in target.pairs})
    people = {pair.person_id for pair in target.pairs if pair.image in shared}
    return Overlap(same, () if same else tuple(both), len(shared), len(people))


def _cell(
    target: Target, measured: Record, overlaps: Sequence[tuple[Home, Overlap]]
) -> dict[str, Any]:
    shared = [
        {"with": str(home.root), "sources": list(overlap.sources), "pictures": overlap.pictures,
         "people": overlap.people}
        for home, overlap in overlaps if overlap.sources or overlap.pictures
    ]  # fmt: skip
    own = any(overlap.same for _, overlap in overlaps)
    return {"dataset": target.name, "in_domain": own, "scores": _scores(measured),
            "shared": shared}  # fmt: skip


def _scores(measured: Record) -> dict[str, dict[str, float | None]]:
    """Means with their intervals; None where only one person was scored."""
    if people_scored(measured.values, measured.person_ids) < 2:
        means = measured.metrics.to_json()
        return {metric: {"mean": means[metric], "low": None, "high": None} for metric in SHOWN}
    found = bootstrapped(measured.values, measured.person_ids, level=LEVEL)
    spread = {"mean": found.mean, "low": found.low, "high": found.high}
    return {
        metric: {part: values[COLUMNS.index(metric)].item() for part, values in spread.items()}
        for metric in SHOWN
    }


def _told(target: Target) -> dict[str, Any]:
    return {
        "name": target.name, "data": str(target.root), "layout": target.dataset.layout,
        "split": target.split, "queries": len(target.pairs),
        "gallery": len({pair.image_id for pair in target.pairs}),
        "people": len({pair.person_id for pair in target.pairs}),
    }  # fmt: skip


def _warnings(row: Mapping[str, Any]) -> list[str]:
    model, told = row["model"], []
    if not row["trained_on"]:
        told.append(f"nothing beside {model} tells what it was trained on, so it has no mark and "
                    "shared pictures are not looked for")  # fmt: skip
    told += [f"{root}, which {model} was trained on, cannot be read from here, so shared pictures "
             "are not looked for" for root in row["unread"]]  # fmt: skip
    for cell in row["cells"]:
        for shared in cell["shared"]:
            trained = f"{shared['with']}, which {model} was trained on"
            if shared["sources"]:
                told.append(f"{cell['dataset']} and {trained}, are both cut from "
                            f"{', '.join(shared['sources'])}")  # fmt: skip
            if shared["pictures"]:
                told.append(f"{shared['pictures']} of the tested pictures of {cell['dataset']}, of "
                            f"{shared['people']} people, are in the training or validation split "
                            f"of {trained}")  # fmt: skip
    return told


def _size(picture: Path) -> int:
    """In bytes; -1 where there is no such picture."""
    try:
        shard = shard_of(picture)
        if shard is None:
            return picture.stat().st_size
        return index(shard)[picture.relative_to(shard).as_posix()].size
    except (OSError, ShardError, KeyError):
        return -1


def _digest(picture: Path) -> bytes:
    data = member_bytes(picture) if shard_of(picture) else picture.read_bytes()
    return hashlib.sha256(data).digest()


def _shown(cell: Mapping[str, Any], metric: str) -> str:
    mean, *ends = (cell["scores"][metric][part] for part in ("mean", "low", "high"))
    around = "" if None in ends else " ({:.1f}..{:.1f})".format(*(100 * end for end in ends))
    return f"{100 * mean:.1f}{around}{' (own)' if cell['in_domain'] else ''}"
