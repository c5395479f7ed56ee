"""Tables of tiny runs on coloured rectangles: finished, interrupted, failed, taught."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tipr.bench.ablation import planned, run_folder, run_table
from tipr.bench.report import markdown, report
from tipr.data.pairs import Batch
from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.encoders.encoder import Encoder
from tipr.evaluation.compare import rows_of
from tipr.evaluation.evaluate import evaluate
from tipr.evaluation.records import record
from tipr.evaluation.runs import read_runs
from tipr.experiments import clip, clip_sdm
from tipr.experiments.table import Claim, Row, Table
from tipr.methods.method import Method
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class PulledConfig:
    """Pulls the encoder towards that of another run, or away to infinity."""

    richer: str = ""
    weight: float = 1.0

    def build(self, encoder: Encoder, num_persons: int) -> Pulled:
        return Pulled(self, encoder)


class Pulled(Method):
    def __init__(self, config: PulledConfig, encoder: Encoder) -> None:
        super().__init__()
        self.weight, self.encoder = config.weight, encoder
        where = Path(config.richer) / "last.pt"
        self.there = torch.load(where, weights_only=True)["method"] if config.richer else {}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        state = self.encoder.named_parameters()
        pulls = [(p - self.there.get(f"encoder.{n}", 0.0)).square().mean() for n, p in state]
        return {"pull": self.weight * torch.stack(pulls).sum()}


def brief(experiment: Experiment) -> Experiment:
    return replace(experiment, optim=replace(experiment.optim, epochs=2))


def pulled(weight: float = 1.0) -> Experiment:
    return brief(replace(clip.tiny(), method=PulledConfig(weight=weight)))


TWO = Table(
    rows={
        "plain": Row(experiment=brief(clip.tiny())),
        "with SDM": Row(experiment=brief(clip_sdm.tiny())),
    },
    base="plain",
    claims=(Claim(says="SDM helps", better="with SDM", worse="plain"),),
)
TAUGHT = Table(
    rows={
        "student": Row(experiment=pulled(), teacher="teacher"),
        "teacher": Row(experiment=brief(clip.tiny())),
        "broken": Row(experiment=pulled(weight=float("inf"))),
        "learns from it": Row(experiment=pulled(), teacher="broken"),
    },
    base="teacher",
)


def result(out: Path, row: str, seed: int) -> dict:
    return json.loads((run_folder(out, row, seed) / "result.json").read_text())


def values(out: Path, row: str, seed: int) -> np.ndarray:
    with np.load(run_folder(out, row, seed) / "queries.npz", allow_pickle=False) as arrays:
        return arrays["values"]


@pytest.fixture(scope="module")
def finished(rectangles_root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert run_table(TWO, rectangles_root, out, [0, 1], device="cpu") == 0
    return out


def test_every_row_is_trained_with_every_seed_and_measured_on_test(finished, rectangles_root):
    test = read_dataset(rectangles_root).test
    for row in TWO.rows:
        for seed in (0, 1):
            found = result(finished, row, seed)
            model = Embedder.load(run_folder(finished, row, seed), "cpu")
            assert found["test"] == evaluate(model, test).t2i.to_json()
            assert (found["row"], found["seed"], found["starts"]) == (row, seed, 1)
            assert found["seconds"] > 0 and found["torch"] == torch.__version__
            assert "threads" in found["hardware"] and "commit" in found
            assert values(finished, row, seed).shape == (len(test), 5)
    assert not list(finished.glob("*/*/last.pt"))


def test_runs_are_compared_with_what_was_evaluated_alone(finished, rectangles_root) -> None:
    data = read_dataset(rectangles_root)
    folder = run_folder(finished, "plain", 0)
    alone = record(Embedder.load(folder, "cpu"), data.test, person=data.person)
    assert result(finished, "plain", 0)["digests"] == alone.facts["digests"]
    rows = rows_of(read_runs(finished))
    assert [(row.name, row.seeds) for row in rows] == [("plain", [0, 1]), ("with SDM", [0, 1])]


def test_seeds_train_different_models_and_rows_differ(finished) -> None:
    prints = {Embedder.load(p.parent, "cpu").fingerprint for p in finished.glob("*/*/result.json")}
    assert len(prints) == 4


def test_a_finished_table_is_not_trained_again(finished, rectangles_root) -> None:
    stamps = {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}
    assert run_table(TWO, rectangles_root, finished, [0, 1], device="cpu", budget_s=0) == 0
    assert stamps == {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()}


def test_an_interrupted_table_goes_on_to_the_same_numbers(
    finished, rectangles_root, tmp_path, monkeypatch
) -> None:
    save, saved = State.save, []

    def interrupted(state: State, path: Path) -> None:
        save(state, path)
        saved.append(path)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(State, "save", interrupted)
        run_table(TWO, rectangles_root, tmp_path, [0, 1], device="cpu")
    assert [p.parent for p in tmp_path.rglob("result.json")] == [run_folder(tmp_path, "plain", 0)]
    assert run_table(TWO, rectangles_root, tmp_path, [0, 1], device="cpu") == 0
    assert result(tmp_path, "with SDM", 0)["starts"] == 2
    for row in TWO.rows:
        for seed in (0, 1):
            assert np.array_equal(values(tmp_path, row, seed), values(finished, row, seed))
            assert result(tmp_path, row, seed)["test"] == result(finished, row, seed)["test"]


def test_no_run_is_begun_after_the_budget(rectangles_root, tmp_path) -> None:
    assert run_table(TWO, rectangles_root, tmp_path, [0, 1], device="cpu", budget_s=0) == 4
    assert not list(tmp_path.rglob("experiment.json"))


def test_rows_of_one_seed_come_before_the_next_seed_and_teachers_before_students(tmp_path) -> None:
    runs = planned(TAUGHT, tmp_path, tmp_path, [0, 1])
    order = ["teacher", "student", "broken", "learns from it"]
    assert [(r.row, r.seed) for r in runs] == [(row, seed) for seed in (0, 1) for row in order]
    asked = planned(TAUGHT, tmp_path, tmp_path, [3], rows=["student"])
    assert [r.row for r in asked] == ["teacher", "student"]
    assert asked[1].teacher == run_folder(tmp_path, "teacher", 3)
    assert {r.experiment.seed for r in asked} == {3}


def test_a_failing_row_is_told_and_the_others_go_on(rectangles_root, tmp_path, capsys) -> None:
    assert run_table(TAUGHT, rectangles_root, tmp_path, [0], device="cpu") == 2
    kept = [p.parent.parent.name for p in tmp_path.glob("*/*/last.pt")]
    assert kept == ["teacher"]
    facts = report(TAUGHT, tmp_path, [0])
    assert [f["row"] for f in facts["failed"]] == ["broken", "learns from it"]
    assert "the loss is no longer a number" in facts["failed"][0]["reason"]
    assert "teacher" in facts["failed"][1]["reason"]
    assert facts["rows"]["broken"] == {"seeds": []} and facts["rows"]["student"]["seeds"] == [0]
    page = markdown(facts)
    assert "- failed: broken, seed 0: FloatingPointError" in page
    assert "No finished run yet: broken, learns from it." in page
    assert capsys.readouterr().out == ""


def test_a_student_learns_from_the_run_of_its_teacher(rectangles_root, tmp_path) -> None:
    run_table(TAUGHT, rectangles_root, tmp_path, [0], ["optim.epochs=1"], ["student"], "cpu")
    record = json.loads((run_folder(tmp_path, "student", 0) / "experiment.json").read_text())
    assert record["method"]["richer"] == str(run_folder(tmp_path, "teacher", 0))
    assert record["optim"]["epochs"] == 1


def test_mistakes_are_found_before_anything_is_trained(finished, rectangles_root) -> None:
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"rows": ["plane"]}, "choose from plain, with SDM"),
        ({"changes": ["optim.epoch=1"]}, "did you mean 'epochs'"),
        ({"changes": ["optim.epochs"]}, "FIELD=VALUE"),
        ({"changes": ["optim.epochs=9"]}, "trained with other settings"),
    ]
    for words, message in mistakes:
        with pytest.raises(ValueError, match=message):
            run_table(TWO, rectangles_root, finished, [0], **words)
    with pytest.raises(ValueError, match="no folder"):
        run_table(TWO, rectangles_root / "nowhere", finished, [0])
    same = Table(rows={"a b": TWO.rows["plain"], "a-b": TWO.rows["plain"]}, base="a-b")
    with pytest.raises(ValueError, match="same folder"):
        planned(same, rectangles_root, finished, [0])
