"""`tipr eval`: a model on a split, with intervals, and what it leaves behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tipr.cli.options import Device, Flag, Into, Json, LongTexts, Rerank, command, written

if TYPE_CHECKING:
    from tipr.data.pairs import Pair
    from tipr.embedder import Embedder
    from tipr.evaluation.breakdown import Group
    from tipr.evaluation.evaluate import Report
    from tipr.evaluation.metrics import RetrievalMetrics
    from tipr.evaluation.selection import Selection
    from tipr.evaluation.vectors import Cameras, Vectors

METRICS = ("R1", "R5", "R10", "mAP", "mINP")
Interval = dict[str, tuple[float, float]]  # of each metric, in fractions


def eval_(  # noqa: PLR0913 - one parameter for each flag
    model: str,
    *,
    data: Path,
    split: Literal["train", "val", "test"] = "test",
    cameras: Literal["all", "other"] = "all",
    breakdown: Flag = False,
    rerank: Rerank = 0,
    long_texts: LongTexts = "cut",
    save: Path | None = None,
    report: Path | None = None,
    pictures: bool = True,
    into: Into = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a model on a split of a dataset, text-to-image and image-to-text.

    Of a run's folder this is the model that was best on validation; the last one is told beside it.

    Parameters
    ----------
    model
        A run or bundle folder, or the name of a shipped model.
    data
        The dataset's folder.
    split
        Which split; models are selected on val and reported on test.
    cameras
        `other` leaves out what a query's own camera saw of its person; `all` is the field's way.
    breakdown
        Score groups of queries too (colour, clothes, negation, length, camera, ...), and how far
        probabilities are from what happens.
    save
        A folder to keep the evaluation in, for `tipr compare`.
    report
        An HTML file to write: tables, curves, and rank lists with pictures of people.
    pictures
        Whether the report shows them.
    """
    from tipr.bench.machine import commit, machine
    from tipr.data.readers import read_dataset
    from tipr.embedder import Embedder
    from tipr.evaluation.bootstrap import caveat, people_scored
    from tipr.evaluation.evaluate import reported, unread
    from tipr.evaluation.records import model_facts, recorded, write_record
    from tipr.evaluation.vectors import embedded, validation

    if report and cameras != "all":
        raise ValueError("--report tells of the field's way; leave --cameras at all")
    chosen = _selection(model, data, split, cameras)
    embedder = Embedder.load(model, device, long_texts)
    dataset = read_dataset(data)
    pairs = dataset.split(split)
    again = _reranked(embedder, pairs, rerank)
    vectors = embedded(embedder, pairs, cameras)
    found, lost = reported(vectors), unread(embedder, pairs)
    made_with = {"commit": commit(), "command": command(), **machine(embedder.device)}
    facts = {**model_facts(embedder), "data": str(data), "split": split, **made_with}
    record = recorded(vectors, pairs, facts, dataset.person)
    probable = cameras == "all" and (breakdown or report is not None)
    fitted_on = validation(embedder, dataset, split) if probable else None
    selected = _selected(chosen, model, embedder, pairs, cameras)
    if save is not None:
        write_record(record, save)
    if report is not None:
        from tipr.evaluation.report import report_of

        report_of(report, dataset, vectors, facts,
                  fitted_on=fitted_on, cut=lost, selected=selected,
                  pictures=pictures)  # fmt: skip
    told = {
        **facts, "cameras": cameras, **found.to_json(), **again,
        "intervals": _intervals(vectors),
        "unread_captions": lost.count,
        "open_set": _open_set(vectors, fitted_on),
        "selection": selected,
        "caveat": caveat(people_scored(record.values, record.person_ids)),
    }  # fmt: skip
    groups: list[Group] = []
    if breakdown:
        from tipr.evaluation.breakdown import broken_down

        groups = broken_down(record, vectors, pairs, dataset.person)
        told["breakdown"] = [group.to_json() for group in groups]
    written(_markdown(found, told), into)
    if as_json:
        print(json.dumps(told))
        return
    if lost.count:
        print(lost.told, file=sys.stderr)
    _print(found, told, groups)


