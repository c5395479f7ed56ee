"""`tipr bench speed`: who takes turns with whom, what is counted, and what the verb says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tipr
from tipr.bench import speed, speed_worker
from tipr.bench.speed import Amount, Worker, in_turn, measure, sentences
from tipr.bench.speed_facts import PEAKS, STAGES
from tipr.bench.speed_worker import Model
from tipr.cli import app
from tipr.embedder import Embedder


class Clock:
    """A worker that writes down when it is asked."""

    def __init__(self, name: str, asked: list[tuple[str, str]]) -> None:
        self.name, self.asked = name, asked

    def run(self, stage: str) -> list[float]:
        self.asked.append((self.name, stage))
        return [float(len(self.asked))]


def test_workers_take_turns_stage_by_stage_and_another_begins_each_round() -> None:
    asked: list[tuple[str, str]] = []
    workers = {name: Clock(name, asked) for name in "ab"}
    rounds = in_turn(Clock("machine", asked), workers, 2, lambda _: None)
    order = "".join(name for name, stage in asked if stage == "index")
    assert order == "ab" + "ba" + "ab"
    one_round = [stage for name, stage in asked if name == "a"][: len(STAGES)]
    assert one_round == list(STAGES)
    assert len(rounds) == 2
    counted = rounds[0].taken["b"]["decode alone"]
    assert counted == [len(asked) // 3 + 1]  # the first of the round after the warm-up


def test_the_machine_is_asked_just_before_each_stage_that_is_judged_by_it() -> None:
    asked: list[tuple[str, str]] = []
    in_turn(Clock("machine", asked), {"a": Clock("a", asked)}, 1, lambda _: None)
    pairs = Counter(
        (what, asked[place + 1][1]) for place, (name, what) in enumerate(asked) if name == "machine"
    )
    assert pairs == {(what, stage): 2 for stage, what in PEAKS.items()}


def test_a_worker_that_dies_is_told_with_its_last_words(tmp_path, monkeypatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import sys\ninput()\nprint('[1]', flush=True)\ninput()\n"
                      "sys.exit('first\\nno memory is left')")  # fmt: skip
    monkeypatch.setattr(speed, "SCRIPT", script)
    with Worker("small", tmp_path, [], tmp_path / "log") as worker:
        assert worker.run("decode") == [1]
        with pytest.raises(RuntimeError, match="measuring small failed at run index: no memory"):
            worker.run("index")
        with pytest.raises(RuntimeError, match="measuring small failed at told: no memory"):
            worker.ask("told")


def test_a_worker_that_dies_without_a_word_is_told_with_its_status(tmp_path, monkeypatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import sys\ninput()\nprint('a warning', file=sys.stderr)\nsys.exit(7)")
    monkeypatch.setattr(speed, "SCRIPT", script)
    with (
        Worker("small", tmp_path, [], tmp_path / "log") as worker,
        pytest.raises(RuntimeError, match="its process ended with status 7"),
    ):
        worker.ask("ready")


def test_another_tipr_than_the_one_asked_for_is_not_measured(tmp_path) -> None:
    imported = {"tipr": tipr.__file__, "width": 8}
    worker = SimpleNamespace(name="small", ask=lambda *order: imported)
    with pytest.raises(RuntimeError, match="was imported in place of the build"):
        speed._check_build(worker, tmp_path)  # ty: ignore


def test_sentences_differ_and_are_ordinary_in_length() -> None:
    made = sentences(300)
    assert len(set(made)) == 300 and made == sentences(300)
    tokens = Embedder.load("shipped:small", "cpu").tokenizer(made)
    assert 22 < float((tokens != 0).sum(dim=1).float().mean()) < 28


def test_multiplications_and_additions_are_counted_of_attention_too() -> None:
    linear = nn.Linear(8, 4, bias=False)
    assert speed_worker._flops(linear, [torch.rand(3, 8), torch.rand(1, 8)]) == 2 * 2 * 8 * 4

    def attend(x: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(x, x, x)

    assert speed_worker._flops(attend, [torch.rand(1, 2, 5, 8)]) == 2 * 2 * (2 * 5 * 5 * 8)


@pytest.mark.parametrize(("index", "each", "read"), [("exact", 4, "vectors"),
                                                     ("codes", 1 / 4, "codes")])  # fmt: skip
def test_a_search_has_to_read_all_codes_where_there_are_some(embedder, index, each, read) -> None:
    from PIL import Image

    height, width = embedder.transform.size
    store = SimpleNamespace(facts=lambda: {"index": index, "rows": 1000})
    model = SimpleNamespace(
        embedder=embedder, sized=[Image.new("RGB", (width, height))], texts=["a red coat", "red"],
        plain=False, searcher=SimpleNamespace(gallery=SimpleNamespace(store=store)),
    )  # fmt: skip
    work = Model.work(model)  # ty: ignore
    assert work["search"] == 1000 * embedder.width * each and work["searched"] == read
    assert work["image"] > work["text"] > 0


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_each_thread_has_one_core_to_itself(three_threads) -> None:
    meeting, seen = threading.Barrier(2, timeout=20), set()

    def work(item: int) -> None:
        meeting.wait()  # two threads have to be there
        seen.add(torch.get_num_threads())

    [seconds] = speed_worker._in_threads(2, work, range(4))
    assert seconds > 0 and seen == {1} and torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError):
        speed_worker._in_threads(1, lambda item: 1 / item, [0])
    assert torch.get_num_threads() == 3


def test_items_that_share_a_call_share_its_time(monkeypatch) -> None:
    ticks = iter([0.0, 6.0, 10.0, 11.0, 20.0, 23.0])
    monkeypatch.setattr(speed_worker.time, "perf_counter", lambda: next(ticks))
    assert speed_worker._at_once(len, "abc") == [2.0]
    assert speed_worker._one_by_one(ord, "ab") == [1.0, 3.0]


def test_crops_that_were_not_stored_are_no_result(embedder, tmp_path) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for name in "ab":  # the same picture
        Image.new("RGB", (10, 20)).save(tmp_path / "images" / f"{name}.jpg")
    files = sorted((tmp_path / "images").iterdir())
    model = SimpleNamespace(embedder=embedder, folder=tmp_path / "images", files=files)
    with pytest.raises(RuntimeError, match="1 of 2 crops were stored"):
        Model._index(model)  # ty: ignore
    (tmp_path / "images" / "b.jpg").unlink()
    model.files.pop()
    assert Model._index(model)[0] > 0  # ty: ignore
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.fixture
def other_build(tmp_path: Path) -> Path:
    """The same code from another folder, where something prints whenever the time is taken."""
    here = tmp_path / "old" / "tipr"
    here.mkdir(parents=True)
    home = str(Path(tipr.__file__).parent)
    (here / "__init__.py").write_text(
        f"__path__ = [{home!r}]\nimport time\ntick = time.perf_counter\n"
        "time.perf_counter = lambda: print('tick', flush=True) or tick()\n"
    )
    return here.parent


def test_two_builds_are_measured_and_told(embedder, other_build, tmp_path, capsys) -> None:
    embedder.save(tmp_path / "model")
    name = str(tmp_path / "model")
    app(["bench", "speed", name, "--crops", "13", "--rows", "300", "--rounds", "1",
         "--against", str(other_build), "--json"])  # fmt: skip
    printed = capsys.readouterr()
    facts = json.loads(printed.out)
    names = [name, f"{name} of {other_build}"]
    assert list(facts["subjects"]) == names and facts["crops"] == 13
    stages = [told for told in STAGES.values() if told]
    rows = [(row["stage"], row["subject"]) for row in facts["stages"]]
    assert rows == [(stage, subject) for stage in stages for subject in names]
    assert all(row["ratio"] == 1 for row in facts["stages"] if row["subject"] == name)
    assert all(min(row["rate"], row["limit"], row["reached"]) > 0 for row in facts["stages"])
    ours, theirs = facts["subjects"].values()
    assert ours["work"] == theirs["work"] and ours["held"] and theirs["held"]
    assert ours["work"]["search"] == 4 * 300 * embedder.width
    assert "round 1 of 1: search" in printed.err


def test_what_makes_no_sense_is_refused(tmp_path) -> None:
    for wrong in ({"crops": 0}, {"rows": 0}, {"rounds": 0}):
        with pytest.raises(ValueError, match="--crops, --rows and --rounds are at least 1"):
            Amount(**wrong)
    with pytest.raises(ValueError, match="there is no model at nothing"):
        measure(["nothing"], Amount())
    with pytest.raises(ValueError, match=r"there is no tipr in .*--against takes the folder"):
        measure(["shipped:small"], Amount(), tmp_path)


def test_as_many_crops_are_made_as_asked_for(tmp_path) -> None:
    speed._prepare(tmp_path, Amount(crops=15))
    assert len(list((tmp_path / "images").iterdir())) == 15
    assert len(json.loads((tmp_path / "sentences.json").read_text())) == speed.TEXTS


def test_the_machine_tells_seconds_of_a_flop_and_of_a_byte(monkeypatch) -> None:
    monkeypatch.setattr(speed_worker, "_SIDE", 8)
    monkeypatch.setattr(speed_worker, "_ARRAY", 1000)
    machine = speed_worker.Machine()
    times = iter([5.0, 3.0, 4.0])
    monkeypatch.setattr(speed_worker, "_timed", lambda work: work() is not None and next(times))
    assert machine.run("matrix") == [3.0 / (2 * 8**3)]
    times = iter([2.0] * 3)
    assert machine.run("memory") == [2.0 / 4000]
