"""Measuring and comparing runs through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from terminal import tipr

from tipr.cli import app
from tipr.cli.evaluation import _selection
from tipr.evaluation.records import read_record


@pytest.fixture(scope="module")
def runs(rectangles_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same experiment with two seeds; the first tells of test as well."""
    found = {}
    for seed in (0, 1):
        found[seed] = tmp_path_factory.mktemp("runs") / f"seed{seed}"
        tipr("train", "clip_sdm:tiny", "--data", rectangles_root, "--out", found[seed],
             "--device", "cpu", "--set", "optim.epochs=2", "--set", f"seed={seed}",
             "--set", f"log.test={str(seed == 0).lower()}")  # fmt: skip
    return found


def evaluated(run: Path, root: Path, *more: object) -> dict:
    return json.loads(tipr("eval", run, "--data", root, "--device", "cpu", "--json", *more).stdout)


def test_a_run_is_told_with_its_selection_and_intervals(runs, rectangles_root) -> None:
    facts = evaluated(runs[0], rectangles_root)
    chosen = facts["selection"]
    log = [json.loads(line) for line in (runs[0] / "metrics.jsonl").read_text().splitlines()]
    told = {
        kind: {row["step"]: row for row in log if row["kind"] == kind} for kind in ("val", "test")
    }
    assert told["val"].keys() == told["test"].keys() == {1, 2}
    best = max((1, 2), key=lambda epoch: told["val"][epoch]["mAP"])
    assert (chosen["best_on_val"], chosen["last"]) == (best, 2)
    assert facts["t2i"]["mAP"] == pytest.approx(told["test"][best]["mAP"])
    assert chosen["last_t2i"]["mAP"] == pytest.approx(told["test"][2]["mAP"])
    highest = max((1, 2), key=lambda epoch: told["test"][epoch]["mAP"])
    assert chosen["best_on_test"] == highest and "not a result" in chosen["best_on_test_is"]
    for task in ("t2i", "i2t"):
        low, high = facts["intervals"][task]["mAP"]
        assert low <= facts[task]["mAP"] <= high and low < high
    for fact in ("commit", "command", "hardware", "torch", "seed", "fingerprint", "date"):
        assert fact in facts
    assert facts["command"].startswith("tipr eval ") and facts["seed"] == 0
    assert facts["open_set"]["absent"] > 0


def test_without_test_in_the_log_nothing_is_chosen_on_it(runs, rectangles_root) -> None:
    said = tipr("eval", runs[1], "--data", rectangles_root, "--device", "cpu").stdout
    assert "the best on validation" in said and "the last: R1" in said
    assert "chosen on test" not in said
    said = tipr("eval", runs[0], "--data", rectangles_root, "--device", "cpu").stdout
    assert "chosen on test and so no result: R1" in said
    alone = evaluated(runs[1] / "best", rectangles_root)
    assert alone["selection"] is None


def test_a_saved_evaluation_is_compared(runs, rectangles_root, tmp_path) -> None:
    for seed, run in runs.items():
        facts = evaluated(run, rectangles_root, "--save", tmp_path / str(seed))
        assert read_record(tmp_path / str(seed)).facts["metrics"] == facts["t2i"]
    found = json.loads(tipr("compare", tmp_path / "0", tmp_path / "1", "--json").stdout)
    assert [row["seeds"] for row in found["rows"]] == [[0, 1]]  # one row: the same experiment
    evaluated("small", rectangles_root, "--save", tmp_path / "small")
    table = tipr("compare", tmp_path / "small", tmp_path / "0", tmp_path / "1").stdout
    assert "R1, 95 %" in table and str(tmp_path / "small") in table
    refused = tipr("compare", tmp_path, code=1)
    assert "holds no evaluation" in refused.stderr