def _reranked(embedder: Embedder, pairs: Sequence[Pair], depth: int) -> dict[str, Any]:
    if not depth:
        return {}
    from tipr.evaluation.reranking import PairwiseReranker, evaluate_reranked

    reranker = PairwiseReranker.beside(embedder)
    found = evaluate_reranked(reranker, pairs, depth)
    return {"t2i_reranked": {"depth": depth, "blend": reranker.blend, **found.to_json()}}


def _intervals(vectors: Vectors) -> dict[str, Interval]:
    """95 of 100 draws of people lie within; none where fewer than two people were scored."""
    from tipr.evaluation.bootstrap import bootstrapped, people_scored
    from tipr.evaluation.metrics import COLUMNS

    found = {}
    for task, scores, people in (("t2i", vectors.t2i(), vectors.asked),
                                 ("i2t", vectors.i2t(), vectors.shown)):  # fmt: skip
        if people_scored(scores.values, people) > 1:
            spread = bootstrapped(scores.values, people)
            ends = zip(spread.low.tolist(), spread.high.tolist(), strict=True)
            found[task] = dict(zip(COLUMNS, ends, strict=True))
    return found


def _open_set(vectors: Vectors, fitted_on: Vectors | None) -> dict[str, Any] | None:
    """None where cameras count: it would be of all cameras; or of too few people."""
    from tipr.evaluation.openset import held_out, open_set, searched

    if vectors.asked_by is not None or len(vectors.shown.unique()) < 2:
        return None
    test, fitting = (
        None if side is None else searched(side, held_out(side.shown))
        for side in (vectors, fitted_on)
    )
    return None if test is None else open_set(test, fitting).to_json()


def _selection(model: str, data: Path, split: str, cameras: Cameras) -> Selection | None:
    """What a run's log says; of test only where that is what is measured here."""
    from tipr.evaluation.experiment import trained_on
    from tipr.evaluation.selection import selection

    found, root = selection(Path(model)), trained_on(Path(model))
    own = root is not None and root.resolve() == data.resolve()
    if found is None or (own and split == "test" and cameras == "all"):
        return found
    return replace(found, best_on_test=None, test={})


def _selected(
    chosen: Selection | None, model: str, embedder: Embedder, pairs: Sequence[Pair],
    cameras: Cameras,
) -> dict[str, Any] | None:  # fmt: skip
    """Of a run: which epoch was chosen, the last model's scores, and the best that test had."""
    from tipr.evaluation.evaluate import evaluate
    from tipr.evaluation.selection import LAST

    if chosen is None:
        return None
    last = type(embedder).load(
        str(Path(model) / LAST), str(embedder.device), embedder.long_texts
    )  # fmt: skip
    return {**chosen.to_json(), "last_t2i": evaluate(last, pairs, cameras).t2i.to_json()}


def _print(found: Report, told: Mapping[str, Any], groups: Sequence[Group]) -> None:
    from tipr.evaluation.metrics import RetrievalMetrics

    rows = {"t2i": found.t2i}
    if again := told.get("t2i_reranked"):
        names = RetrievalMetrics.__dataclass_fields__
        rows[f"t2i rerank@{again['depth']}"] = RetrievalMetrics(
            **{name: value for name, value in again.items() if name in names}
        )
    _print_metrics({**rows, "i2t": found.i2t}, told["intervals"])
    print(f"{found.persons} people; a guess has R1 {100 * found.chance:.2f}")
    if told["caveat"]:
        print(told["caveat"])
    if opened := told["open_set"]:
        rates = ", ".join(
            f"{100 * each['rate']:.1f} % at {100 * each['asked']:g} %"
            for each in opened["detections"]
        )
        print(f"a fifth of the people absent: found and told at false-alarm rates {rates}; "
              f"AUROC {opened['auroc']:.3f}")  # fmt: skip
        if known := opened["calibration"]:
            print(f"probabilities of the first hit, fitted on validation, are off by "
                  f"{100 * known['ece']:.1f} % on average (ECE)")  # fmt: skip
    if told["selection"]:
        _print_selection(told["selection"])
    _print_groups(groups)


