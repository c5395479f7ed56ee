"""Models away from home: what is measured, what is marked, what is warned of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from rectangles import COLOURS, draw

from tipr.bench.transfer import shared_pictures, table, targets, training_roots, transfer
from tipr.cli.bench_transfer import transfer as transfer_command
from tipr.embedder import Embedder
from tipr.evaluation.bootstrap import bootstrapped
from tipr.evaluation.compare import comparison
from tipr.evaluation.evaluate import evaluate
from tipr.evaluation.metrics import COLUMNS
from tipr.evaluation.records import read_record
from tipr.evaluation.runs import read_runs

LAYOUTS = {"CUHK-PEDES": "reid_raw.json", "ICFG-PEDES": "ICFG-PEDES.json",
           "RSTPReid": "data_captions.json"}  # fmt: skip


def people(root: Path, splits: Sequence[str], top: str, layout: str = "CUHK-PEDES") -> Path:
    """A person for each split, whose top has the same colour; trousers differ."""
    rows = []
    for person, (split, bottom) in enumerate(zip(splits, COLOURS, strict=False)):
        name = f"{top}_{person}.png"
        (root / "imgs").mkdir(parents=True, exist_ok=True)
        draw(top, bottom).save(root / "imgs" / name)
        path = "img_path" if layout == "RSTPReid" else "file_path"
        rows.append({"id": person, path: name, "captions": [f"a person in {top} and {bottom}"],
                     "split": split})  # fmt: skip
    (root / LAYOUTS[layout]).write_text(json.dumps(rows))
    return root


SPLITS = ("train", "train", "val", "test", "test", "test")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return people(tmp_path / "home", SPLITS, "red")


@pytest.fixture
def away(tmp_path: Path) -> Path:
    return people(tmp_path / "away", SPLITS, "blue", "ICFG-PEDES")


def run(folder: Path, embedder: Embedder, **settings: Any) -> str:
    embedder.save(folder / "best")
    (folder / "experiment.json").write_text(json.dumps(settings))
    return str(folder)


def trained(folder: Path, embedder: Embedder, root: Path) -> str:
    return run(folder, embedder, data={"root": str(root)}, method={"is": "M"}, seed=0)


def cells(facts: Mapping[str, Any], model: int = 0) -> dict[str, Any]:
    return {cell["dataset"]: cell for cell in facts["models"][model]["cells"]}


def test_scores_are_those_of_an_evaluation_of_each(
    embedder: Embedder, tmp_path: Path, home: Path, away: Path
) -> None:
    models = [trained(tmp_path / "one", embedder, home), trained(tmp_path / "two", embedder, away)]
    tested = targets([home, away])
    facts = transfer(models, tested, device="cpu", save=tmp_path / "kept")
    for target in tested:
        for row, model in enumerate(models):
            expected = evaluate(Embedder.load(model, "cpu"), target.pairs).t2i
            told = cells(facts, row)[target.name]["scores"]
            assert told["R1"]["mean"] == pytest.approx(expected.R1)
            assert told["mAP"]["mean"] == pytest.approx(expected.mAP)
            (kept,) = (tmp_path / "kept" / target.name).glob(f"*-{Path(model).name}")
            measured = read_record(kept)
            spread = bootstrapped(measured.values, measured.person_ids)
            assert told["mAP"]["low"] == spread.low[COLUMNS.index("mAP")].item()
            assert told["mAP"]["high"] == spread.high[COLUMNS.index("mAP")].item()
            assert measured.facts["data"] == str(target.root)
    marked = [[cells(facts, row)[t.name]["in_domain"] for t in tested] for row in range(2)]
    assert marked == [[True, False], [False, True]]
    assert facts["warnings"] == []


def test_the_table_marks_where_a_model_is_at_home(
    embedder: Embedder, tmp_path: Path, home: Path, away: Path
) -> None:
    model = trained(tmp_path / "run", embedder, home)
    head, _, row, _, legend = table(transfer([model], targets([home, away]))).splitlines()
    assert head == "| model | home, R@1 | home, mAP | away, R@1 | away, mAP |"
    assert row.startswith(f"| {model} |") and row.count("..") == 4
    assert [" (own)" in cell for cell in row.split("|")[2:-1]] == [True, True, False, False]
    assert "away (test): 3 captions, 3 pictures, 3 people" in legend


def test_a_copy_of_the_training_set_is_home(embedder: Embedder, tmp_path: Path, home: Path) -> None:
    shutil.copytree(home, tmp_path / "copy")
    model = trained(tmp_path / "run", embedder, home)
    facts = transfer([model], targets([tmp_path / "copy"]))
    assert cells(facts)["copy"]["in_domain"]
    assert facts["warnings"] == []


def test_tested_pictures_that_were_trained_on_are_counted(
    embedder: Embedder, tmp_path: Path, home: Path
) -> None:
    splits = ("test", "train", "test", "test", "val", "train")  # 0 was trained on, 2 chosen by
    model = trained(tmp_path / "run", embedder, home)
    facts = transfer([model], targets([people(tmp_path / "mixed", splits, "red", "ICFG-PEDES")]))
    (shared,) = cells(facts)["mixed"]["shared"]
    assert shared == {"with": str(home), "sources": [], "pictures": 2, "people": 2}
    (warning,) = facts["warnings"]
    assert warning.startswith("2 of the tested pictures of mixed, of 2 people, are in the training")
    assert warning in table(facts)


@pytest.mark.parametrize(
    ("one", "other", "source"),
    [("ICFG-PEDES", "RSTPReid", "MSMT17"), ("RSTPReid", "ICFG-PEDES", "MSMT17"),
     ("CUHK-PEDES", "CUHK-PEDES", "CUHK03, Market-1501, SSM, VIPeR, CUHK01"),
     ("CUHK-PEDES", "RSTPReid", None)],
)  # fmt: skip
def test_sets_of_one_source_are_told(
    embedder: Embedder, tmp_path: Path, one: str, other: str, source: str | None
) -> None:
    a, b = people(tmp_path / "a", SPLITS, "red", one), people(tmp_path / "b", SPLITS, "blue", other)
    facts = transfer([trained(tmp_path / "run", embedder, a)], targets([b]))
    assert [w.rpartition(" cut from ")[2] for w in facts["warnings"]] == (
        [source] if source else []
    )


def test_a_model_is_at_home_where_those_before_it_were(
    embedder: Embedder, tmp_path: Path, home: Path, away: Path
) -> None:
    first = trained(tmp_path / "first", embedder, home)
    teacher = run(tmp_path / "teacher", embedder, data={"root": str(away)}, init_from=first)
    last = run(tmp_path / "last", embedder, data={"root": str(home)}, init_from="shipped:small",
               method={"richer": teacher})  # fmt: skip
    assert training_roots(str(tmp_path / "last" / "best")) == [home, away]
    assert all(c["in_domain"] for c in cells(transfer([last], targets([home, away]))).values())


def test_runs_that_start_from_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        settings = {"data": {"root": name}, "init_from": str(tmp_path / other)}
        (tmp_path / name / "experiment.json").write_text(json.dumps(settings))
    assert training_roots(str(tmp_path / "a")) == [Path("a"), Path("b")]


@pytest.mark.parametrize("text", ["[]", "{", '{"data": null}', "\\ud800"])
def test_a_damaged_experiment_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "experiment.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert training_roots(str(tmp_path)) == []


@pytest.mark.parametrize("text", [None, "{", '{"data": {"root": null}, "method": null}'])
def test_a_model_without_a_known_run_is_told(
    embedder: Embedder, tmp_path: Path, home: Path, text: str | None
) -> None:
    embedder.save(tmp_path / "run" / "best")
    if text is not None:
        (tmp_path / "run" / "experiment.json").write_text(text)
    facts = transfer([str(tmp_path / "run" / "best")], targets([home]))
    assert not cells(facts)["home"]["in_domain"]
    assert [w.split(" tells")[0] for w in facts["warnings"]] == [
        f"nothing beside {tmp_path / 'run' / 'best'}"
    ]


def test_training_data_that_is_gone_is_told(embedder: Embedder, tmp_path: Path, home: Path) -> None:
    model = trained(tmp_path / "run", embedder, tmp_path / "gone")
    (warning,) = transfer([model], targets([home]))["warnings"]
    assert warning.startswith(f"{tmp_path / 'gone'}, which {model} was trained on, cannot be read")


def test_only_files_of_one_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a": b"1", "b": b"22", "c": b"33", "d": b"22", "e": b"4444"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    a, b, c, d, e = (tmp_path / name for name in files)
    opened, real = list[Path](), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or real(path))
    gone = tmp_path / "gone"
    assert shared_pictures([a, b, gone], [c, d, e, gone]) == {d}
    assert set(opened) == {b, c, d}


def test_pictures_in_archives_are_compared_too(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"same")
    (tmp_path / "2.png").write_bytes(b"else")
    made = shutil.make_archive(str(tmp_path / "shard"), "tar", tmp_path, "1.png")
    inside = Path(made) / "1.png"
    outside = [tmp_path / "1.png", tmp_path / "2.png"]
    assert shared_pictures([inside], outside) == {outside[0]}
    assert shared_pictures(outside, [inside]) == {inside}


def test_datasets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    roots = [people(tmp_path / above / "set", SPLITS, "red") for above in ("a", "b")]
    assert [target.name for target in targets(roots)] == [str(root) for root in roots]


def test_what_cannot_be_measured_is_refused(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ValueError, match="at least one dataset, and each once"):
        targets([home, home / ".." / "home"])
    with pytest.raises(ValueError, match="at least one dataset"):
        targets([])
    with pytest.raises(ValueError, match="has no test pairs"):
        targets([people(tmp_path / "none", ("train", "train", "val"), "red")])
    for models in ([], ["m", "m"]):
        with pytest.raises(ValueError, match="at least one model, and each once"):
            transfer(models, targets([home]))


def test_the_command_prints_the_table_or_facts(
    embedder: Embedder, tmp_path: Path, home: Path, away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(result_action="return_value")
    app.command(transfer_command, name="transfer")
    model = trained(tmp_path / "run", embedder, home)
    words = ["transfer", model, "--data", str(home), "--data", str(away), "--device", "cpu"]
    app(words)
    printed = capsys.readouterr()
    assert printed.out.startswith("| model | home, R@1 |")
    assert f"{model} on away ..." in printed.err
    app([*words, "--save", str(tmp_path / "kept"), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["hardware"] and facts["command"].startswith("tipr")
    for target in ("home", "away"):
        (kept,) = (tmp_path / "kept" / target).iterdir()
        compared = comparison(read_runs(kept))["rows"][0]["scores"]["mAP"]
        assert compared == cells(facts)[target]["scores"]["mAP"]
    page = tmp_path / "page.md"
    page.write_text("<!-- t -->\n<!-- /t -->\n")
    app([*words, "--json", "--into", f"{page}#t"])
    assert json.loads(capsys.readouterr().out)["datasets"]
    assert "| model | home, R@1 |" in page.read_text()


def test_one_person_has_a_mean_without_an_interval(
    embedder: Embedder, tmp_path: Path, home: Path
) -> None:
    lone = people(tmp_path / "lone|some", ("train", "val", "test"), "blue")
    facts = transfer([trained(tmp_path / "run", embedder, home)], targets([lone, home]))
    assert cells(facts)["lone|some"]["scores"]["mAP"] == {"mean": 1.0, "low": None, "high": None}
    assert cells(facts)["home"]["scores"]["mAP"]["low"] is not None
    head, _, row, *_ = table(facts).splitlines()
    assert row.split("|")[2:4] == [" 100.0 ", " 100.0 "]
    assert head.startswith("| model | lone\\|some, R@1 |")
