"""What looks wrong in the settings for so many people and pictures, said before time is spent.

Rules of thumb, not errors: each names what was found and the setting to try.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from tipr.data.pairs import Pair
from tipr.data.sampling import PersonBalanced
from tipr.encoders.clip import CLIPConfig
from tipr.methods.clip import CLIPMethodConfig
from tipr.training.experiment import Experiment

FEW_PEOPLE = 200  # below it a whole encoder learns its people by heart
ENOUGH_PAIRS = 10_000  # from which on an encoder can be trained from nothing
FINE_TUNING_RATE = 1e-4  # above it CLIP's weights are soon forgotten; published rates are 1e-5
WRONG_NEGATIVES = 0.02  # share of a batch's other rows that are the same person
FEW_STEPS = 20


def advice(experiment: Experiment, pairs: Sequence[Pair], steps: int) -> list[str]:
    """Sentences, most important first; none where nothing looks wrong.

    `pairs` are what is trained on, `steps` the batches of an epoch.
    """
    people = Counter(pair.person_id for pair in pairs)
    return [*_about_people(experiment, people), *_about_start(experiment, len(pairs)),
            *_about_steps(experiment, steps)]  # fmt: skip


def _about_people(experiment: Experiment, people: Counter[int]) -> Iterator[str]:
    adapt, sampling, total = experiment.adapt, experiment.data.sampling, people.total()
    whole = adapt.frozen == "none" and adapt.last_layers < 0 and not adapt.lora_rank
    if len(people) < FEW_PEOPLE and whole and experiment.init_from:
        yield (f"{len(people)} people are few for a whole encoder, which would learn them by "
               "heart; try adapt.lora_rank=8, or adapt.last_layers=2, and "
               "adapt.towards_start=0.5")  # fmt: skip
    alike = sum(n * (n - 1) for n in people.values()) / max(total * (total - 1), 1)
    if isinstance(experiment.method, CLIPMethodConfig) and alike > WRONG_NEGATIVES:
        yield (f"{100 * alike:.0f} % of a batch's other pairs show the same person, and the "
               "contrastive loss counts them as wrong; try clip_sdm")  # fmt: skip
    if isinstance(sampling, PersonBalanced) and total / len(people) < sampling.per_person:
        yield (
            f"data.sampling.per_person is {sampling.per_person}, but a person has "
            f"{total / len(people):.1f} pairs on average, so many are shown twice; lower it"
        )


def _about_start(experiment: Experiment, pairs: int) -> Iterator[str]:
    config, optim = experiment.encoder, experiment.optim
    if not experiment.init_from and pairs < ENOUGH_PAIRS and experiment.adapt.frozen == "none":
        yield (f"{pairs} pairs are few to train an encoder from nothing; start from one with "
               "--init-from shipped:small, or from CLIP's weights")  # fmt: skip
    pretrained = isinstance(config, CLIPConfig) and experiment.init_from
    if pretrained and optim.lr > FINE_TUNING_RATE and not experiment.adapt.lora_rank:
        yield (f"optim.lr is {optim.lr:g}; CLIP's weights are usually fine-tuned at 1e-5, and "
               "soon forgotten above 1e-4")  # fmt: skip
    adapt = experiment.adapt
    held = adapt.frozen != "none" or adapt.last_layers >= 0 or adapt.lora_rank
    if held and not experiment.init_from:
        yield "adapt.* holds on to weights that were never trained; add --init-from"
    if adapt.frozen == "both":
        yield "adapt.frozen=both leaves the encoder as it was; only heads of the method learn"


def _about_steps(experiment: Experiment, steps: int) -> Iterator[str]:
    optim, total = experiment.optim, steps * experiment.optim.epochs
    if steps < FEW_STEPS:
        yield (f"an epoch has {steps} batches; lower data.batch_size or raise optim.epochs so that "
               "there are steps enough to learn in")  # fmt: skip
    if optim.warmup_epochs >= optim.epochs:
        yield (f"optim.warmup_epochs is {optim.warmup_epochs:g} of {optim.epochs} epochs, so the "
               "full rate is never reached; lower it")  # fmt: skip
    memory = 1 / (1 - experiment.adapt.ema)
    if experiment.adapt.ema and memory > total / 3:
        yield (f"adapt.ema averages over about {memory:.0f} steps and there are {total}, so the "
               f"start weighs much; try {_nines(1 - 10 / max(total, 20))}")  # fmt: skip


def _nines(share: float) -> str:
    """Rounded down, so that it stays below 1."""
    digits = 2 - math.floor(math.log10(1 - share))
    return f"{math.floor(share * 10**digits) / 10**digits:.{digits}f}".rstrip("0")
