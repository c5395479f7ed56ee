"""An evaluation on disk: how each query of a split fared, and what it was made with.

    evaluation.json     facts, and the name of the file of arrays
    queries-DIGEST.npz  one row for each query

The arrays are written first and the facts replace their predecessor in one step, so a folder holds
the earlier evaluation or the new one, whole, at every moment.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from tipr.data.pairs import Pair
from tipr.data.whole import put
from tipr.embedder import Embedder
from tipr.evaluation.experiment import experiment_facts
from tipr.evaluation.metrics import COLUMNS, RetrievalMetrics, Scores, averaged
from tipr.evaluation.naming import digest, query_keys, split_digests
from tipr.evaluation.vectors import Vectors, embedded

FORMAT = 1
FACTS = "evaluation.json"
_KINDS = {"keys": "U", "captions": "U", "people": "U", "person_ids": "i", "values": "f",
          "ranks": "i", "scores": "f", "others": "f"}  # fmt: skip


class RecordError(ValueError):
    """A folder that holds no evaluation, or one that is damaged; the message says which file."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One model on one split. Row q of everything is the same query."""

    facts: dict[str, Any]
    keys: tuple[str, ...]  # name a query: its person, its picture and its caption
    captions: tuple[str, ...]  # digests of the texts
    people: tuple[str, ...]  # ids as the annotation has them
    person_ids: Int64[Tensor, " Q"]
    values: Float64[Tensor, "Q M"]  # the metrics of `facts["columns"]`
    ranks: Int64[Tensor, " Q"]  # of the first picture of the person, from 1; 0 is none
    scores: Float32[Tensor, " Q"]  # of that picture; NaN where there is none
    others: Float32[Tensor, " Q"]  # of the best picture of anybody else; NaN where there is none

    @property
    def metrics(self) -> RetrievalMetrics:
        return averaged(self.values, self.facts["gallery"])


def record(
    embedder: Embedder,
    pairs: Sequence[Pair],
    *,
    data: str = "",
    split: str = "",
    person: Callable[[int], str] = str,
    made_with: Mapping[str, Any] | None = None,
) -> Record:
    """Evaluates a split and keeps how every query fared.

    `person` gives the id as the annotation has it (`Dataset.person`); `made_with` are further
    facts, as commit, hardware, torch and command.

    Raises:
        ValueError: the split is empty.
    """
    facts = {**model_facts(embedder), "data": data, "split": split, **(made_with or {})}
    return recorded(embedded(embedder, pairs), pairs, facts, person)


