from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tipr.bench.ablation import run_table
from tipr.bench.completion import KINDS, _somebody_else, completion_accuracy
from tipr.bench.extras import NAMED, RERANKED, hardest_words, measured_also
from tipr.bench.trained import trained_method
from tipr.data.difficulty import Difficulty, load_difficulty
from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.experiments import clip, mgrl
from tipr.experiments.table import Row, Table
from tipr.training.experiment import Experiment
from tipr.training.loop import train

CPU = torch.device("cpu")


@pytest.fixture
def experiment(tiny: Experiment) -> Experiment:
    base = replace(mgrl.tiny(), data=tiny.data)
    return replace(base, optim=replace(base.optim, epochs=1))


@pytest.fixture
def run(experiment: Experiment, tmp_path: Path) -> Path:
    train(experiment, tmp_path / "run", device="cpu")
    return tmp_path / "run"


def test_a_whole_method_is_loaded_as_training_left_it(run, experiment) -> None:
    method, batcher = trained_method(run, experiment, CPU)
    weights = torch.load(run / "last.pt", weights_only=True)["method"]
    assert all(value.equal(weights[name]) for name, value in method.state_dict().items())
    assert not method.training and batcher.augmentation is None
    (run / "last.pt").unlink()
    with pytest.raises(ValueError, match="no checkpoint"):
        trained_method(run, experiment, CPU)


def test_mgrl_is_also_measured_by_its_words_and_pair_by_pair(run, experiment) -> None:
    test = read_dataset(experiment.data.root).test
    embedder = Embedder.load(run, "cpu")
    also = measured_also(run, experiment, test, embedder)
    assert set(also) == {NAMED, RERANKED}
    assert set(also[NAMED]) == set(KINDS) and all(0 <= v <= 1 for v in also[NAMED].values())
    assert measured_also(run, replace(experiment, method=clip.tiny().method), test, embedder) == {}


def test_without_pictures_all_pictures_help_alike(run, experiment, monkeypatch) -> None:
    method, batcher = trained_method(run, experiment, CPU)
    test = read_dataset(experiment.data.root).test
    found = completion_accuracy(method, batcher, test, CPU)
    assert found == completion_accuracy(method, batcher, test, CPU)  # the masks are the same
    monkeypatch.setattr(method, "seen", lambda image: torch.zeros(len(image.embedding), 3, 64))
    blind = completion_accuracy(method, batcher, test, CPU)
    assert blind["the picture"] == blind["a wrong picture"]
    one = [pair for pair in test if pair.person_id == test[0].person_id]
    with pytest.raises(ValueError, match="two people"):
        completion_accuracy(method, batcher, one, CPU)


def test_the_wrong_picture_is_somebody_elses(run, experiment) -> None:
    _, batcher = trained_method(run, experiment, CPU)
    batch = batcher(read_dataset(experiment.data.root).test)
    other = _somebody_else(batch)
    assert (batch.person_ids[other] != batch.person_ids).all()


def test_words_are_as_hard_as_a_run_before_says(experiment, tiny, tmp_path) -> None:
    tabled = replace(experiment.method, selection="table")
    batching = Difficulty(table=Path("unmade.json"))
    second = replace(experiment, method=tabled, data=replace(experiment.data, batching=batching))
    rows = {"first": Row(experiment=experiment), "second": Row(experiment=second, words_of="first")}
    table = Table(rows=rows, base="first")
    assert run_table(table, tiny.data.root, tmp_path, [0], device="cpu") == 0
    words = load_difficulty(tmp_path / "first" / "seed-0" / "difficulty.json")
    captions = {pair.caption for pair in read_dataset(tiny.data.root).train}
    assert set(words) == captions
    with pytest.raises(ValueError, match="no run of MGRL"):
        other = replace(clip.tiny(), data=tiny.data, optim=experiment.optim)
        train(other, tmp_path / "clip", device="cpu")
        hardest_words(tmp_path / "clip", other, [], tmp_path / "words.json")
