"""Whole datasets: complete or not there at all, and the same whoever renders them."""

from __future__ import annotations

import errno
import hashlib
import json
import operator
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("numba")

from tipr.data.readers import read_dataset
from tipr.data.synthetic import dataset
from tipr.data.synthetic.dataset import RenderingError, Summary, render_dataset
from tipr.data.synthetic.identity import Identity

SIZE: dict[str, Any] = {"people": 8, "images": 3, "level": "medium", "seed": 5}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Summary:
    return render_dataset(tmp_path_factory.mktemp("sets") / "eight", **SIZE)


@pytest.fixture(scope="module")
def records(rendered) -> list[dict[str, Any]]:
    return lines(rendered.path / "annotations.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_two_workers_make_the_same_bytes_as_one(rendered, tmp_path):
    other = render_dataset(tmp_path / "eight", **SIZE, workers=2)
    assert contents(other.path) == contents(rendered.path)


def test_nothing_but_the_dataset_is_left(rendered):
    assert [path.name for path in rendered.path.parent.iterdir()] == ["eight"]
    files = {path.name for path in rendered.path.iterdir()}
    assert files == {
        "images", "dataset.json", "annotations.jsonl", "identities.jsonl", "reid_raw.json",
    }  # fmt: skip


def test_every_picture_is_where_its_record_says(rendered, records):
    assert len(records) == 24
    for record in records:
        with Image.open(rendered.path / record["image"]) as image:
            assert list(image.size) == record["size"]
        number = record["id"]
        assert record["image"].startswith(f"images/{record['split']}/{number // 100}/{number}_")


def test_the_description_counts_and_signs_what_is_there(rendered, records):
    description = json.loads((rendered.path / "dataset.json").read_text())
    annotations = (rendered.path / "annotations.jsonl").read_bytes()
    assert description["annotations_sha256"] == hashlib.sha256(annotations).hexdigest()
    assert description["annotations_sha256"] == rendered.annotations_sha256
    assert (rendered.people, rendered.images, rendered.captions) == (8, 24, 48)
    assert description["level"] == "medium"
    assert sum(split["people"] for split in description["splits"].values()) == 8
    assert len(records) == description["images"]


def test_nobody_and_no_family_is_in_two_splits(records):
    for name in ("id", "family"):
        splits = defaultdict(set)
        for record in records:
            splits[record[name]].add(record["split"])
        assert all(len(found) == 1 for found in splits.values())
    assert {record["split"] for record in records} == {"train", "val", "test"}


def test_twins_are_photographed_like_their_originals(records):
    by_picture = {(record["id"], index % 3): record for index, record in enumerate(records)}
    twins = [(key, record) for key, record in by_picture.items() if record["twin_of"] is not None]
    assert twins
    for (_, number), record in twins:
        original = by_picture[record["twin_of"], number]
        assert record["diff"]["attr"]
        assert record["relation"] in ("twin", "swap")
        for same in ("family", "split", "cam", "yaw", "view", "pose"):
            assert record[same] == original[same]


def test_captions_of_a_picture_are_by_different_annotators_and_true(records):
    for record in records:
        short, long = record["captions"]
        assert (short["mode"], long["mode"]) == ("short", "long")
        assert short["annotator"] != long["annotator"]
        assert set(short["facts"]) | set(long["facts"]) <= set(record["facts"])


def test_every_picture_shows_enough_of_a_dressed_person(records):
    for record in records:
        width, height = record["size"]
        assert sum(record["visible"].values()) >= 0.12 * width * height
        assert {"upper", "outer", "lower"} & set(record["facts"])


def test_every_person_is_listed_with_all_attributes(rendered):
    people = lines(rendered.path / "identities.jsonl")
    assert [person["id"] for person in people] == list(range(8))
    names = {field.name for field in fields(Identity)}
    assert all(set(person["attributes"]) == names for person in people)


def test_readers_of_cuhk_pedes_read_it(rendered, records):
    rows = json.loads((rendered.path / "reid_raw.json").read_text())
    assert set(rows[0]) == {"split", "captions", "file_path", "processed_tokens", "id"}
    assert rows[0]["processed_tokens"][0][0].isalpha()
    read = read_dataset(rendered.path)
    assert len(read.train) + len(read.val) + len(read.test) == 48
    assert read.train[0].image.is_file()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="choose another folder"):
        render_dataset(tmp_path, **SIZE)
    assert contents(tmp_path) == {"mine.txt": b"keep"}


