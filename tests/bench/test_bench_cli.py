"""`tipr bench` through its real entry point, in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from terminal import tipr

from tipr.cli.bench import _rendered

MINE = """
from __future__ import annotations
from dataclasses import replace
from tipr.experiments import clip, clip_sdm
from tipr.experiments.table import Claim, Row, Table

def ablation() -> Table:
    return Table(
        rows={"plain": Row(experiment=clip.tiny()), "with SDM": Row(experiment=clip_sdm.tiny())},
        base="plain",
        claims=(Claim(says="SDM helps", better="with SDM", worse="plain"),),
    )
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def test_a_table_is_stopped_by_its_budget_and_finished_later(mine, rectangles_root, tmp_path):
    out = tmp_path / "out"
    words = ("bench", "ablation", mine, "--data", rectangles_root, "--out", out, "--seeds", 1,
             "--set", "optim.epochs=1", "--device", "cpu")  # fmt: skip
    stopped = tipr(*words, "--budget", 0)
    assert "2 runs are left" in stopped.stderr and "No finished run yet" in stopped.stdout
    facts = json.loads(tipr(*words, "--json").stdout)
    assert [row["seeds"] for row in facts["rows"].values()] == [[0], [0]]
    again = tipr(*words)
    assert again.stdout == (out / "table.md").read_text() and again.stderr == ""
    assert json.loads((out / "table.json").read_text()) == facts
    assert again.stdout.startswith("| row | seeds | R@1 |")


def test_costs_are_printed(rectangles_root) -> None:
    words = (
        "bench",
        "methods",
        "--only",
        "clip_sdm:tiny",
        "--base",
        "clip_sdm:tiny",
        "--batch",
        4,
        "--steps",
        1,
    )
    facts = json.loads(tipr(*words, "--data", rectangles_root, "--json").stdout)
    assert [row["name"] for row in facts["methods"]] == ["clip_sdm:tiny"]
    assert facts["methods"][0]["relative_step"] == 1.0 and facts["methods"][0]["memory"] > 0
    assert facts["skipped"] == {}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("ablation", "nothing", "--data", "d", "--out", "o"), 1, "there is no ablation"),
        (("ablation", "mine.py", "--data", "d", "--out", "o", "--seeds", "0"), 1, "--seeds"),
        (("methods", "--batch", "1"), 1, "--batch is at least 4"),
    ],
)
def test_mistakes_are_answered_in_words(words, code, message, mine, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = tipr("bench", *words, code=code)
    assert message in done.stderr + done.stdout
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".py"] in ([], ["__pycache__"])


def test_the_set_of_the_results_is_rendered_once(tmp_path, monkeypatch) -> None:
    asked: list[dict] = []

    def render(folder: Path, **settings) -> None:
        asked.append(settings)
        folder.mkdir()

    monkeypatch.setattr("tipr.data.synthetic.dataset.render_dataset", render)
    for _ in range(2):
        assert _rendered(tmp_path / "out" / "data") == tmp_path / "out" / "data"
    (settings,) = asked
    del settings["workers"], settings["progress"]
    assert settings == {"people": 5000, "images": 5, "level": "medium", "seed": 7}