def model_facts(embedder: Embedder) -> dict[str, Any]:
    """What is evaluated, and when."""
    return {
        "model": embedder.source,
        "fingerprint": embedder.fingerprint,
        "runtime": embedder.runtime.name,
        **experiment_facts(embedder.source),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def recorded(
    vectors: Vectors,
    pairs: Sequence[Pair],
    facts: Mapping[str, Any],
    person: Callable[[int], str] = str,
) -> Record:
    """How every query of a split fared whose vectors are there already."""
    people = tuple(person(pair.person_id) for pair in pairs)
    fared = vectors.fared()
    cameras = "all" if vectors.asked_by is None else "other"
    return Record(
        facts={
            **facts,
            "cameras": cameras,
            "queries": len(pairs),
            "gallery": len(vectors.shown),
            "people": len(set(people)),
            "columns": list(COLUMNS),
            "digests": {**split_digests(pairs, person), "cameras": cameras},
            "metrics": _metrics(fared.scores, len(vectors.shown)),
        },
        keys=query_keys(pairs, person),
        captions=tuple(digest(pair.caption) for pair in pairs),
        people=people,
        person_ids=vectors.asked,
        values=fared.scores.values,
        ranks=fared.ranks,
        scores=fared.own,
        others=fared.others,
    )


def aligned(
    record: Record, pairs: Sequence[Pair], person: Callable[[int], str] = str
) -> list[Pair]:  # fmt: skip
    """The pairs in the order of the record's queries.

    Raises:
        ValueError: they are not those that were evaluated.
    """
    keys = query_keys(pairs, person)
    if sorted(keys) != sorted(record.keys):
        raise ValueError(
            f"these {len(pairs)} pairs are not the {len(record.keys)} queries of the evaluation "
            f"({record.facts.get('data')}, {record.facts.get('split')}); give the split it was "
            "made on, or evaluate again"
        )
    places = sorted(range(len(keys)), key=keys.__getitem__)
    asked = sorted(range(len(keys)), key=record.keys.__getitem__)
    found = dict(zip(asked, places, strict=True))
    return [pairs[found[query]] for query in range(len(keys))]


def write_record(record: Record, folder: Path | str) -> Path:
    """Writes an evaluation into a folder, in place of one that is there; its file of facts.

    Raises:
        OSError: it could not be written; an evaluation that was there is intact.
    """
    folder = Path(folder)
    arrays = _packed(record)
    name = f"queries-{hashlib.sha256(arrays).hexdigest()[:16]}.npz"
    facts = {"format": FORMAT, "arrays": name, **record.facts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = _arrays_before(folder)
        put(folder / name, arrays)
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        put(folder / FACTS, text.encode())
    except OSError as error:
        raise OSError(f"the evaluation could not be written to {folder} ({error}); free some disk "
                      "space or choose another folder") from error  # fmt: skip
    if before is not None and before != name:
        (folder / before).unlink(missing_ok=True)
    return folder / FACTS


def read_record(folder: Path | str) -> Record:
    """An evaluation that `write_record` wrote.

    Raises:
        RecordError: none is there, or it is damaged or of another version.
    """
    folder = Path(folder)
    facts = _facts(folder / FACTS)
    file = folder / facts.pop("arrays")
    try:
        arrays = _unpacked(file)
        rows = {len(array) for array in arrays.values()}
        shape = arrays["values"].shape
        if rows != {facts["queries"]} or shape[1:] != (len(facts["columns"]),):
            raise ValueError(f"it has not one row for each of {facts['queries']} queries")
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise RecordError(f"{file} is damaged ({error}); evaluate again") from error
    text = {name: tuple(arrays[name].tolist()) for name in ("keys", "captions", "people")}
    return Record(
        facts=facts,
        **text,
        person_ids=torch.from_numpy(arrays["person_ids"].astype(np.int64)),
        values=torch.from_numpy(arrays["values"].astype(np.float64)),
        ranks=torch.from_numpy(arrays["ranks"].astype(np.int64)),
        scores=torch.from_numpy(arrays["scores"].astype(np.float32)),
        others=torch.from_numpy(arrays["others"].astype(np.float32)),
    )


def is_record(folder: Path) -> bool:
    return (folder / FACTS).is_file()


def _arrays_before(folder: Path) -> str | None:
    """The file of arrays of the evaluation that is there."""
    try:
        return str(_facts(folder / FACTS)["arrays"])
    except RecordError:
        return None


def _facts(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise RecordError(f"there is no evaluation in {file.parent}; `tipr eval MODEL --data DIR "
                          f"--save {file.parent}` writes one")  # fmt: skip
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        version = facts.pop("format")
        if version != FORMAT:
            raise RecordError(f"{file} has format {version}, this tipr reads {FORMAT}; evaluate "
                              "again")  # fmt: skip
        known = [(facts["arrays"], str), (facts["queries"], int), (facts["gallery"], int),
                 (facts["columns"], list), (facts["digests"], dict)]  # fmt: skip
        if not all(isinstance(value, kind) for value, kind in known):
            raise TypeError("a fact has another type")
        if Path(facts["arrays"]).name != facts["arrays"]:
            raise ValueError("its arrays are not beside it")
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{file} is damaged ({type(error).__name__}: {error}); evaluate "
                          "again") from error  # fmt: skip
    return facts


def _metrics(scores: Scores, gallery: int) -> dict[str, Any] | None:
    """The means, those that are not among the columns too; None where no query has a match."""
    return None if scores.values.isnan().all() else scores.averaged(gallery).to_json()


def _packed(record: Record) -> bytes:
    told: dict[str, Any] = {
        name: np.array(getattr(record, name)) for name in ("keys", "captions", "people")
    }
    names = ("person_ids", "values", "ranks", "scores", "others")
    told |= {name: getattr(record, name).numpy() for name in names}
    file = io.BytesIO()
    np.savez_compressed(file, **told)
    return file.getvalue()


def _unpacked(file: Path) -> dict[str, np.ndarray]:
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest()[:16] not in file.name:
        raise ValueError("its contents are not those that were written")
    with np.load(io.BytesIO(data), allow_pickle=False) as opened:
        arrays = {name: opened[name] for name in _KINDS}
    for name, kind in _KINDS.items():
        if arrays[name].dtype.kind != kind or arrays[name].ndim != 1 + (name == "values"):
            raise ValueError(f"{name} is of another kind")
    return arrays
