from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import evaluate
from tipr.experiments import clip_sdm
from tipr.experiments.find import find_experiment
from tipr.methods.clip import CLIPMethod
from tipr.training.checkpoint import State
from tipr.training.experiment import OptimConfig, changed
from tipr.training.loop import train
from tipr.training.optimizer import build_optimizer, schedule
from tipr.training.parallel import alone


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_training_finds_held_out_people(tiny, tmp_path) -> None:
    still = replace(tiny.data.augmentation, flip=0.0, saturation=0.1, cast=0.02, light=0.1)
    experiment = replace(
        tiny,
        method=clip_sdm.tiny().method,
        data=replace(tiny.data, augmentation=still),
        optim=replace(tiny.optim, epochs=40, lr=3e-3),
    )
    embedder = train(experiment, tmp_path / "run", device="cpu")
    report = evaluate(embedder, read_dataset(tiny.data.root).test)
    assert 3 * report.chance <= report.t2i.R1
    assert report.persons == 6


def test_a_run_leaves_everything_that_is_needed_to_explain_it(tiny, tmp_path) -> None:
    train(tiny, tmp_path / "run", device="cpu")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {"experiment.json", "input", "metrics.jsonl", "last.pt", "best", "last"}
    told = [r for r in rows(tmp_path / "run") if r["kind"] != "advice"]
    kinds = [(r["kind"], r["step"]) for r in told]
    assert kinds == [("data", 0), ("train", 1), ("val", 1), ("train", 2), ("val", 2)]
    assert "itc" in told[1]


def test_a_resumed_run_ends_where_an_unbroken_one_does(tiny, tmp_path, monkeypatch) -> None:
    train(tiny, tmp_path / "whole", device="cpu")
    save = State.save

    def interrupted(state: State, path: Path) -> None:
        save(state, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(State, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tiny, tmp_path / "broken", device="cpu")
    monkeypatch.setattr(State, "save", save)
    train(tiny, tmp_path / "broken", resume=True, device="cpu")
    whole = torch.load(tmp_path / "whole/last.pt", weights_only=True)["method"]
    broken = torch.load(tmp_path / "broken/last.pt", weights_only=True)["method"]
    assert all(whole[name].equal(broken[name]) for name in whole)


def test_a_run_is_not_overwritten_by_accident(tiny, tmp_path) -> None:
    train(tiny, tmp_path / "run", device="cpu")
    with pytest.raises(ValueError, match="already holds a run"):
        train(tiny, tmp_path / "run", device="cpu")
    with pytest.raises(ValueError, match="no checkpoint to resume"):
        train(tiny, tmp_path / "other", resume=True, device="cpu")


def test_a_failed_checkpoint_leaves_the_one_before(tiny, tmp_path, monkeypatch) -> None:
    method = tiny.method.build(tiny.encoder.build(), 4)
    optimizer = build_optimizer(method, tiny.optim)
    state = State(
        alone(method), optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1.0)
    )
    state.save(tmp_path / "last.pt")
    before = (tmp_path / "last.pt").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="the checkpoint before it is intact"):
        state.save(tmp_path / "last.pt")
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not (tmp_path / "last.part").exists()


