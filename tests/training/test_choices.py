"""What a run is trained on, by what it is chosen, and what it is told about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_resume import on, told

from tipr.data.augment import Augmentation
from tipr.data.noise import Noise
from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import evaluate
from tipr.experiments import clip, mgrl
from tipr.training import loop
from tipr.training.checkpoint import State
from tipr.training.experiment import AdaptConfig, Experiment, LogConfig, OptimConfig, changed
from tipr.training.log import Log
from tipr.training.loop import train
from tipr.training.parallel import alone

STILL = Augmentation(
    flip=0, shift=0, zoom=0, turn=0, light=0, saturation=0, cast=0, blur=0, noise=0, erase=0,
    drop_words=0,
)  # fmt: skip


def ran(experiment: Experiment, out: Path) -> list[dict]:
    train(experiment, out, device="cpu")
    return told(out)


def scores(mAP: float):
    from tipr.evaluation.evaluate import Report
    from tipr.evaluation.metrics import RetrievalMetrics

    found = RetrievalMetrics(R1=mAP, R5=mAP, R10=mAP, mAP=mAP, mINP=mAP, queries=1, gallery=1,
                             unmatched=0)  # fmt: skip
    return Report(t2i=found, i2t=found, persons=2)


def test_test_scores_choose_nothing(rectangles_root, tmp_path, monkeypatch) -> None:
    """Validation prefers the first epoch, test the second."""
    dataset, fingerprints = read_dataset(rectangles_root), []

    def planned(embedder: Embedder, pairs, *_):
        first = len(fingerprints) < 2
        fingerprints.append(embedder.fingerprint)
        return scores(0.9 if first == (pairs[0] == dataset.val[0]) else 0.1)

    monkeypatch.setattr(loop, "evaluate", planned)
    experiment = replace(on(clip.tiny(), rectangles_root), log=LogConfig(test=True))
    rows = ran(experiment, tmp_path)
    assert [(r["step"], r["mAP"]) for r in rows if r["kind"] == "test"] == [(1, 0.1), (2, 0.9)]
    assert len(set(fingerprints)) == 2
    assert Embedder.load(str(tmp_path / "best")).fingerprint == fingerprints[0]
    assert Embedder.load(str(tmp_path / "last")).fingerprint == fingerprints[-1]


def test_the_best_score_outlives_a_stop(tmp_path) -> None:
    method = clip.tiny().method.build(clip.TINY.build(), 2)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    State(alone(method), optimizer, scheduler, epoch=3, best=0.75).save(tmp_path / "last.pt")
    again = State(alone(method), optimizer, scheduler)
    again.load(tmp_path / "last.pt")
    assert (again.epoch, again.best) == (3, 0.75)


def test_noise_and_augmentation_reach_what_is_trained_on(rectangles_root, tmp_path) -> None:
    def losses(name: str, **data) -> list[float]:
        base = on(clip.tiny(), rectangles_root, epochs=1)
        experiment = replace(base, data=replace(base.data, **data))
        rows = ran(experiment, tmp_path / name)
        (facts,) = [row for row in rows if row["kind"] == "data"]
        assert ("captions_moved" in facts) == ("noise" in data)
        return [row["itc"] for row in rows if row["kind"] == "step"]

    plain = losses("plain", augmentation=STILL)
    assert losses("noisy", augmentation=STILL, noise=Noise(share=0.8)) != plain
    assert losses("augmented", augmentation=Augmentation()) != plain
    assert losses("again", augmentation=STILL) == plain


def test_an_average_moves_with_the_steps_of_a_run(rectangles_root, tmp_path) -> None:
    base = on(clip.tiny(), rectangles_root, epochs=1)
    train(replace(base, adapt=AdaptConfig(ema=0.5)), tmp_path, device="cpu")
    kept = Embedder.load(str(tmp_path / "last")).encoder.state_dict()
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    raw = {n.removeprefix("encoder."): x for n, x in state["method"].items()}
    assert state["shipped"]["average"]["n_averaged"] == 6  # batches
    apart = max((kept[name] - raw[name]).abs().max().item() for name in kept)
    assert 1e-4 < apart < 0.1


def test_a_head_that_learned_with_other_weights_is_not_kept(rectangles_root, tmp_path, capsys):
    base = on(mgrl.tiny(), rectangles_root, epochs=1)
    train(base, tmp_path / "plain", device="cpu")
    assert (tmp_path / "plain" / "best" / "reranker.json").is_file()
    train(replace(base, adapt=AdaptConfig(ema=0.5)), tmp_path / "mean", device="cpu")
    assert not (tmp_path / "mean" / "best" / "reranker.json").exists()
    assert "orders hits again is not kept" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_pictures_kept_decoded_outlive_an_epoch(workers, rectangles_root, tmp_path, monkeypatch):
    from tipr.data import batching

    opened = tmp_path / "opened"
    real = batching.open_image

    def counted(path: Path):
        with opened.open("a") as file:  # in whatever process
            file.write(f"{path}\n")
        return real(path)

    monkeypatch.setattr(batching, "open_image", counted)
    base = on(clip.tiny(), rectangles_root, epochs=3)
    train(replace(base, data=replace(base.data, workers=workers)), tmp_path / "run", device="cpu")
    paths = opened.read_text().splitlines()
    assert len(paths) == len(set(paths)) == 48


def test_advice_stands_in_the_log(rectangles_root, tmp_path) -> None:
    rows = ran(on(clip.tiny(), rectangles_root, epochs=1), tmp_path)
    sentences = [row["text"] for row in rows if row["kind"] == "advice"]
    assert any("few to train an encoder from nothing" in sentence for sentence in sentences)


def test_a_loss_that_is_no_number_is_null(tmp_path) -> None:
    Log(tmp_path).write("step", 1, {"itc": float("nan"), "lr": 0.5})
    (row,) = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert row["itc"] is None and row["lr"] == 0.5


WHOLE = {"adapt.lora_rank": "2", "adapt.ema": "0.5", "adapt.towards_start": "0.5"}


@pytest.mark.parametrize("name", WHOLE)
def test_sharding_refuses_what_needs_whole_weights(name, rectangles_root, tmp_path) -> None:
    sharded = replace(on(clip.tiny(), rectangles_root, sharded=True), init_from="shipped:small")
    with pytest.raises(ValueError, match=r"need whole weights; set optim\.sharded to false"):
        train(changed(sharded, name, WHOLE[name]), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_sharding_refuses_scaled_gradients(rectangles_root, tmp_path) -> None:
    sharded = on(clip.tiny(), rectangles_root, sharded=True, precision="fp16")
    with pytest.raises(ValueError, match=r"set optim\.precision to bf16 or full"):
        train(sharded, tmp_path / "run", device="cpu")


def test_parts_are_chosen_by_their_name() -> None:
    base = clip.tiny()
    pooled = changed(base, "data.augmentation", "ImagePool")
    assert type(pooled.data.augmentation).__name__ == "ImagePool"
    balanced = changed(pooled, "data.sampling", "PersonBalanced")
    assert changed(balanced, "data.sampling.per_person", "2").data.sampling.per_person == 2
    with pytest.raises(ValueError, match="or name another kind: Augmentation, PublishedAugm"):
        changed(base, "data.augmentation", "Pool")
    with pytest.raises(ValueError, match=r"as optim\.FIELD=VALUE$"):
        changed(base, "optim", "3")


def test_a_tracker_that_is_not_there_is_said_before_a_run_begins(rectangles_root, tmp_path) -> None:
    with pytest.raises(ValueError, match="no tracker 'nobody'"):
        train(on(clip.tiny(), rectangles_root), tmp_path / "run", track=("nobody",), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_reread_run_measures_as_it_did(rectangles_root, tmp_path) -> None:
    rows = ran(on(clip.tiny(), rectangles_root, epochs=1), tmp_path)
    found = evaluate(Embedder.load(str(tmp_path)), read_dataset(rectangles_root).val).t2i
    (val,) = [row for row in rows if row["kind"] == "val"]
    assert found.mAP == pytest.approx(val["mAP"])


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"chunk": -1}, {"save_minutes": -1.0}):
        with pytest.raises(ValueError, match=r"at least 0"):
            OptimConfig(epochs=1, lr=0.1, head_lr=0.1, **wrong)