def _markdown(found: Report, told: Mapping[str, Any]) -> str:
    """The row of a results page, with all that is needed to make it again."""
    lines = ["| task | R@1 | R@5 | R@10 | mAP | mINP | queries | gallery |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for task, name in (("t2i", "text to image"), ("i2t", "image to text")):
        ends, scores = told["intervals"].get(task, {}), told[task]
        cells = [f"{100 * scores[metric]:.2f}{_range(ends.get(metric))}" for metric in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} | {scores['queries']:,} | "
                     f"{scores['gallery']:,} |")  # fmt: skip
    seed = f", seed {told['seed']}" if told.get("seed") is not None else ""
    lost = f", {found.t2i.unmatched:,} captions without a match" if found.t2i.unmatched else ""
    caveat = f" {told['caveat']}" if told["caveat"] else ""
    lines += ["", f"Split {told['split']}, cameras {told['cameras']}{lost}: {found.persons:,} "
              f"people, a guess has R@1 {100 * found.chance:.2f}; in brackets 95 of 100 draws of "
              f"people.{caveat} Model {told['fingerprint']}{seed} by "
              f"{told['runtime']}; {told['hardware']}, torch {told['torch']}."]  # fmt: skip
    return "\n".join(lines)


def _range(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" ({100 * ends[0]:.1f}..{100 * ends[1]:.1f})"


def _print_metrics(
    rows: Mapping[str, RetrievalMetrics], intervals: Mapping[str, Interval]
) -> None:  # fmt: skip
    wide = max(6, *(len(task) + 1 for task in rows))
    print(f"{'task':<{wide}}{'R1':>8}{'R5':>8}{'R10':>8}{'mAP':>8}{'mINP':>8}  queries  gallery")
    for task, m in rows.items():
        scores = "".join(f"{100 * v:8.2f}" for v in (m.R1, m.R5, m.R10, m.mAP, m.mINP))
        print(f"{task:<{wide}}{scores}{m.queries:9d}{m.gallery:9d}")
        for side, word in enumerate(("from", "to")):
            if ends := intervals.get(task):
                print(f"{word:>{wide}}" + "".join(f"{100 * e[side]:8.2f}" for e in ends.values()))
        if m.unmatched:
            print(f"      {m.unmatched} queries show nobody of the gallery and are left out")
    print(
        "from, to: 95 of 100 draws of people"
        if intervals
        else "one person was scored: no intervals"
    )


def _print_selection(chosen: Mapping[str, Any]) -> None:
    print(f"above: epoch {chosen['best_on_val']}, the best on validation")
    print(f"epoch {chosen['last']}, the last: {_r1_and_map(chosen['last_t2i'])}")
    if chosen["best_on_test"] is not None:
        best = chosen["test"][chosen["best_on_test"]]
        print(f"epoch {chosen['best_on_test']}, chosen on test and so no result: "
              f"{_r1_and_map(best)}")  # fmt: skip


def _r1_and_map(scores: Mapping[str, float]) -> str:
    return f"R1 {100 * scores['R1']:.2f}  mAP {100 * scores['mAP']:.2f}"


def _print_groups(groups: Sequence[Group]) -> None:
    wide = max((len(group.name) for group in groups), default=0)
    before = ""
    for group in groups:
        if group.by != before:
            print(f"\n{group.by}")
            before = group.by
        first = next(iter((group.scores or {}).items()), None)
        if first is None:
            scores = "too few people"
        else:
            name, s = first
            ends = f"{100 * s['low']:.1f} to {100 * s['high']:.1f}"
            scores = f"{name} {100 * s['mean']:6.2f}  ({ends})"
        print(f"  {group.name:<{wide}}  {group.queries:6d} of {group.people:5d} people  {scores}")
