"""`tipr export`: a model for CPUs, and what that costs in accuracy."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from tipr.cli.options import Flag, Into, Json, Out, told

if TYPE_CHECKING:
    from tipr.embedder import Embedder
    from tipr.evaluation.exported import Judged, Sample

_MOST = 256  # pictures to calibrate with, and as many to judge with
_PAIRS = 20_000  # captions of a split that is judged by

Precision = Literal["fp32", "fp16", "int8"]
Engine = Literal["openvino", "onnxruntime"]


def export(  # noqa: PLR0913 - one parameter for each flag
    model: str = "shipped:small",
    *,
    out: Out,
    crops: Path | None = None,
    data: Path | None = None,
    precision: Annotated[list[Precision] | None, Parameter(negative=())] = None,
    engine: Annotated[list[Engine] | None, Parameter(negative=())] = None,
    most_lost: float = 0.5,
    force: Flag = False,
    into: Into = None,
    as_json: Json = False,
) -> None:
    """Make a model quicker on CPUs: graphs for OpenVINO and ONNX Runtime in 32, 16 and 8 bits.

    OUT is the whole model with its graphs; wherever it is loaded, the quickest that the machine has
    computes the vectors. Each is judged beside PyTorch first, and left out if it loses too much.

    Parameters
    ----------
    model
        A run or bundle folder, or the name of a shipped model.
    crops
        A folder of your own crops; 8 bits are calibrated on half of a sample, the rest judges.
    data
        A dataset's folder; its val split tells what is lost in R@1 and mAP.
    precision
        fp32, fp16 or int8, repeatable; all unless given.
    engine
        openvino or onnxruntime, repeatable; all that are installed unless given.
    most_lost
        Points of R@1 or mAP that may be lost, with --data; vectors may turn a little either way.
    force
        Keep what loses more.
    """
    from tipr.embedder import Embedder
    from tipr.evaluation.exported import Wanted
    from tipr.evaluation.exported import export as exported

    if crops is None and data is None:
        raise ValueError("name a folder of your own crops with --crops, or a dataset with --data: "
                         "what is exported is calibrated and judged on them")  # fmt: skip
    usual = Wanted()
    wanted = Wanted(
        precisions=tuple(precision or usual.precisions), engines=tuple(engine or ()),
        most_lost=most_lost, force=force,
    )  # fmt: skip
    embedder = Embedder.load(model, "cpu", runtime="pytorch")
    judged = exported(embedder, out, wanted, _sample(embedder, crops, data), _announce)
    ways = [asdict(one) for one in judged]
    facts = {"model": str(out), "of": embedder.fingerprint, "ways": ways}
    told(_table(judged), into, facts if as_json else None)
    if not as_json:
        first = Embedder.load(out, "cpu").runtime.name
        print(f"\n{out}: {first} computes the vectors on this machine")


def _sample(embedder: Embedder, crops: Path | None, data: Path | None) -> Sample:
    from tipr.data.images import image_files
    from tipr.data.readers import read_dataset
    from tipr.evaluation.exported import Sample, readable
    from tipr.gallery.probes import probes

    draw, pairs = random.Random(0), []
    texts = probes()[1]
    if data is not None:
        dataset = read_dataset(data)
        pairs = list(dataset.split("val"))
        if len(pairs) > _PAIRS:
            people = sorted({pair.person_id for pair in pairs})
            kept = set(draw.sample(people, len(people) * _PAIRS // len(pairs)))
            pairs = [pair for pair in pairs if pair.person_id in kept]
        captions = list(dict.fromkeys(pair.caption for pair in dataset.train))
        texts = draw.sample(captions, min(len(captions), 2 * _MOST))
    images = [] if crops is not None else dict.fromkeys(pair.image for pair in dataset.train)
    found = image_files(crops) if crops is not None else list(images)
    draw.shuffle(found)
    pictures = readable(embedder, found, 2 * _MOST)
    halves = (len(pictures) + 1) // 2, (len(texts) + 1) // 2
    return Sample(
        calibrating=(pictures[: halves[0]], texts[: halves[1]]),
        judging=(pictures[halves[0] :], texts[halves[1] :]), pairs=pairs,
    )  # fmt: skip


def _table(judged: Sequence[Judged]) -> str:
    head = ["engine", "pictures", "one sentence", "cosine of pictures (least)",
            "of sentences (least)", "nearest 10 that stay", "R@1 lost", "mAP lost", ""]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for one in judged:
        turned = [f"{mean:.4f} ({least:.4f})" for mean, least in one.cosines.values()]
        lost = [_points(one, metric) for metric in ("R1", "mAP")]
        quick = [f"{one.pictures:.2f}x", f"{one.sentence:.2f}x"]
        lines.append([f"{one.engine} {one.precision}", *quick, *turned, f"{one.nearest:.1%}", *lost,
                      "left out" if one.refused else ""])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _points(one: Judged, metric: str) -> str:
    lost = one.lost.get(metric)
    return f"{lost.mean:.2f} ({lost.low:.2f}..{lost.high:.2f})" if lost else ""


def _announce(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr)