def test_a_report_and_a_page_are_written(runs, rectangles_root, tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- first -->\n<!-- /first -->\n")
    facts = evaluated(runs[0], rectangles_root, "--report", tmp_path / "first.html", "--into",
                      f"{page}#first")  # fmt: skip
    report = (tmp_path / "first.html").read_text(encoding="utf-8")
    assert f"{100 * facts['t2i']['R1']:.2f}" in report and "data:image/jpeg" in report
    assert "chosen on the test split: not a result" in report
    assert str(rectangles_root.parent) not in report and str(tmp_path) not in report
    low, high = facts["intervals"]["t2i"]["R1"]
    row = f"| text to image | {100 * facts['t2i']['R1']:.2f} ({100 * low:.1f}..{100 * high:.1f}) |"
    text = page.read_text(encoding="utf-8")
    assert row in text and facts["fingerprint"] in text and "`tipr eval" in text
    evaluated(runs[0], rectangles_root, "--report", tmp_path / "bare.html", "--no-pictures")
    assert "data:image" not in (tmp_path / "bare.html").read_text(encoding="utf-8")


def test_groups_are_told_when_they_are_asked_for(runs, rectangles_root) -> None:
    facts = evaluated(runs[0], rectangles_root, "--breakdown")
    assert {group["by"] for group in facts["breakdown"]} >= {"colour", "negation"}
    assert 0 <= facts["open_set"]["calibration"]["ece"] <= 1
    assert evaluated(runs[0], rectangles_root)["open_set"]["calibration"] is None
    said = tipr("eval", runs[0], "--data", rectangles_root, "--breakdown").stdout
    assert "\ncolour\n  " in said and "people  R1" in said


def test_pictures_without_cameras_have_no_others(runs, rectangles_root) -> None:
    refused = tipr("eval", runs[0], "--data", rectangles_root, "--cameras", "other", code=1)
    assert "no picture of the split has a camera" in refused.stderr
    both = ("--cameras", "other", "--report", "r.html")
    refused = tipr("eval", runs[0], "--data", rectangles_root, *both, code=1)
    assert "leave --cameras at all" in refused.stderr


def test_test_in_the_log_is_told_only_of_the_run_s_own_test(runs, rectangles_root, tmp_path):
    run = shutil.copytree(runs[0], tmp_path / "run")
    copy = shutil.copytree(rectangles_root, tmp_path / "copy")
    for root, split, cameras in ((rectangles_root, "val", "all"), (copy, "test", "all"),
                                 (rectangles_root, "test", "other")):  # fmt: skip
        found = _selection(str(run), root, split, cameras)
        assert found is not None and (found.best_on_test, found.test) == (None, {})
    found = _selection(str(run), tmp_path / ".." / rectangles_root, "test", "all")
    assert found is not None and found.best_on_test in found.test
    (run / "metrics.jsonl").write_text("{")
    refused = tipr("eval", run, "--data", tmp_path / "nowhere", code=1)
    assert "metrics.jsonl is damaged" in refused.stderr


def test_where_one_person_has_other_cameras_there_is_no_interval(
    embedder, tmp_path, rectangles_root
) -> None:
    embedder.save(tmp_path / "model")
    shutil.copytree(rectangles_root / "images", tmp_path / "images")
    rows = [{"image": f"images/{picture.name}", "caption": f"a person {n}", "person_id": n // 2,
             "split": "test" if n < 6 else "train", "camera": "b" if n == 1 else "a"}
            for n, picture in enumerate(sorted((tmp_path / "images").iterdir())[:12])]  # fmt: skip
    (tmp_path / "annotations.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\n<!-- /a -->\n")
    words = ("eval", tmp_path / "model", "--data", tmp_path, "--device", "cpu")
    facts = json.loads(tipr(*words, "--cameras", "other", "--breakdown", "--json", "--into",
                            f"{page}#a").stdout)  # fmt: skip
    assert (facts["intervals"], facts["open_set"], facts["caveat"]) == ({}, None, "")
    assert facts["t2i"]["unmatched"] == 4
    assert "Split test, cameras other, 4 captions without a match: 3 people" in page.read_text()
    said = tipr(*words).stdout
    assert "Only 3 people were scored" in said and "AUROC" in said


@pytest.mark.parametrize(
    "words",
    [("eval", "m", "--data", "d"), ("compare", "r"), ("bench", "evaluation"), ("bench", "memory"),
     ("bench", "transfer", "m", "--data", "d"), ("bench", "table", "sen", "--out", "o"),
     ("bench", "ablation", "sen", "--data", "d", "--out", "o"), ("bench", "methods"),
     ("bench", "data"), ("bench", "rehearsal", "--out", "o")],
    ids=" ".join,
)  # fmt: skip
def test_a_page_that_is_not_there_is_refused_first(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        app([*words, "--into", "page.md#table"])
    assert "there is no page page.md" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_facts_and_a_page_go_together(tmp_path, capsys) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\n<!-- /a -->\n")
    words = "bench evaluation --queries 40 --gallery 30 --people 5 --width 4 --rounds 1 --alone"
    app([*words.split(), "--into", f"{page}#a", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["hardware"] in page.read_text() and "`tipr" in page.read_text()
