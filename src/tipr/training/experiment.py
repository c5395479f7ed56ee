"""Everything one run depends on, in one typed value."""

from __future__ import annotations

import json
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from tipr.data.augment import Augmentation, Augmenting
from tipr.data.batching import Batching, Plain
from tipr.data.sampling import Sampling, Shuffled
from tipr.encoders.catalogue import EncoderConfig
from tipr.methods.method import MethodConfig

Algorithm = Literal["adamw", "adam", "sgd"]
Precision = Literal["auto", "full", "mixed"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    root: Path | None = None  # where the dataset lies; `--data` on the command line
    batch_size: int = 64
    tokenizer: str = ""  # own, clip, a file or a folder; empty: that of init_from, else own
    text_length: int = 64
    augmentation: Augmenting = field(default_factory=Augmentation)
    batching: Batching = field(default_factory=Plain)
    sampling: Sampling = field(default_factory=Shuffled)
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
    precision: Precision = "auto"  # mixed: bfloat16 products; auto: mixed on GPUs that have them
    half_weights: bool = False  # quirk: IRRA and SEN hold their weights in half precision
    validate_every: int = 1  # epochs

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.validate_every < 1:
            raise ValueError("optim.epochs and optim.validate_every are at least 1")
        if self.half_weights and self.epsilon < 1e-4:
            raise ValueError("optim.half_weights needs optim.epsilon of 1e-4 or more (published: "
                             "1e-3): half precision holds no smaller second moments")  # fmt: skip
        for name, kind in (("algorithm", Algorithm), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"optim.{name} is one of {', '.join(get_args(kind))}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    encoder: EncoderConfig
    method: MethodConfig
    optim: OptimConfig
    data: DataConfig = field(default_factory=DataConfig)
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
    if is_dataclass(before) and not rest:
        raise ValueError(f"{name} has settings of its own; set one of them, as {name}.FIELD=VALUE")
    after = changed(before, rest, text) if rest else _parsed(name, before, text)
    return replace(value, **{name: after})


def _parsed(name: str, before: Any, text: str) -> Any:
    """`text` as a value of the same type as `before`."""
    if isinstance(before, Path) or name == "root":
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
