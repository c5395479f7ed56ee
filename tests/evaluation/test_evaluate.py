from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from references.metrics import averaged, scored, walked

from tipr.data.pairs import Pair
from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.evaluation import ranks
from tipr.evaluation.evaluate import evaluate, queries

NAMES = ("R1", "R5", "R10", "mAP", "mINP", "mAP_trapezoid", "R_precision")
Planned = Callable[[Sequence[Sequence[float]], Sequence[Sequence[float]]], Embedder]


def pair(image: int, person: int, camera: str = "") -> Pair:
    return Pair(Path(f"{image}.png"), "a caption", person, image, camera=camera)


@pytest.fixture
def planned(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """An embedder that gives these vectors to the pictures and to the captions."""

    def plan(images: Sequence[Sequence[float]], texts: Sequence[Sequence[float]]) -> Embedder:
        for name, rows in (("embed_images", images), ("embed_texts", texts)):
            rows = np.array(rows, np.float32)
            monkeypatch.setattr(embedder, name, lambda given, rows=rows: rows[: len(given)])
        return embedder

    return plan


# two people; picture 0 has two captions
FOUR = [pair(0, 1), pair(0, 1), pair(1, 1), pair(2, 2)]


def test_both_directions_of_a_split_worked_by_hand(planned) -> None:
    # the pictures are axes, so a caption's vector is its scores of pictures 0, 1 and 2
    axes = np.eye(3).tolist()
    captions = [[0.9, 0.5, 0.1], [0.2, 0.1, 0.8], [0.3, 0.6, 0.7], [0.1, 0.4, 0.2]]
    report = evaluate(planned(axes, captions), FOUR)
    # caption by caption the matches stand at 1, 2; at 2, 3; at 2, 3; at 2
    t2i = [1, (1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, 1 / 2]
    assert (report.t2i.R1, report.t2i.mAP) == pytest.approx((1 / 4, sum(t2i) / 4))
    assert report.t2i.R_precision == pytest.approx((2 / 2 + 1 / 2 + 1 / 2 + 0) / 4)
    assert (report.t2i.queries, report.t2i.gallery) == (4, 3)
    # a picture's scores are a column: 0.9 0.2 0.3 0.1, then 0.5 0.1 0.6 0.4, then 0.1 0.8 0.7 0.2
    # person 1's captions stand at 1, 2, 3; at 1, 2, 4; and person 2's at 3
    i2t = [1, (1 + 1 + 3 / 4) / 3, 1 / 3]
    assert (report.i2t.R1, report.i2t.mAP) == pytest.approx((2 / 3, sum(i2t) / 3))
    assert report.i2t.mINP == pytest.approx((3 / 3 + 3 / 4 + 1 / 3) / 3)
    assert (report.i2t.queries, report.i2t.gallery, report.persons) == (3, 4, 2)


def test_another_camera_has_to_find_the_person(planned) -> None:
    pairs = [pair(0, 1, "a"), pair(1, 1, "b"), pair(2, 2, "a"), pair(3, 2)]
    last_two = [0.9, 0.8, 0.6, 0.1]
    captions = [[0.9, 0.1, 0.5, 0.3], [0.4, 0.9, 0.1, 0.2], last_two, last_two]
    model = planned(np.eye(4).tolist(), captions)
    # 0: picture 0 is out, so 1 is third of three; 1: picture 1 is out, so 0 is first;
    # 2: picture 2 is out, picture 3 has no camera and stays: third of three;
    # 3: its own camera is not known, so nothing is out: third and fourth of four
    other = evaluate(model, pairs, cameras="other").t2i
    assert other.mAP == pytest.approx((1 / 3 + 1 + 1 / 3 + (1 / 3 + 2 / 4) / 2) / 4)
    # all: 1 and 4; 1 and 2; 3 and 4; 3 and 4
    whole = (1 + 2 / 4) / 2 + 1 + (1 / 3 + 2 / 4) / 2 * 2
    assert evaluate(model, pairs).t2i.mAP == pytest.approx(whole / 4)
    assert (other.queries, other.gallery, other.unmatched) == (4, 4, 0)
    # the other way round the captions of the picture's own camera are out: columns 0.9 .4 .9 .9,
    # .1 .9 .8 .8, .5 .1 .6 .6 and .3 .2 .1 .1; matches 1 (third of three), 0 (third of three),
    # 3 (first of three) and, of no camera, 2 and 3 (third and fourth)
    back = evaluate(model, pairs, cameras="other").i2t
    assert back.mAP == pytest.approx((1 / 3 + 1 / 3 + 1 + (1 / 3 + 2 / 4) / 2) / 4)


def test_a_person_of_one_camera_is_unmatched_and_the_row_says_so(planned) -> None:
    pairs = [pair(0, 1, "a"), pair(1, 1, "a"), pair(2, 2, "a"), pair(3, 2, "b")]
    model = planned(np.eye(4).tolist(), np.eye(4).tolist())
    found = queries(model, pairs, cameras="other")
    assert found.values.isnan().all(dim=1).tolist() == [True, True, False, False]
    assert found.metrics.unmatched == 2 and found.metrics.R_precision is not None
    assert queries(model, pairs).metrics.unmatched == 0


def test_cameras_that_are_not_there_or_not_a_choice_are_refused(planned) -> None:
    model = planned(np.eye(3).tolist(), np.ones((4, 3)).tolist())
    with pytest.raises(ValueError, match="no picture of the split has a camera"):
        evaluate(model, FOUR, cameras="other")
    chosen: str = "own"
    with pytest.raises((ValueError, TypeError)):
        queries(model, FOUR, cameras=chosen)
    with pytest.raises(ValueError, match="the split is empty"):
        evaluate(model, [])


def test_an_embedding_that_is_no_number_is_an_error_in_words(planned) -> None:
    captions = np.ones((4, 3), np.float32)
    captions[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"query 2 has a score that is no number"):
        evaluate(planned(np.eye(3).tolist(), captions.tolist()), FOUR)


@pytest.mark.parametrize("cameras", ["all", "other"])
@pytest.mark.parametrize("block", [1, 1 << 23])
def test_a_split_scores_as_loops_over_it_in_blocks_too(planned, monkeypatch, cameras, block):
    monkeypatch.setattr(ranks, "BLOCK", block)
    monkeypatch.setattr(ranks, "ROWS", 3)
    random = np.random.default_rng(0)
    pairs = [
        pair(image, person, "ab"[random.integers(2)] if person < 5 else "")
        for image, person in enumerate(random.integers(0, 7, 30).tolist())
        for _ in range(1 + image % 2)
    ]
    gallery = list({p.image_id: p for p in pairs}.values())
    # whole numbers: no rounding, and many equal scores
    images = random.integers(-1, 2, (len(gallery), 3)).astype(np.float32)
    texts = random.integers(-1, 2, (len(pairs), 3)).astype(np.float32)
    report = evaluate(planned(images.tolist(), texts.tolist()), pairs, cameras)

    def looped(similarity: np.ndarray, asked: list[Pair], shown: list[Pair]) -> dict[str, float]:
        codes = {"": -1, "a": 0, "b": 1}
        seen = [codes[p.camera] for p in shown] if cameras == "other" else []
        people = [p.person_id for p in shown]
        return averaged([
            scored(walked(row.tolist(), p.person_id, people, codes[p.camera], seen))
            for row, p in zip(similarity, asked, strict=True)
        ])  # fmt: skip

    similarity = texts @ images.T
    sides = {"t2i": (similarity, pairs, gallery), "i2t": (similarity.T, gallery, pairs)}
    for task, side in sides.items():
        found = getattr(report, task).to_json()
        assert {name: found[name] for name in NAMES} == pytest.approx(looped(*side))


def test_a_real_model_scores_alike_in_blocks_and_by_the_query(
    embedder, rectangles_root, monkeypatch
):
    pairs = [
        replace(p, camera="ab"[p.image_id % 2]) for p in read_dataset(rectangles_root).split("test")
    ]
    report, found = evaluate(embedder, pairs), queries(embedder, pairs)
    assert found.metrics.to_json() == report.t2i.to_json()
    assert torch.equal(found.person_ids, torch.tensor([p.person_id for p in pairs]))
    assert {"R_precision", "mAP_trapezoid"} <= report.to_json()["i2t"].keys()
    monkeypatch.setattr(ranks, "BLOCK", 1)
    again = evaluate(embedder, pairs)
    for task in ("t2i", "i2t"):  # near ties may be rounded the other way
        assert getattr(again, task).mAP == pytest.approx(getattr(report, task).mAP, abs=0.01)
    others = {(p.person_id, p.camera) for p in pairs}
    alone = [p for p in pairs if len({c for who, c in others if who == p.person_id}) == 1]
    assert evaluate(embedder, pairs, cameras="other").t2i.unmatched == len(alone)
