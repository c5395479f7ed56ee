"""Everything one run depends on, in one typed value."""

from __future__ import annotations

import json
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from tipr.data.augment import Augmentation, Augmenting, PublishedAugmentation
from tipr.data.batching import Batching, Plain
from tipr.data.noise import Noise
from tipr.data.pool import ImagePool
from tipr.data.sampling import PersonBalanced, Sampling, Shuffled, UpToPerPerson
from tipr.encoders.catalogue import EncoderConfig
from tipr.methods.method import MethodConfig
from tipr.transformer import Recompute

Algorithm = Literal["adamw", "adam", "sgd"]
Precision = Literal["auto", "full", "bf16", "fp16", "mixed"]
Frozen = Literal["none", "image", "text", "both"]


_KINDS: dict[str, tuple[Any, ...]] = {
    "augmentation": (Augmentation, PublishedAugmentation, ImagePool),
    "sampling": (Shuffled, PersonBalanced, UpToPerPerson),
}


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    root: Path | None = None  # where the dataset lies; `--data` on the command line
    batch_size: int = 64
    tokenizer: str = ""  # own, clip, a file or a folder; empty: that of init_from, else own
    text_length: int = 64
    augmentation: Augmenting = field(default_factory=Augmentation)
    batching: Batching = field(default_factory=Plain)
    sampling: Sampling = field(default_factory=Shuffled)
    noise: Noise = field(default_factory=Noise)  # captions of wrong pairs, to train despite them
    workers: int = 0  # processes that prepare batches; 0 is this one
    cache: int = 4 << 30  # bytes of decoded pictures to keep, over all workers


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    epochs: int
    lr: float
    head_lr: float  # for everything that is not the encoder
    warmup_epochs: float = 1.0
    warmup_from: float | None = None  # of the rate, at the first step; None is one step's share
    floor: float = 0.0  # of the rate, at the end
    cosine_from_start: bool = False  # the cosine runs under the warm-up too, as timm's does
    by_epoch: bool = False  # the rate changes between epochs only
    algorithm: Algorithm = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)  # the first is the momentum of sgd
    epsilon: float = 1e-8
    weight_decay: float = 0.02
    decay_vectors: bool = False  # biases and norms too
    bias_lr: float = 1.0  # what the rate of biases and norms is multiplied with
    clip_norm: float = 1.0  # 0 leaves gradients as they are
    precision: Precision = "auto"  # of products; auto: bf16 on GPUs that have it; mixed is bf16
    half_weights: bool = False  # quirk: IRRA and SEN hold their weights in half precision
    validate_every: int = 1  # epochs
    chunk: int = 0  # rows the encoder sees at a time (`training/cached.py`); 0 is the whole batch
    sharded: bool = False  # parameters are shared out between processes (torchrun, FSDP2)
    recompute: Recompute = "none"  # in the backward pass: norms and activations, or whole blocks
    compile: bool = False  # the encoder's blocks (torch.compile); seldom worth it on CPUs
    save_minutes: float = 10.0  # between checkpoints; each epoch's end has one too

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.validate_every < 1:
            raise ValueError("optim.epochs and optim.validate_every are at least 1")
        if self.chunk < 0 or self.save_minutes < 0:
            raise ValueError("optim.chunk and optim.save_minutes are at least 0")
        if self.half_weights and self.epsilon < 1e-4:
            raise ValueError("optim.half_weights needs optim.epsilon of 1e-4 or more (published: "
                             "1e-3): half precision holds no smaller second moments")  # fmt: skip
        choices = (("algorithm", Algorithm), ("precision", Precision), ("recompute", Recompute))
        for name, kind in choices:
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"optim.{name} is one of {', '.join(get_args(kind))}")


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """What of the encoder learns, and which weights are kept (`training/adaptation.py`)."""

    frozen: Frozen = "none"  # towers that keep the weights they start with
    last_layers: int = -1  # of each tower that learn, with its output; -1 is all of it
    lora_rank: int = 0  # of what learns in place of the layers' matrices; 0 is the matrices
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    ema: float = 0.0  # what the average keeps at each step, as 0.999; 0 keeps no average
    towards_start: float = 0.0  # share of the weights it began with in those that are kept

    def __post_init__(self) -> None:
        if self.frozen not in get_args(Frozen):
            raise ValueError(f"adapt.frozen is one of {', '.join(get_args(Frozen))}")
        if self.last_layers < -1 or self.lora_rank < 0:
            raise ValueError("adapt.last_layers is at least -1, adapt.lora_rank at least 0")
        if not (0 <= self.ema < 1 and 0 <= self.towards_start < 1):
            raise ValueError("adapt.ema and adapt.towards_start lie from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    every: int = 50  # batches between lines of kind "step" in metrics.jsonl
    test: bool = False  # tell the test split's scores too; the model is still chosen on validation

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError("log.every is at least 1")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    encoder: EncoderConfig
    method: MethodConfig
    optim: OptimConfig
    data: DataConfig = field(default_factory=DataConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    log: LogConfig = field(default_factory=LogConfig)
    seed: int = 0
    init_from: str = (
        ""  # whose encoder it starts from: a model, or weights that `tipr import` reads
    )

    def to_json(self) -> str:
        """Every setting, with the names of the parts."""
        facts: dict[str, Any] = asdict(typing.cast(Any, self))
        data = facts["data"]
        named: list[tuple[dict[str, Any], Any, str]] = [
            (facts, self, "encoder"), (facts, self, "method"),
            (data, self.data, "augmentation"), (data, self.data, "batching"),
            (data, self.data, "sampling"),
        ]  # fmt: skip
        for values, owner, part in named:
            values[part] = {"is": type(getattr(owner, part)).__name__, **values[part]}
        return json.dumps(facts, indent=2, default=str) + "\n"


def changed(value: Any, path: str, text: str) -> Any:
    """The dataclass with one field set from text: `optim.epochs`, `3`.

    A part that comes in several kinds takes the name of another one, with its own defaults.

    Raises:
        ValueError: there is no such field, or the text does not fit its type.
    """
    name, _, rest = path.partition(".")
    names = [f.name for f in fields(value)] if is_dataclass(value) else []
    if name not in names:
        near = get_close_matches(name, names, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}"
        raise ValueError(f"there is no setting {name!r}; {advice}")
    before = getattr(value, name)
    kinds = {kind.__name__: kind for kind in _KINDS.get(name, ())}
    if text in kinds and not rest:
        return replace(value, **{name: kinds[text]()})
    if is_dataclass(before) and not rest:
        other = f", or name another kind: {', '.join(kinds)}" if kinds else ""
        raise ValueError(f"{name} has settings of its own; set one of them, as {name}.FIELD=VALUE"
                         f"{other}")  # fmt: skip
    after = changed(before, rest, text) if rest else _parsed(name, before, text)
    return replace(value, **{name: after})


def _parsed(name: str, before: Any, text: str) -> Any:
    """`text` as a value of the same type as `before`."""
    if isinstance(before, Path) or name in ("root", "index"):
        return Path(text)
    if before is None:
        return _json(text)
    if isinstance(before, str):
        return text
    value = _json(text)
    if isinstance(before, tuple) and isinstance(value, list):
        value = tuple(value)
        if {type(v) for v in value} != {type(v) for v in before}:
            raise ValueError(f"{name} is {list(before)} now; {text} does not fit")
    if isinstance(before, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(before):
        raise ValueError(f"{name} is {before!r} now; {text!r} is no {type(before).__name__}")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
