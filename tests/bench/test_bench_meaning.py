"""The measurement of queries: what is asked, how it is judged, and how it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tipr.bench import asking
from tipr.bench.asking import BUILT_IN
from tipr.bench.crowd import Crowd
from tipr.bench.meaning import SECTIONS, queries, table
from tipr.data.images import ImageTransform, open_image
from tipr.data.pairs import Pair
from tipr.evaluation.bootstrap import bootstrapped
from tipr.evaluation.metrics import COLUMNS, per_query

WORDS = ("coat", "shirt", "jeans", "skirt", "red", "blue", "green", "black", "white", "hat", "bag",
         "backpack", "glasses", "stripes", "man", "woman")  # fmt: skip
PLAIN = {"outer": "none", "outer_c": "black", "upper": "shirt", "upper_c": "red", "lower": "jeans",
         "lower_c": "blue", "hat": "none", "bag": "none", "glasses": "none", "pattern": "plain",
         "sex": "male"}  # fmt: skip
LOOKS = (
    {},
    {"hat": "hat"},
    {"bag": "backpack", "upper_c": "green"},
    {"outer": "coat", "outer_c": "black", "sex": "female", "lower": "skirt"},
    {"outer": "coat", "outer_c": "black", "hat": "hat", "lower_c": "white"},
    {"upper_c": "blue", "glasses": "glasses", "pattern": "stripes", "lower_c": "green"},
    {"lower": "dress", "upper": "dress", "upper_c": "white", "sex": "female"},
)


def said(looks: dict[str, str]) -> str:
    top = "upper" if looks["outer"] == "none" else "outer"
    things = [looks[kind] for kind in ("hat", "bag", "glasses", "pattern") if looks[kind] != "none"]
    who = "man" if looks["sex"] == "male" else "woman"
    lower = f"{looks['lower_c']} {looks['lower']}"
    return f"A {who} in a {looks[f'{top}_c']} {looks[top]}, {lower} and {' '.join(things)}."


class Reader:
    """It sees of a picture the words that describe the person, and reads those of a sentence."""

    fingerprint, source, width = "5eee5eee", "reader", len(WORDS) + 4
    transform = ImageTransform((8, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def embed_images(self, images: Iterable[Image.Image | Path]) -> np.ndarray:
        levels = [np.asarray(open_image(image))[0, 0] for image in images]
        captions = [said(PLAIN | LOOKS[int(level[0])]) for level in levels]
        views = np.stack([level[1] * np.arange(3) % 3 for level in levels]) * 0.1
        rows = np.concatenate([self.words(captions), views, np.ones((len(views), 1))], axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.pad(self.words(texts), ((0, 0), (0, 4)), constant_values=0.1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def words(self, texts: Sequence[str]) -> np.ndarray:
        rows = [
            [float(word in re.findall(r"\w+", text.lower())) for word in WORDS] for text in texts
        ]
        return np.array(rows).reshape(-1, len(WORDS))

    def unread(self, text: str) -> str | None:
        return None


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """Seven people in three pictures each; the third of each hides all but the face."""
    (tmp_path / "dataset.json").write_text("{}")
    found, lines, identities = [], [], []
    for person, looks in enumerate(LOOKS):
        looks = PLAIN | looks
        identities.append({"id": person, "attributes": looks})
        for view in range(3):
            path = tmp_path / f"{person}_{view}.png"
            Image.new("RGB", (4, 8), (person, view, 0)).save(path)
            facts = [] if view == 2 else [name for name in looks if name != "sex"]
            lines.append({"image": path.name, "id": person, "twin_of": None, "facts": facts,
                          "captions": [{"text": said(looks), "facts": []}]})  # fmt: skip
            found.append(Pair(path, said(looks), person, len(found)))
    for name, rows in (("annotations.jsonl", lines), ("identities.jsonl", identities)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


@pytest.fixture
def crowd(pairs: list[Pair]) -> Crowd:
    return Crowd(Reader(), pairs, 100, 0)  # ty: ignore[invalid-argument-type]


def of(rows: Sequence[dict], way: str) -> dict[str, float]:
    (row,) = (row for row in rows if row["way"] == way)
    return {column: score["mean"] for column, score in row["scores"].items()}


def test_every_section_has_its_built_in_way_and_shares_between_0_and_1(pairs: list[Pair]) -> None:
    told: list[str] = []
    facts = queries(Reader(), pairs, made_with={"commit": "abc"}, announce=told.append)  # ty: ignore
    assert told == [section["title"] for section in facts["sections"]] == [s[0] for s in SECTIONS]
    assert (facts["people"], facts["pictures"], facts["commit"]) == (7, 21, "abc")
    for section in facts["sections"]:
        scores = [score for row in section["rows"] for score in row["scores"].values()]
        assert all(0 <= score["mean"] <= 1 for score in scores)
        if section["title"] == "NOT alone":
            assert all(score["low"] is None for score in scores)
        else:
            assert all(score["low"] <= score["mean"] <= score["high"] for score in scores)
        assert any(row["built_in"] for row in section["rows"])
    assert json.loads(json.dumps(facts)) == facts


def test_what_a_model_with_good_eyes_finds_is_what_was_asked_for(pairs: list[Pair]) -> None:
    facts = queries(Reader(), pairs)  # ty: ignore[invalid-argument-type]
    clauses, weights, denied, alone, example, mixed, feedback = (
        s["rows"] for s in facts["sections"]
    )
    assert of(clauses, "the whole sentence") == {"R@1": 1.0, "mAP": 1.0}
    assert of(clauses, "its clauses joined by AND") == {"R@1": 1.0, "mAP": 1.0}
    assert (
        of(denied, "taken away, 1")["show the thing"]
        < of(denied, "not asked for")["show the thing"]
    )
    assert of(alone, "taken away, 1")["show the thing"] < of(alone, "a person")["show the thing"]
    plain, heavy = of(weights, "no weight"), of(weights, "trousers ^4, each adds 1")
    assert heavy["wear the trousers"] >= plain["wear the trousers"]
    assert of(example, "the picture")["R@1"] == 1.0
    sentence, picture = of(mixed, "the sentence"), of(mixed, "the picture")
    assert sentence["wear them"] > picture["wear them"]
    assert sentence["look like it"] < picture["look like it"]
    assert of(feedback, "right 2, wrong 1")["mAP"] == 1.0


def test_scores_and_intervals_are_those_of_the_evaluation(crowd: Crowd, pairs: list[Pair]) -> None:
    people = torch.tensor([shown.person for shown in crowd.pictures])
    captions = [crowd.pictures[rows[0]].captions[0] for rows in crowd.rows.values()]
    similarity = crowd.embedder.embed_texts(captions) @ crowd.store.vectors(crowd.store.ids()).T
    ids = torch.tensor(list(crowd.rows))
    expected = per_query(torch.from_numpy(similarity), ids, people)
    columns = [COLUMNS.index(name) for name in ("R1", "mAP")]
    (whole, *_) = asking.together(crowd)
    found = torch.tensor([good for person in crowd.rows for good in whole.asks(person)])
    torch.testing.assert_close(found.double(), expected[:, columns], atol=1e-6, rtol=0)
    (told, *_) = queries(Reader(), pairs, people=100)["sections"][0]["rows"]  # ty: ignore
    spread = bootstrapped(expected[:, columns], ids)
    assert told["scores"]["mAP"]["low"] == pytest.approx(spread.low[1].item(), abs=1e-6)


def test_what_cannot_be_seen_is_not_worn(crowd: Crowd) -> None:
    first, hidden = (next(s for s in crowd.pictures if s.path.name == f"4_{v}.png") for v in (0, 2))
    assert first.has("hat") and first.has("outer", "coat") and first.wears("outer", first)
    assert not first.has("bag") and not first.has("outer", "jacket")
    assert not hidden.has("hat") and not hidden.wears("outer", first)
    assert first.top == "outer" and first.garment("lower") == "white jeans"
    other = next(shown for shown in crowd.pictures if shown.path.name == "0_0.png")
    assert not other.wears("outer", first) and not other.wears("lower", first)
    shown = next(shown for shown in crowd.pictures if shown.path.name == "3_0.png")
    assert shown.wears("outer", first)


def test_marked_hits_and_examples_are_left_out_of_rankings(crowd: Crowd) -> None:
    lengths = []

    def watched(crowd: Crowd, person: int, found: Sequence[int]) -> list[float]:
        lengths.append(len(found))
        return [0.0, 0.0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "_precision", watched)
        for way in asking.feedback(crowd):
            list(way.asks(0))
        assert set(lengths) == {len(crowd.store) - 4}
        lengths.clear()
        for way in asking.examples(crowd):
            list(way.asks(0))
        assert set(lengths) == {len(crowd.store) - 1}


def test_what_is_built_in_is_marked_by_its_strength(crowd: Crowd) -> None:
    marked = {way.name for section in SECTIONS for way in section[2](crowd) if way.built_in}
    assert {f"taken away, {BUILT_IN.denied:g}", f"taken away, {BUILT_IN.denied_alone:g}",
            f"both, picture {BUILT_IN.example:g}", f"wrong {BUILT_IN.less_alone:g}",
            f"right {BUILT_IN.more:g}, wrong {BUILT_IN.less:g}", "no weight",
            f"trousers ^2, each adds {BUILT_IN.emphasis:g}"} <= marked  # fmt: skip
    assert "the sum of its clauses' vectors" not in marked


def test_fewer_people_may_be_asked_for_and_the_seed_chooses_them(pairs: list[Pair]) -> None:
    chosen = [set(Crowd(Reader(), pairs, 3, seed).rows) for seed in range(8)]  # ty: ignore
    assert all(len(people) == 3 for people in chosen)
    assert len(set(map(frozenset, chosen))) > 1
    assert chosen[0] == set(Crowd(Reader(), pairs, 3, 0).rows)  # ty: ignore


def test_the_tables_tell_per_cent_with_intervals_and_mark_what_is_built_in(
    pairs: list[Pair],
) -> None:
    facts = queries(Reader(), pairs)  # ty: ignore[invalid-argument-type]
    page = table(facts)
    assert "| Clauses of a caption | R@1 | mAP |\n|---|---|---|\n" in page
    assert "| **its clauses joined by AND** | 100.0 (100.0..100.0) | 100.0 (100.0..100.0) |" in page
    assert re.search(r"^\| \*\*taken away, 1\*\* \| [\d.]+ \|$", page, re.MULTILINE)
    assert "reader; 7 people, 21 pictures. Only 7 people were scored" in page


def test_photographs_and_too_few_people_are_refused(pairs: list[Pair], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two people or more"):
        queries(Reader(), pairs, people=1)  # ty: ignore[invalid-argument-type]
    (tmp_path / "annotations.jsonl").unlink()
    with pytest.raises(ValueError, match="tipr data synth"):
        queries(Reader(), pairs)  # ty: ignore[invalid-argument-type]
