"""Methods made ready to be measured: built, fed with a batch as each wants it, at no learning rate.

The rate is 0, so that no number of steps changes what is measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.optim.lr_scheduler import LambdaLR

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, contiguous
from tipr.data.readers import read_dataset
from tipr.data.sampling import EpochBatches
from tipr.encoders.encoder import Encoder
from tipr.experiments.find import experiment_names, find_experiment
from tipr.training.adaptation import adapted
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment, changed
from tipr.training.optimizer import build_optimizer
from tipr.training.parallel import alone
from tipr.training.precision import gradient_scaler
from tipr.training.start import new_embedder
from tipr.training.step import prepare, train_step

COLOURS = ("red", "dark blue", "light grey", "black", "green", "white")
CAPTIONS = (
    "A person with short dark hair wears a {} jacket over a striped shirt, {} trousers and white "
    "shoes, and carries a small black bag over the left shoulder.",
    "The young pedestrian is wearing a {} top, a pair of {} jeans and flat shoes, and is holding a "
    "phone in the right hand while walking.",
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A method with its optimiser and one batch."""

    experiment: Experiment
    encoder: Encoder
    state: State
    batch: Batch

    def step(self) -> None:
        """One training step, without what prepares the batch."""
        train_step(self.state, self.batch, self.experiment.optim)

    @torch.inference_mode()
    def encode(self) -> None:
        """The batch's pictures and sentences as a search embeds them; only the encoder ships."""
        self.encoder.eval()
        self.encoder.embed_image(self.batch.images)
        self.encoder.embed_text(self.batch.tokens)
        self.encoder.train()


def subject(experiment: Experiment, root: Path, device: torch.device) -> Subject:
    """Builds an experiment's method, untrained, and takes one batch of its data."""
    torch.manual_seed(0)
    data = experiment.data
    pairs, persons = contiguous(read_dataset(root).train)
    new = new_embedder(replace(experiment, init_from=""), "")
    method = experiment.method.build(new.encoder, persons).to(device).train()
    plain = PairBatcher(new.transform, new.tokenizer, data.augmentation)
    torch.manual_seed(0)  # the same pairs, however many draws the building took
    rows = list(islice(EpochBatches(data.sampling, pairs, data.batch_size), 1))
    if not rows:
        raise ValueError(f"{len(pairs)} training pairs give no batch of {data.batch_size}")
    batch = data.batching.build(plain, pairs)([pairs[row] for row in rows[0]])
    prepare(method, experiment.optim)
    shipped = adapted(method.encoder, replace(experiment.adapt, towards_start=0.0), None)
    optimizer = build_optimizer(method, experiment.optim)
    scaler = gradient_scaler(device, experiment.optim.precision)
    state = State(
        alone(method), optimizer, LambdaLR(optimizer, lambda step: 0.0), scaler, shipped=shipped
    )
    return Subject(
        experiment=experiment, encoder=method.encoder, state=state, batch=batch.to(device)
    )


def fed(name: str, root: Path, batch: int, folder: Path) -> Experiment:
    """The experiment with this data and batch; its teacher is saved, untrained, in `folder`."""
    experiment = _fed(find_experiment(name), batch)
    teacher = teacher_of(name)
    if teacher is None:
        return experiment
    place = folder / teacher.replace(":", "-")
    if not place.exists():
        place.mkdir(parents=True)
        richer = subject(_fed(find_experiment(teacher), batch), root, torch.device("cpu"))
        richer.state.save(place / "last.pt")
    return changed(experiment, "method.richer", str(place))


def teacher_of(name: str) -> str | None:
    """The experiment `richer` beside one that learns from a run of it."""
    if not hasattr(find_experiment(name).method, "richer"):
        return None
    beside = f"{name.rpartition(':')[0]}:richer"
    return beside if beside.endswith(".py:richer") or beside in experiment_names() else None


def made_up(root: Path, pairs: int) -> Path:
    """A dataset of noise pictures: people with two pictures of two captions each."""
    (root / "images").mkdir(parents=True)
    noise, rows = np.random.default_rng(0), []
    for person in range(max(pairs, 6)):
        top, bottom = (COLOURS[person // n % len(COLOURS)] for n in (1, len(COLOURS)))
        for shot in range(2):
            name = f"{person}_{shot}.png"
            pixels = noise.integers(0, 256, (64, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / name)
            captions = [caption.format(top, bottom) for caption in CAPTIONS]
            rows.append({"id": person, "file_path": name, "captions": captions, "split": "train"})
    (root / "reid_raw.json").write_text(json.dumps(rows), encoding="utf-8")
    return root


def _fed(experiment: Experiment, batch: int) -> Experiment:
    return replace(experiment, data=replace(experiment.data, batch_size=batch))
