"""The table of noisy correspondence: rows that differ in their method and their captions alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tipr.bench.ablation import planned
from tipr.data.noise import Noise
from tipr.experiments.find import experiment_names, find_table


def test_every_method_meets_every_share() -> None:
    runs = planned(find_table("noise"), Path("data"), Path("out"), [0])
    noises = [run.experiment.data.noise for run in runs]
    assert [noise.share for noise in noises] == [share for share in (0, 0.2, 0.5, 0.8)
                                                 for _ in range(4)]  # fmt: skip
    assert {noise.seed for noise in noises} == {0}
    assert len({run.folder for run in runs}) == 16


@pytest.mark.parametrize("method", ["CLIP", "SDM + ID", "IRRA", "SEN"])
def test_noise_is_all_that_sets_the_rows_of_a_method_apart(method: str) -> None:
    rows = find_table("noise").rows
    own = [row.experiment for name, row in rows.items() if name.split(" with ")[0] == method]
    clean = [replace(e, data=replace(e.data, noise=Noise())) for e in own]
    assert len(own) == 4
    assert all(experiment == own[0] for experiment in clean)
    assert own[0].optim.epochs > 1  # or the last epoch were the best


def test_rows_can_be_named_on_the_command_line() -> None:
    assert not any("," in name for name in find_table("noise").rows)
    assert not any(name.startswith("noise:") for name in experiment_names())
