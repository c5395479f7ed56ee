from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tipr.bench.ablation import planned
from tipr.bench.supported import _companions, queries_with_supports
from tipr.data.readers import read_dataset
from tipr.experiments import clip, lcr2s
from tipr.experiments.table import Row, Table
from tipr.training.loop import train


def test_the_companions_are_the_next_of_the_same_person() -> None:
    rows = torch.arange(5.0)[:, None]
    supports, present = _companions(rows, ["a", "b", "a", "a", "c"], slots=2)
    found = [s[p].flatten().tolist() for s, p in zip(supports, present, strict=True)]
    assert found == [[2, 3], [], [3, 0], [0, 2], []]


def test_the_richer_model_is_measured_with_supports(tiny, tmp_path, monkeypatch) -> None:
    base = lcr2s.richer_tiny()
    data = replace(base.data, root=tiny.data.root, augmentation=tiny.data.augmentation)
    experiment = replace(base, data=data, optim=replace(base.optim, epochs=1))
    train(experiment, tmp_path / "richer", device="cpu")
    test = read_dataset(tiny.data.root).test
    seen = []
    forward = torch.nn.Module.__call__

    def noted(module, *args):
        if module.__class__.__name__ == "Fusion":
            seen.append(args[2].sum(dim=1))
        return forward(module, *args)

    monkeypatch.setattr(torch.nn.Module, "__call__", noted)
    device = torch.device("cpu")
    measured = queries_with_supports(tmp_path / "richer", experiment, test, device)
    assert len(measured.values) == len(test)
    assert len(seen) == 2 and all(counts.min() >= 1 for counts in seen)  # pictures and captions
    with pytest.raises(ValueError, match="only LCR2S"):
        queries_with_supports(tmp_path / "richer", tiny, test, device)
    (tmp_path / "richer" / "last.pt").unlink()
    with pytest.raises(ValueError, match="no checkpoint"):
        queries_with_supports(tmp_path / "richer", experiment, test, device)


def test_a_longer_row_has_so_many_times_the_epochs(tiny, tmp_path) -> None:
    rows = {"plain": Row(experiment=clip.tiny()), "twice": Row(experiment=clip.tiny(), longer=2)}
    table = Table(rows=rows, base="plain")
    runs = planned(table, tiny.data.root, tmp_path, [0], ["optim.epochs=3"])
    assert [run.experiment.optim.epochs for run in runs] == [3, 6]
