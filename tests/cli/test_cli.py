"""The command line through its real entry point, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rectangles import draw
from terminal import tipr

from tipr.embedder import Embedder


@pytest.fixture
def model(embedder: Embedder, tmp_path: Path) -> Path:
    embedder.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    (tmp_path / "crops").mkdir()
    for top in ("red", "blue", "green"):
        draw(top, "black").save(tmp_path / "crops" / f"{top}.png")
    (tmp_path / "crops" / "notes.txt").write_text("not a picture")
    return tmp_path / "crops"


def test_a_folder_is_indexed_once_and_searched(model, crops, tmp_path) -> None:
    gallery = tmp_path / "people"
    first = json.loads(
        tipr("index", crops, "--gallery", gallery, "--model", model, "--json").stdout
    )
    assert (first["added"], first["already"], first["images"]) == (3, 0, 3)
    assert [Path(row["path"]).name for row in first["skipped"]] == ["notes.txt"]
    again = tipr("index", crops, "--gallery", gallery, "--model", model)
    assert "0 added, 3 there already, 1 skipped; 3 in all" in again.stdout
    assert "notes.txt: not a picture" in again.stderr
    found = json.loads(tipr("search", "a red top", "--gallery", gallery, "-k", 2, "--json").stdout)
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert found["hits"][0]["score"] >= found["hits"][1]["score"]
    assert len(tipr("search", "a red top", "--gallery", gallery).stdout.splitlines()) == 3
    shown = json.loads(tipr("show", gallery).stdout)
    assert (shown["what"], shown["images"]) == ("gallery", 3)


def test_another_model_is_refused_with_the_way_out(model, crops, tmp_path) -> None:
    tipr("index", crops, "--gallery", tmp_path / "people", "--model", model)
    done = tipr("index", crops, "--gallery", tmp_path / "people", "--model", "small", code=1)
    assert "was indexed with model" in done.stderr and "--model" in done.stderr


def test_training_evaluating_and_showing_a_run(rectangles_root, tmp_path) -> None:
    run = tmp_path / "run"
    words = ("train", "clip_sdm:tiny", "--data", rectangles_root, "--out", run)
    done = tipr(*words, "--set", "optim.epochs=1", "--device", "cpu")
    assert done.stdout.strip() == str(run / "best")
    tipr(*words, code=1)
    report = json.loads(tipr("eval", run, "--data", rectangles_root, "--json").stdout)
    assert report["persons"] == 6
    assert set(report["t2i"]) >= {"R1", "R5", "R10", "mAP", "mINP", "unmatched"}
    table = tipr("eval", run, "--data", rectangles_root, "--split", "val").stdout
    assert table.split()[:6] == ["task", "R1", "R5", "R10", "mAP", "mINP"]
    assert json.loads(tipr("show", run).stdout)["experiment"]["optim"]["epochs"] == 1


def test_every_experiment_can_be_shown() -> None:
    names = tipr("show").stdout.split()
    assert "clip:small" in names and "clip_sdm:cuhk_pedes" in names
    assert json.loads(tipr("show", "clip_sdm:small").stdout)["what"] == "experiment"
    assert json.loads(tipr("show", "small").stdout)["what"] == "model"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("search", "x", "--gallery", "nowhere"), 1, "there is no gallery nowhere"),
        (("index", "nowhere", "--gallery", "g"), 1, "there is no folder nowhere"),
        (("eval", "nowhere", "--data", "d"), 1, "there is no model at nowhere"),
        (("eval", "small", "--data", "nowhere"), 1, "tipr data synth nowhere"),
        (("train", "clip:smal", "--out", "r"), 1, "did you mean clip:small"),
        (("train", "clip:small", "--out", "r"), 1, "add --data DIR"),
        (("train", "clip:small", "--out", "r", "--set", "optim.epochs"), 1, "FIELD=VALUE"),
        (("data", "synth", "d", "--people", "0"), 1, "people must be at least 1"),
        (("data", "synth", "d", "--level", "awful"), 2, "easy"),
        (("serch", "x"), 2, "search"),
    ],
)
def test_mistakes_are_answered_in_words(words, code: int, message: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = tipr(*words, code=code)
    assert message in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m tipr.cli show | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.stdout and not done.stderr
