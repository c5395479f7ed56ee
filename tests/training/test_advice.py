"""What is said of settings that look wrong for the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tipr.data.pairs import Pair
from tipr.data.sampling import PersonBalanced
from tipr.encoders.clip import CLIPConfig
from tipr.experiments import clip, clip_sdm
from tipr.training.advice import advice
from tipr.training.experiment import AdaptConfig, Experiment


def people(count: int, each: int = 2) -> list[Pair]:
    return [
        Pair(Path(f"{n}.png"), "a caption", person, n)
        for n, person in enumerate(p for p in range(count) for _ in range(each))
    ]


MANY = people(6000)
STARTED = replace(clip_sdm.small(), init_from="shipped:small")


def said(experiment: Experiment, pairs: Sequence[Pair], steps: int = 500) -> str:
    return "\n".join(advice(experiment, pairs, steps))


def test_good_settings_need_no_advice() -> None:
    assert said(STARTED, MANY) == ""


def test_few_people_are_learned_by_heart() -> None:
    assert "50 people are few for a whole encoder" in said(STARTED, people(50, 300))
    for adapt in (AdaptConfig(lora_rank=8), AdaptConfig(last_layers=1), AdaptConfig(frozen="text")):
        assert "are few for" not in said(replace(STARTED, adapt=adapt), people(50, 300))


def test_people_who_fill_a_batch_are_no_wrong_partners() -> None:
    pairs = people(20, 600)
    plain = replace(clip.small(), init_from="shipped:small")
    assert "5 % of a batch's other pairs show the same person" in said(plain, pairs)
    assert "same person" not in said(STARTED, pairs)


def test_people_with_few_pairs_are_shown_twice() -> None:
    data = replace(STARTED.data, sampling=PersonBalanced(per_person=4))
    assert "a person has 2.0 pairs on average" in said(replace(STARTED, data=data), MANY)


def test_few_pairs_need_a_start() -> None:
    fresh = replace(STARTED, init_from="")
    assert "1000 pairs are few to train an encoder from nothing" in said(fresh, people(500))
    assert said(fresh, MANY) == ""
    for adapt in (AdaptConfig(frozen="text"), AdaptConfig(lora_rank=8), AdaptConfig(last_layers=0)):
        assert "weights that were never trained" in said(replace(fresh, adapt=adapt), MANY)
    still = replace(STARTED, adapt=AdaptConfig(frozen="both"))
    assert "leaves the encoder as it was" in said(still, MANY)


@pytest.mark.parametrize(("lr", "warned"), [(1e-5, False), (1e-3, True)])
def test_pretrained_weights_are_soon_forgotten(lr: float, warned: bool) -> None:
    fine = replace(STARTED, encoder=CLIPConfig(), optim=replace(STARTED.optim, lr=lr))
    assert ("usually fine-tuned at 1e-5" in said(fine, MANY)) == warned
    low_rank = replace(fine, adapt=AdaptConfig(lora_rank=8))
    assert "fine-tuned" not in said(low_rank, MANY)


def test_steps_warm_up_and_averages_fit_each_other() -> None:
    assert "an epoch has 3 batches" in said(STARTED, MANY, 3)
    optim = replace(STARTED.optim, epochs=2, warmup_epochs=2.0)
    assert "the full rate is never reached" in said(replace(STARTED, optim=optim), MANY)
    short = replace(STARTED, optim=replace(STARTED.optim, epochs=1, warmup_epochs=0.1),
                    adapt=AdaptConfig(ema=0.999))  # fmt: skip
    told = said(short, MANY, 100)
    assert "averages over about 1000 steps and there are 100" in told and "try 0.9" in told
    assert "averages" not in said(short, MANY, 10_000)
    long = replace(short, optim=replace(short.optim, epochs=20), adapt=AdaptConfig(ema=0.9999))
    suggested = said(long, MANY, 1064).rpartition("try ")[2]
    assert 0.999 < float(suggested) < 1  # what is advised is accepted
