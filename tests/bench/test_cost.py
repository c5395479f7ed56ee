"""Costs of tiny methods; what they are on a real machine is not for a test to say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tipr.bench.cost import Cost, in_turn, measure, small_experiments
from tipr.bench.machine import commit, machine
from tipr.bench.memory import measured
from tipr.bench.subjects import fed, made_up, subject

CPU = torch.device("cpu")
OWN = """
from __future__ import annotations
from dataclasses import dataclass, replace
from tipr.experiments import clip, clip_sdm
from tipr.methods.clip import CLIPMethodConfig
from tipr.training.experiment import Experiment

@dataclass(frozen=True, kw_only=True)
class Student:
    richer: str = ""

    def build(self, encoder, num_persons):
        import torch
        state = torch.load(f"{self.richer}/last.pt", weights_only=True)
        encoder.load_state_dict({n[8:]: v for n, v in state["method"].items()
                                 if n.startswith("encoder.")})
        return CLIPMethodConfig().build(encoder, num_persons)

def small() -> Experiment:
    return replace(clip.tiny(), method=Student())

def richer() -> Experiment:
    return clip.tiny()

def unfit() -> Experiment:
    return replace(clip.tiny(), data=replace(clip.tiny().data, text_length=65))
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "own.py"


def test_methods_are_compared_and_ship_the_same_encoder(own, monkeypatch) -> None:
    monkeypatch.setattr("tipr.bench.cost.peak_memory", measured)
    names = [f"{own}:small", f"{own}:nothing"]
    costs, skipped = measure(names, batch=8, steps=2, device="cpu", base="clip_sdm:tiny")
    assert list(skipped) == [f"{own}:nothing"]
    base, student = costs
    assert (base.name, student.name) == ("clip_sdm:tiny", f"{own}:small")
    assert (base.relative_step, base.relative_encode, base.relative_parameters) == (1.0, 1.0, 1.0)
    assert (student.relative_parameters, student.relative_encode) == (1.0, 1.0)
    assert student.relative_step > 0 and student.parameters == base.parameters
    assert all(isinstance(cost, Cost) and cost.memory >= 0 for cost in costs)
    assert student.step_seconds > 0 and student.encode_seconds > 0
    assert "no function 'nothing'" in skipped[f"{own}:nothing"]


def test_a_dataset_of_ones_own_feeds_them(rectangles_root, tmp_path) -> None:
    ready = subject(fed("clip_sdm:tiny", rectangles_root, 8, tmp_path), rectangles_root, CPU)
    assert len(ready.batch) == 8


def test_steps_change_no_weights(tmp_path) -> None:
    root = made_up(tmp_path / "data", 8)
    ready = subject(fed("clip_sdm:tiny", root, 8, tmp_path), root, CPU)
    before = {name: value.clone() for name, value in ready.state.method.state_dict().items()}
    ready.step()
    ready.encode()
    assert all(v.equal(before[n]) for n, v in ready.state.method.state_dict().items())
    assert ready.encoder.training


def test_every_round_holds_each_work_once() -> None:
    done: list[str] = []
    seconds = in_turn({n: lambda n=n: done.append(n) for n in "abc"}, 2, CPU)
    assert ["".join(done[i : i + 3]) for i in range(0, 12, 3)] == ["abc", "bca", "cab", "abc"]
    assert {name: len(each) for name, each in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_all_small_experiments_are_measured() -> None:
    names = small_experiments()
    assert "clip:small" in names and "clip_sdm:small" in names
    assert len(set(names)) == len(names)


def test_numbers_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        measure([], batch=1)
    with pytest.raises(ValueError, match="at least 1"):
        measure([], steps=0)


def test_the_machine_is_named() -> None:
    assert f"{torch.get_num_threads()} threads" in machine(CPU)["hardware"]
    assert commit() is None or len((commit() or "").removesuffix("+changes")) >= 7