def test_a_checkpoint_never_executes_code(tiny, tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "trapped",))

    torch.save({"method": Trap()}, tmp_path / "last.pt")
    method = tiny.method.build(tiny.encoder.build(), 4)
    optimizer = build_optimizer(method, tiny.optim)
    state = State(
        alone(method), optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1.0)
    )
    with pytest.raises(ValueError, match="cannot be read"):
        state.load(tmp_path / "last.pt")
    assert not (tmp_path / "trapped").exists()


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = OptimConfig(epochs=10, lr=1.0, head_lr=1.0)
    rates = [schedule(step, 10, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001


def test_the_encoder_and_the_heads_have_their_own_rates() -> None:
    experiment = clip_sdm.tiny()
    method = experiment.method.build(experiment.encoder.build(), 7)
    optim = replace(experiment.optim, lr=1.0, head_lr=2.0)
    optimizer = build_optimizer(method, optim)
    heads = {id(p) for g in optimizer.param_groups if g["lr"] == 2.0 for p in g["params"]}
    assert heads == {id(p) for p in method.identity.parameters()}
    assert all(p.ndim > 1 for g in optimizer.param_groups if g["weight_decay"] for p in g["params"])


def test_a_setting_is_changed_by_name() -> None:
    experiment = changed(clip_sdm.tiny(), "optim.epochs", "7")
    assert experiment.optim.epochs == 7
    assert changed(experiment, "encoder.image_size", "[32, 16]").encoder.image_size == (32, 16)
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        changed(experiment, "optim.epoch", "7")
    with pytest.raises(ValueError, match="no int"):
        changed(experiment, "optim.epochs", "many")


def test_an_experiment_may_live_in_a_file_of_ones_own(tmp_path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from tipr.experiments.clip import tiny\ndef mine():\n    return tiny()\n")
    assert find_experiment(f"{file}:mine") == find_experiment("clip:tiny")
    with pytest.raises(ValueError, match="did you mean clip_sdm:small"):
        find_experiment("clip_sdm:smal")


def test_a_method_in_a_file_of_ones_own_may_be_a_dataclass(tmp_path) -> None:
    (tmp_path / "own.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from tipr.experiments.clip import tiny as mine\n"
        "@dataclass(frozen=True)\nclass Config:\n    margin: float = 0.2\n"
    )
    assert find_experiment(f"{tmp_path / 'own.py'}:mine") == find_experiment("clip:tiny")


def test_a_run_is_resumed_with_its_own_settings_only(tiny, tmp_path) -> None:
    train(tiny, tmp_path / "run", device="cpu")
    with pytest.raises(ValueError, match="same settings"):
        train(replace(tiny, seed=1), tmp_path / "run", resume=True, device="cpu")


def test_a_run_record_names_its_method(tiny) -> None:
    facts = json.loads(tiny.to_json())
    assert facts["method"]["is"] == "CLIPMethodConfig"
    assert facts["encoder"]["is"] == "CompactConfig"


def test_impossible_settings_are_refused_at_once(tiny, tmp_path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        changed(tiny, "optim.epochs", "0")
    with pytest.raises(ValueError, match="does not fit"):
        changed(tiny, "encoder.stem", '["a"]')
    with pytest.raises(ValueError, match="settings of its own"):
        changed(tiny, "optim", "3")
    longer = changed(tiny, "data.text_length", "99")
    with pytest.raises(ValueError, match=r"longer than encoder\.text_length"):
        train(longer, tmp_path / "run", device="cpu")


def test_without_validation_people_some_are_held_out_of_training(tiny, tmp_path, capsys) -> None:
    source = tiny.data.root
    kept = [r for r in json.loads((source / "reid_raw.json").read_text()) if r["split"] != "val"]
    (tmp_path / "reid_raw.json").write_text(json.dumps(kept))
    (tmp_path / "images").symlink_to(source / "images")
    experiment = replace(tiny, data=replace(tiny.data, root=tmp_path))
    train(experiment, tmp_path / "run", device="cpu")
    assert [r["kind"] for r in rows(tmp_path / "run")].count("val") == 2
    assert "people of the training split are held out" in capsys.readouterr().err


def test_captions_that_are_cut_are_counted(tiny, tmp_path, capsys) -> None:
    short = replace(tiny, data=replace(tiny.data, text_length=5))
    train(short, tmp_path / "run", device="cpu")
    facts = rows(tmp_path / "run")[0]
    assert facts["unread_captions"] == facts["captions"] > 0
    every = f"{facts['captions']} of {facts['captions']} captions"
    assert f"{every} are longer than the 5 tokens" in capsys.readouterr().err
    train(tiny, tmp_path / "whole", device="cpu")
    assert rows(tmp_path / "whole")[0]["unread_captions"] == 0


def test_the_returned_model_is_the_saved_one(tiny, tmp_path) -> None:
    embedder = train(tiny, tmp_path / "run", device="cpu")
    assert Embedder.load(tmp_path / "run", "cpu").fingerprint == embedder.fingerprint


def test_the_method_knows_the_epoch(tiny, tmp_path, monkeypatch) -> None:
    seen: list[int] = []
    forward = CLIPMethod.forward

    def noted(method, batch):
        seen.append(method.epoch)
        return forward(method, batch)

    monkeypatch.setattr(CLIPMethod, "forward", noted)
    train(tiny, tmp_path / "run", device="cpu")
    assert sorted(set(seen)) == [0, 1]
