"""What a run starts from: a new encoder, a model of ours, or weights from elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tipr.data.images import ImageTransform
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import read_tokenizer
from tipr.embedder import Embedder
from tipr.embedder.bundle import is_bundle
from tipr.embedder.foreign import import_model, parts_of
from tipr.embedder.hub import HUB
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.shared import SharedConfig
from tipr.training.experiment import Experiment

OWN = "own"
INPUT, FACTS, START = "input", "input.json", "start.safetensors"  # of a run's folder


def new_embedder(experiment: Experiment, source: str) -> Embedder:
    """The encoder to train, with what feeds it: new, or as `init_from` left it.

    Raises:
        ValueError: `init_from` cannot be read, or is of another geometry or vocabulary.
    """
    length = experiment.data.text_length
    if length > experiment.encoder.text_length:
        raise ValueError("data.text_length is longer than encoder.text_length; shorten it")
    if not experiment.init_from:
        encoder = experiment.encoder.build()
        tokenizer = read_tokenizer(experiment.data.tokenizer or OWN, length)
        return Embedder(encoder, ImageTransform(encoder.image_size), tokenizer, source)
    start = _start(experiment)
    tokenizer = Tokenizer(start.tokenizer.pieces, length)
    _check_alike(experiment, start)
    return Embedder(start.encoder, start.transform, tokenizer, source)


def save_input(
    embedder: Embedder, out: Path, began_as: str | None, start: dict[str, Tensor] | None = None
) -> None:
    """Keeps what feeds the encoder, and the fingerprint of the model it began as, beside the run.

    The weights themselves, `start`, only where the run goes back to them. A resumed run reads these
    and its checkpoint: what `init_from` named may have moved or changed.
    """
    folder = out / INPUT
    folder.mkdir(parents=True, exist_ok=True)
    embedder.tokenizer.save(folder)
    facts = {
        "transform": embedder.transform.to_json(),
        "text_length": embedder.tokenizer.length,
        "init_fingerprint": began_as,
    }
    if start is not None:
        save_file({name: x.contiguous().clone() for name, x in start.items()}, folder / START)
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def resumed_embedder(experiment: Experiment, source: str, out: Path) -> Embedder:
    """The encoder of a run that goes on, for its checkpoint to fill.

    Raises:
        ValueError: what `save_input` wrote is missing or damaged.
    """
    record = out / INPUT / FACTS
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        transform = ImageTransform.from_json(facts["transform"])
        tokenizer = read_tokenizer(out / INPUT, facts["text_length"])
    except (OSError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{record} cannot be read ({error}); restore it, or begin a new run with "
                         "--init-from") from error  # fmt: skip
    return Embedder(experiment.encoder.build(), transform, tokenizer, source)


def begun_with(out: Path) -> dict[str, Tensor]:
    """The weights that `save_input` kept. Raises ValueError when they are missing or damaged."""
    try:
        return load_file(out / INPUT / START)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{out / INPUT / START} cannot be read ({error}); restore it, or begin a "
                         "new run with --init-from") from error  # fmt: skip


def _start(experiment: Experiment) -> Embedder:
    """The model that is named; or what weights of others become in this experiment's geometry."""
    name = experiment.init_from
    parts = parts_of(name)
    there = any(part.startswith(HUB) or Path(part).exists() for part in parts)
    if not there or (len(parts) == 1 and is_bundle(name)):
        return Embedder.load(name, "cpu")
    config = experiment.encoder
    stride = config.stride if isinstance(config, CLIPConfig | SharedConfig) else None
    return import_model(
        name, image_size=config.image_size, stride=stride,
        tokenizer=experiment.data.tokenizer or None,
    )[0]  # fmt: skip


def _check_alike(experiment: Experiment, start: Embedder) -> None:
    name, theirs, ours = experiment.init_from, start.encoder.config, experiment.encoder
    if type(theirs) is not type(ours):
        raise ValueError(f"init_from: {name} has a {type(theirs).__name__[:-6]} encoder, this "
                         f"experiment a {type(ours).__name__[:-6]} one")  # fmt: skip
    wanted = asdict(theirs)
    other = {k: wanted[k] for k, own in asdict(ours).items() if own != wanted[k]}
    if other:
        told = " ".join(f"--set encoder.{k}={_text(v)}" for k, v in other.items())
        raise ValueError(f"init_from: {name} has another geometry than this experiment; add {told}")
    if experiment.data.tokenizer:
        pieces = read_tokenizer(experiment.data.tokenizer, 3).pieces
        if pieces.digest() != start.tokenizer.pieces.digest():
            raise ValueError(f"init_from: {name} reads other pieces of words than data.tokenizer; "
                             "leave data.tokenizer empty to take its own")  # fmt: skip


def _text(value: object) -> str:
    """As `--set` reads it."""
    return str(list(value)).replace(" ", "") if isinstance(value, tuple) else str(value)
