"""What a report tells: curves, rank lists and probabilities against their definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from pages import FACTS, found, people, rows, section, tree, vectors

from tipr.data.pairs import Dataset
from tipr.embedder import Embedder
from tipr.evaluation.openset import held_out, open_set, searched
from tipr.evaluation.report import figures, plots, ranklists, write_report
from tipr.evaluation.report.contents import Direction, Estimate, contents
from tipr.evaluation.report.page import page
from tipr.evaluation.vectors import Vectors


def test_chance_is_that_of_a_gallery_in_random_order() -> None:
    matches = [1, 3, 8]
    none = {"R1": Estimate(0.0, 0.0, 0.0)}
    way = Direction(estimates=none, ranks=torch.tensor([1, 2, 9]), unmatched=0, gallery=10,
                    matches=torch.tensor(matches))  # fmt: skip
    for k in range(1, 11):
        truth = [1 - math.comb(10 - n, k) / math.comb(10, k) for n in matches]
        assert way.by_chance(k) == pytest.approx(sum(truth) / 3, abs=1e-12)
    assert [way.found(k) for k in (1, 2, 8, 9)] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])


def test_curves_are_of_every_query(tmp_path: Path) -> None:
    made = found(people(tmp_path, range(8)))
    told = {row[0]: row[1:] for row in figures.recall(made).rows}
    assert told["1"][0] == f"{100 * made.record.metrics.R1:.2f}"
    assert told["10"][1] == f"{100 * made.i2t.estimates['R10'].mean:.2f}"
    counts = [int(count) for _, count in figures.first_ranks(made).rows]
    ranks = made.record.ranks.tolist()
    assert counts == [sum(low < r <= high for r in ranks) for low, high in
                      pairwise([0, 1, 5, 10, 50, 100, 1000])] + [0]  # fmt: skip
    assert sum(counts) == 32
    for figure, name in ((figures.scores(made), "solid"), (figures.recall(made), "dashed")):
        line = next(p for p in tree(figure.svg).all("polyline") if p.attrs["class"] == name)
        places = [tuple(map(float, p.split(","))) for p in str(line.attrs["points"]).split()]
        assert places and all(64 <= x <= 616 and 40 <= y <= 300 for x, y in places)
        assert [x for x, _ in places] == sorted(x for x, _ in places)
    bins = plots.linear("score", -1.0, 1.0)
    steps = figures._steps(made.record.scores, bins)[1:-1]
    assert sum(height for _, height in steps) / 2 == pytest.approx(100)


def test_probabilities_are_fitted_on_validation(tmp_path: Path, dataset: Dataset) -> None:
    val, test = vectors(dataset.val), vectors(dataset.test)
    made = contents(test, dataset.test, FACTS, validation=val)
    truth = open_set(searched(test, held_out(test.shown)), searched(val, held_out(val.shown)))
    assert made.open_set == truth and truth.calibration is not None
    told = section(page(made), "open")
    assert f"AUROC {100 * truth.auroc:.2f} %" in told.text
    assert f"ECE {100 * truth.calibration.ece:.2f} %" in told.text
    seen = rows(told)
    assert [seen["10"][0], seen["10"][2]] == [
        f"{100 * truth.detections[2].false_alarms:.2f}", f"{100 * truth.detections[2].rate:.2f}",
    ]  # fmt: skip
    marks = [c for f in told.all("figure") for c in f.all("circle")]
    assert len(marks) == len(truth.calibration.bins) + 1  # and one in the legend
    asked = [d.asked for d in made.detections]
    assert asked == sorted(asked) and asked[0] == pytest.approx(1 / truth.absent, rel=1e-6)


def test_nothing_is_fitted_on_what_is_measured(
    tmp_path: Path, embedder: Embedder, dataset: Dataset
) -> None:
    lone = replace(dataset, val=dataset.val[:4])
    for data, split in ((dataset, "val"), (replace(dataset, val=()), "test"), (lone, "test")):
        record = write_report(tmp_path / "r.html", embedder, data, split)
        told = section((tmp_path / "r.html").read_text(), "open").text
        assert "No calibration" in told and "ECE" not in told
        assert "calibrated on" not in record.facts
    carved = write_report(tmp_path / "r.html", embedder, replace(dataset, carved_val=True))
    assert carved.facts["calibrated on"] == "val (24 captions, taken from train)"


def test_who_is_nowhere_found_is_said_with_the_list(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(8))
    made = vectors(pairs)
    asked = torch.where(made.asked < 6, 70 + made.asked, made.asked)
    pairs = tuple(replace(p, person_id=int(i)) for p, i in zip(pairs, asked, strict=True))
    found = contents(replace(made, asked=asked), pairs, FACTS)
    lost = [one for one in found.lists["drawn"] if one.rank == 0]
    assert lost and page(found).count("no picture of them is in the gallery") == len(lost)


def test_rank_lists_are_in_the_order_of_the_scores(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(30))
    made = contents(vectors(pairs, 2.0), pairs, FACTS)
    places = {p.caption: n for n, p in enumerate(pairs)}
    lists = [one for chosen in made.lists.values() for one in chosen]
    assert len(lists) == 18
    for one in lists:
        query = places[one.caption]
        assert one.rank == made.record.ranks[query]
        far = [one.rank] if one.rank > 10 else []
        assert [hit.rank for hit in one.hits] == [*range(1, 11), *far]
        assert [h.score for h in one.hits] == sorted((h.score for h in one.hits), reverse=True)
        first = next(hit for hit in one.hits if hit.right)
        assert first.rank == one.rank and first.person == one.person
        assert first.score == pytest.approx(made.record.scores[query].item())
        assert all(hit.right == (hit.person == one.person) for hit in one.hits)
        assert all(hit.picture.name.startswith(f"{hit.person}_") for hit in one.hits)
    ranks = [one.rank for one in made.lists["worst"]]
    assert ranks == sorted(ranks, reverse=True) and ranks[0] == made.record.ranks.max()
    assert all(one.rank == 1 for one in made.lists["best"])
    leads = [one.hits[0].score - next(h.score for h in one.hits if not h.right)
             for one in made.lists["best"]]  # fmt: skip
    assert leads == sorted(leads, reverse=True)
    for kind in ("worst", "best"):
        assert len({one.person for one in made.lists[kind]}) == ranklists.COUNT


def test_equal_scores_are_listed_in_gallery_order(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(40))
    made = vectors(pairs)
    flat = contents(replace(made, images=made.images[:1].expand(80, 6)), pairs, FACTS)
    for one in (one for chosen in flat.lists.values() for one in chosen):
        assert [hit.picture for hit in one.hits[:10]] == [p.image for p in pairs[:20:2]]
        assert one.rank == 1 + 2 * int(one.person)
    assert [hit.rank for one in flat.lists["worst"] for hit in one.hits[10:]] == [
        79, 77, 75, 73, 71, 69,
    ]  # fmt: skip


def test_the_first_right_picture_is_added_from_rank_eleven() -> None:
    scores = torch.arange(20.0).flip(0)
    right = torch.arange(20) == 10
    assert [at for at, *_ in ranklists._hits(scores, 11, right)] == list(range(1, 12))
    assert [at for at, *_ in ranklists._hits(scores, 10, right)] == list(range(1, 11))
    assert [at for at, *_ in ranklists._hits(scores[:4], 2, right[:4])] == [1, 2, 3, 4]


def test_of_equal_ranks_the_lead_decides(tmp_path: Path) -> None:
    record = found(people(tmp_path, range(4))).record
    ranks = torch.tensor([3] * 8 + [1] * 8)
    leads = torch.arange(16) / 16
    record = replace(record, ranks=ranks, scores=leads, others=torch.zeros(16))
    assert ranklists.choice(record)["worst"] == [0, 4, 8, 12]
    assert ranklists.choice(record)["best"] == [15, 11, 7, 3]


def test_the_same_queries_are_chosen_whatever_their_order(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(10))
    made = vectors(pairs)
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(3))
    turned = Vectors(made.texts[order], made.images, made.asked[order], made.shown)
    shuffled = tuple(pairs[i] for i in order.tolist())
    gallery = list({p.image_id: p for p in shuffled}.values())
    ids = torch.tensor([p.image_id for p in gallery])
    turned = replace(turned, images=made.images[ids], shown=made.shown[ids])
    one, other = (contents(v, p, FACTS) for v, p in ((made, pairs), (turned, shuffled)))
    for kind, chosen in one.lists.items():
        assert [c.caption for c in chosen] == [c.caption for c in other.lists[kind]]


def test_axes_have_ticks_within_them_and_places_along_them() -> None:
    for low, high in ((0.1, 0.93), (-2.0, 7.0), (0.0, 1e-5), (3.0, 3.0)):
        axis = plots.linear("x", low, high)
        assert 3 <= len(axis.ticks) <= 8 or low == high
        assert all(-1e-6 <= axis.share(tick) <= 1 + 1e-6 for tick in axis.ticks)
    axis = plots.logarithmic("k", 1, 1000)
    assert axis.ticks == (1, 10, 100, 1000)
    assert [axis.share(k) for k in (1, 10, 1000)] == pytest.approx([0, 1 / 3, 1])
    assert plots.logarithmic("k", 1, 1).high == 10
    drawn = tree(plots.bar("t", 0.5, 0.25, 1.0, 0.75)).all("svg")[0]
    fill = next(r for r in drawn.all("rect") if r.attrs["class"] == "fill")
    mark = next(r for r in drawn.all("line") if r.attrs["class"] == "mark")
    assert (fill.attrs["width"], mark.attrs["x1"]) == ("60", "90")


def test_the_vectors_are_made_once(
    tmp_path: Path, embedder: Embedder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = [], embedder.embed_texts
    monkeypatch.setattr(
        embedder, "embed_texts", lambda texts: calls.append(len(texts)) or real(texts)
    )
    write_report(tmp_path / "r.html", embedder, dataset)
    assert sorted(calls) == [24, 32]