def test_an_empty_folder_is_filled(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_member", lambda task: [])
    out = tmp_path / "empty"
    out.mkdir()
    render_dataset(out, **SIZE)
    assert (out / "dataset.json").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "extreme"}, "easy, medium, hard"),
        ({"people": 0}, "people must be at least 1"),
        ({"images": 0}, "images must be at least 1"),
        ({"captions": 0}, "captions must be at least 1"),
        ({"captions": 101}, "only 100"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"people": 8, "level": "hard"}, "ask for at least 9 people"),
    ],
)
def test_numbers_that_make_no_dataset_are_refused(tmp_path, change: dict[str, Any], message):
    with pytest.raises(ValueError, match=message):
        render_dataset(tmp_path / "set", **(SIZE | change))
    assert not list(tmp_path.iterdir())


def test_the_fewest_people_asked_for_are_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_member", lambda task: [])
    render_dataset(tmp_path / "set", people=9, images=3, level="hard", seed=5)


def test_a_failure_names_the_person_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(task):
        if task.member.id == 2:
            raise RuntimeError("out of thread")
        return []

    monkeypatch.setattr(dataset, "render_member", fail)
    with pytest.raises(RenderingError, match="rendering person 2 failed: out of thread"):
        render_dataset(tmp_path / "set", **SIZE)
    assert not list(tmp_path.iterdir())


def test_a_failure_in_another_process_is_told_too(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_member", operator.index)
    with pytest.raises(RenderingError, match="rendering person 0 failed"):
        render_dataset(tmp_path / "set", **SIZE, workers=2)
    assert not list(tmp_path.iterdir())


def test_a_disk_too_small_is_noticed_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(OSError, match=r"disk is full.*are free") as caught:
        render_dataset(tmp_path / "deep" / "set", **SIZE)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_is_told_in_plain_words(tmp_path, monkeypatch):
    def full(task):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset, "render_member", full)
    with pytest.raises(OSError, match=r"the disk is full \(nothing was kept\)"):
        render_dataset(tmp_path / "set", **SIZE)
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_member", lambda task: [])

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_dataset(tmp_path / "set", **SIZE, progress=stop)
    assert not list(tmp_path.iterdir())


def test_progress_counts_people(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "render_member", lambda task: [])
    seen = []
    render_dataset(tmp_path / "set", **SIZE, progress=lambda *counts: seen.append(counts))
    assert seen == [(done, 8) for done in range(1, 9)]


def test_an_empty_folder_is_filled_where_no_folder_is_replaced(tmp_path, monkeypatch):
    replace = Path.replace

    def as_on_windows(self: Path, target: Path) -> Path:
        if target.is_dir():
            raise PermissionError(13, "Access is denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", as_on_windows)
    monkeypatch.setattr(dataset, "render_member", lambda task: [])
    (tmp_path / "empty").mkdir()
    render_dataset(tmp_path / "empty", **SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert (tmp_path / "empty" / "dataset.json").is_file()


def test_a_drive_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: False)
    with pytest.raises(FileNotFoundError, match="there is no drive /; choose another folder"):
        render_dataset(tmp_path / "set", **SIZE)


def test_no_more_workers_are_started_than_windows_can_wait_for(tmp_path, monkeypatch):
    started = []

    def pool(workers: int, context: object) -> ThreadPoolExecutor:
        started.append(workers)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(dataset, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(dataset, "render_member", lambda task: [])
    render_dataset(tmp_path / "set", **SIZE, workers=200)
    assert started == [61]


def test_another_processor_makes_the_same_bytes(rendered, tmp_path):
    """NumPy and BLAS are told to do without the newer instructions of this machine."""
    code = (
        "from pathlib import Path; from tipr.data.synthetic.dataset import render_dataset;"
        f"render_dataset(Path({str(tmp_path / 'eight')!r}), **{SIZE!r})"
    )
    older = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": _newer_instructions()}
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **older})
    assert contents(tmp_path / "eight") == contents(rendered.path)


def _newer_instructions() -> str:
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return " ".join(found)
