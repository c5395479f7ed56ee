"""Who a row is about: which column says so, and what is done when it says so twice."""

from __future__ import annotations

import gc
import json
from itertools import combinations
from pathlib import Path

import pytest
from reader_cases import annotated, faults_of, row

from tipr.data.readers import DatasetError, read_dataset
from tipr.data.readers.fields import PERSON_KEYS
from tipr.data.readers.layouts import Layout, entries, recognised


@pytest.mark.parametrize(("first", "second"), list(combinations(PERSON_KEYS, 2)))
@pytest.mark.parametrize("turned", [True, False])
def test_the_surest_name_of_the_person_counts(tmp_path, first: str, second: str, turned) -> None:
    named = {first: "mary", second: 7}
    named = dict(reversed(named.items())) if turned else named
    root = annotated(tmp_path, [row(id=...) | named])
    assert [entry.person for entry in entries(recognised(root))] == ["mary"]


def test_numbered_rows_are_no_people(tmp_path) -> None:
    assert PERSON_KEYS == ("person_id", "pid", "person", "id")
    lines = [f"{number},{'abcd'[number]}.jpg,x,{number // 2},train" for number in range(4)]
    text = "\n".join(["id,image,caption,pid,split", *lines])
    found = entries(recognised(annotated(tmp_path, text, "people.csv")))
    assert [entry.person for entry in found] == [0, 0, 1, 1]


def test_a_column_given_twice_is_refused(tmp_path) -> None:
    text = "image,Caption,caption,person_id,note,note,,\na.jpg,one,two,1,x,y,,\n"
    with pytest.raises(DatasetError, match=r"line 1: has two columns called caption; rename one"):
        read_dataset(annotated(tmp_path, text, "people.csv"))


def test_columns_that_nobody_reads_may_be_there_twice(tmp_path) -> None:
    text = "image,caption,person_id,note,note,,\na.jpg,one,1,x,y,,\n"
    assert faults_of(annotated(tmp_path, text, "people.csv")) == []


DOUBLED = '{"file_path": "b.jpg", "id": 2, "captions": ["y"], "id": 3, "split": "train", %s}'


@pytest.mark.parametrize("name", ["reid_raw.json", "people.jsonl"])
def test_a_key_given_twice_is_refused_and_the_other_entries_kept(tmp_path, name: str) -> None:
    three = [json.dumps(row()), DOUBLED % '"captions": ["z"]', json.dumps(row("c.jpg"))]
    text = f"[{', '.join(three)}]" if name.endswith("json") else "\n".join(three)
    root = annotated(tmp_path, text, name)
    (fault,) = faults_of(root)
    assert (fault.kind, fault.says) == ("twice", "has id and captions twice; keep one")
    assert ", entry 1" in fault.where
    assert [entry.file for entry in entries(recognised(root), [])] == ["a.jpg", "c.jpg"]


def test_keys_that_nobody_reads_may_be_there_twice(tmp_path) -> None:
    text = json.dumps([row(note={"id": 1})]).replace('{"id": 1}', '{"id": 1, "id": 2}, "note": 2')
    assert len(read_dataset(annotated(tmp_path, text)).train) == 1


@pytest.mark.parametrize(("one", "other"), list(combinations(("train", "val", "test"), 2)))
def test_no_two_splits_share_a_person(tmp_path, one: str, other: str) -> None:
    rows = [row("a.jpg", id="mary", split=one), row("b.jpg", id="mary", split=other)]
    says = rf"1 person stands in both {one} and {other} \(person mary: {one} in entry 0 of reid_raw"
    with pytest.raises(DatasetError, match=says):
        read_dataset(annotated(tmp_path, rows))


def test_three_people_in_two_splits_are_named_with_their_entries_and_the_way_to_all(tmp_path):
    rows = [row(f"{who}{split}.jpg", id=f"p{who}", split=split)
            for who in range(5) for split in ("train", "test")]  # fmt: skip
    with pytest.raises(DatasetError) as error:
        read_dataset(annotated(tmp_path, [*rows, row()]))
    says = str(error.value)
    assert "5 people stand in both train and test (person p0: train in entry 0 of" in says
    assert "person p2: train in entry 4 of reid_raw.json (2train.jpg), test in entry 5 of" in says
    assert "p3" not in says
    assert f"`tipr data check {tmp_path}` lists them" in says


def test_everybody_in_a_split_is_told_as_annotated(tmp_path) -> None:
    rows = [row("a.jpg", id="mary", split="test"), row("b.jpg", id=9, split="test"),
            row("c.jpg", id="john")]  # fmt: skip
    dataset = read_dataset(annotated(tmp_path / "names", rows))
    assert dataset.people("test") == {0: "mary", 1: "9"}
    assert {dataset.person(pair.person_id) for pair in dataset.test} == {"mary", "9"}
    numbers = read_dataset(annotated(tmp_path / "numbers", [row(id=4, split="test")]))
    assert numbers.people("test") == {4: "4"}
    with pytest.raises(ValueError, match="train, val or test"):
        dataset.people("dev")


@pytest.mark.parametrize("was", [True, False])
def test_the_search_for_cycles_is_left_as_it_was(tmp_path, monkeypatch, was: bool) -> None:
    running: list[bool] = []

    def watched(root: Path) -> Layout:
        running.append(gc.isenabled())
        return recognised(root)

    monkeypatch.setattr("tipr.data.readers.dataset.recognised", watched)
    try:
        gc.enable() if was else gc.disable()
        read_dataset(annotated(tmp_path / "sound", [row()]))
        assert gc.isenabled() is was
        with pytest.raises(DatasetError):
            read_dataset(annotated(tmp_path / "broken", "["))
        assert gc.isenabled() is was
    finally:
        gc.enable()
    assert running == [False, False]
