"""Both evaluations of the benchmark are right, and their processes are measured."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest
from references.metrics import averaged, scored, walked

from tipr.bench import evaluation
from tipr.bench.evaluation import Comparison, Shape, Way, compare, table
from tipr.cli.bench_evaluation import evaluation as command
from tipr.evaluation.metrics import COLUMNS

SMALL = Shape(queries=60, gallery=50, width=8, people=9)


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(SMALL, rounds=1)


@pytest.mark.parametrize("way", [evaluation.ours, evaluation.usual])
def test_both_ways_equal_the_walk_down_every_ranking(way) -> None:
    texts, images, asked, shown = evaluation._made_up(SMALL)
    rows = zip((texts @ images.T).tolist(), asked.tolist(), strict=True)
    expected = averaged([scored(walked(row, who, shown.tolist())) for row, who in rows])
    found = way(texts, images, asked, shown)
    assert found == pytest.approx({name: expected[name] for name in COLUMNS}, abs=1e-6)
    assert 0 < found["R1"] < 1


def test_the_processes_agree_and_are_measured(found) -> None:
    assert found.difference < 1e-6 and found.ours.scores.keys() == set(COLUMNS)
    assert found.time_ratio == pytest.approx(found.usual.seconds / found.ours.seconds)
    if sys.platform.startswith("linux"):
        assert min(found.ours.peak, found.usual.peak) > 50 << 20  # torch alone is more


def test_the_table_tells_both_ways_and_their_ratio() -> None:
    scores = dict.fromkeys(COLUMNS, 0.25)
    mine = Way(seconds=2.0, busy=2.5, peak=300 << 20, scores=scores)
    other = Way(seconds=9.0, busy=17.0, peak=6000 << 20, scores=scores)
    told = table(Comparison(shape=Shape(), rounds=2, ours=mine, usual=other, time_ratio=4.5,
                            memory_ratio=20.0, difference=3e-9))  # fmt: skip
    assert "| ours | 2.0 | 2.5 | 300 | 25.00 | 25.00 |\n| usual | 9.0 | 17.0 | 6,000 |" in told
    assert "takes 4.5 times as long and 20.0 times the memory. 19,848 queries" in told


def test_the_command_prints_the_numbers_as_json(capsys, monkeypatch) -> None:
    def here(name: str, shape: Shape) -> dict:
        return {**evaluation._process(name, *asdict(shape).values()), "peak": 1 << 30}

    monkeypatch.setattr(evaluation, "_in_a_process", here)
    command(queries=20, gallery=20, width=4, people=5, rounds=1, as_json=True)
    printed = capsys.readouterr()
    facts = json.loads(printed.out)
    assert facts["shape"] == {"queries": 20, "gallery": 20, "width": 4, "people": 5}
    assert facts["ours"]["scores"] == pytest.approx(facts["usual"]["scores"])
    assert "hardware" in facts and "usual, round 1 of 1" in printed.err


def test_ours_alone_needs_no_memory_for_the_other(monkeypatch, capsys) -> None:
    monkeypatch.setattr(evaluation, "_free_memory", lambda: 1)
    command(queries=20, gallery=20, width=4, people=5, rounds=1, alone=True)
    said = capsys.readouterr()
    assert "| ours |" in said.out and "usual" not in said.out + said.err
    assert "20 queries, 20 pictures of 5 people, width 4, rounds: 1." in said.out


def test_numbers_that_make_no_sense_are_answered_in_words(monkeypatch) -> None:
    with pytest.raises(ValueError, match="a picture of each person"):
        Shape(queries=10, gallery=10, people=11)
    with pytest.raises(ValueError, match="--rounds is at least 1"):
        compare(SMALL, rounds=0)
    monkeypatch.setattr(evaluation, "_free_memory", lambda: 1 << 30)
    with pytest.raises(ValueError, match=r"takes about 6\.6 GiB of memory and 1\.0 GiB are free"):
        compare(Shape(), rounds=1)


def test_a_process_that_fails_says_why(monkeypatch, tmp_path) -> None:
    launcher = tmp_path / "launcher.py"
    monkeypatch.setattr(evaluation, "_LAUNCHER", launcher)
    with pytest.raises(RuntimeError, match=r"'usual' failed \(-\): .*launcher.py"):
        evaluation._in_a_process("usual", SMALL)
    launcher.write_text("""if True:
        import json, pathlib, sys
        pathlib.Path(sys.argv[1]).write_text(json.dumps({"code": -9, "peak": 1}))
    """)
    with pytest.raises(RuntimeError, match=r"failed \(-9\): no message; out of memory\?"):
        evaluation._in_a_process("usual", SMALL)


def test_ways_that_differ_are_an_error(monkeypatch) -> None:
    def differing(name: str, shape: Shape) -> dict:
        value = 0.5 if name == "ours" else 0.6
        return {"seconds": 1.0, "busy": 1.0, "peak": None, "scores": dict.fromkeys(COLUMNS, value)}

    monkeypatch.setattr(evaluation, "_in_a_process", differing)
    with pytest.raises(RuntimeError, match=r"differ by 0\.1"):
        compare(SMALL, rounds=1)
