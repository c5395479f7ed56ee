"""The training loop. It knows a `Method`, never which one."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from tipr.data.batching import PairBatcher
from tipr.data.pairs import Batch, Dataset, Pair, contiguous
from tipr.data.readers import read_dataset
from tipr.data.sampling import EpochBatches
from tipr.embedder import Embedder, pick_device
from tipr.evaluation.evaluate import evaluate, unread
from tipr.evaluation.reranking import save_reranker
from tipr.methods.method import Method
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment, OptimConfig, Precision
from tipr.training.log import Log, watched
from tipr.training.optimizer import build_optimizer, schedule
from tipr.training.start import new_embedder


def train(
    experiment: Experiment, out: Path, *, resume: bool = False, device: str = "auto",
    tensorboard: bool = False,
) -> Embedder:  # fmt: skip
    """Trains one experiment into the folder `out` and returns the encoder best on validation.

    `out` holds `experiment.json`, `metrics.jsonl`, `last.pt` and the bundle `best/`.

    Raises:
        DatasetError: the dataset cannot be read.
        ValueError: `out` already holds a run (continue with `resume`), or the data is unfit.
    """
    dataset = _dataset(experiment)
    pairs, num_persons = contiguous(dataset.train)
    torch.manual_seed(experiment.seed)
    embedder = new_embedder(experiment, str(out))
    method = experiment.method.build(embedder.encoder, num_persons).to(pick_device(device))
    _open_run(experiment, out, resume)  # only now, so that a mistake leaves no folder behind
    loader = _loader(experiment, pairs, embedder)
    state = _state(method, experiment.optim, len(loader))
    if resume:
        state.load(out / "last.pt")
    log = Log(out, tensorboard)
    if not state.epoch:
        _report_data(embedder, dataset, pairs, log)
    while state.epoch < experiment.optim.epochs:
        torch.manual_seed(experiment.seed + state.epoch)  # a resumed run shuffles alike
        method.epoch = state.epoch
        terms = train_epoch(state, loader, experiment, embedder.device)
        state.epoch += 1
        catch_up(state.scheduler, state.epoch * len(loader))
        log.write("train", state.epoch, terms)
        told = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())
        print(f"epoch {state.epoch}/{experiment.optim.epochs}  {told}", file=sys.stderr)
        if _selected(state, embedder, dataset.val, experiment.optim, log):
            embedder.save(out / "best")
            if method.reranking is not None:
                save_reranker(method.reranking, out / "best")
        state.save(out / "last.pt")
    return Embedder.load(out, device)


def _report_data(embedder: Embedder, dataset: Dataset, pairs: Sequence[Pair], log: Log) -> None:
    """Nobody is held out and no caption is cut silently: in the log and on the terminal."""
    if dataset.carved_val:
        people = len({pair.person_id for pair in dataset.val})
        print(f"{dataset.name} has no validation split: {people} people of the training split are "
              "held out, the same in every run", file=sys.stderr)  # fmt: skip
    lost = unread(embedder, pairs)
    log.write("data", 0, {"captions": len(pairs), "unread_captions": lost.count})
    if lost.count:
        print(f"{lost.told}; raise data.text_length where the encoder allows it", file=sys.stderr)


def train_epoch(
    state: State, loader: DataLoader[Pair], experiment: Experiment, device: torch.device
) -> dict[str, float]:
    """One pass over the training pairs; the mean of every term of the loss."""
    state.method.train()
    total: dict[str, float] = {}
    steps = 0
    label = f"epoch {state.epoch + 1}/{experiment.optim.epochs}"
    shown: dict[str, float] = {}
    for batch in watched(loader, label, len(loader), shown):
        terms = train_step(state, batch.to(device), experiment.optim)
        shown.update(terms)
        steps += 1
        for name, value in terms.items():
            total[name] = total.get(name, 0.0) + value
    if not steps:
        raise ValueError("the sampling gives no full batch; lower data.batch_size")
    means = {name: value / steps for name, value in total.items()}
    return {**means, "lr": state.optimizer.param_groups[0]["lr"]}


def catch_up(scheduler: LRScheduler, step: int) -> None:
    """Moves a schedule on when an epoch had fewer batches than were announced."""
    for _ in range(scheduler.last_epoch, step):
        scheduler.step()


def train_step(state: State, batch: Batch, config: OptimConfig) -> dict[str, float]:
    """One update of all parameters; the value of every term of the loss before it."""
    with _arithmetic(batch.images.device, config.precision):
        return _stepped(state, batch, config.clip_norm)


def _stepped(state: State, batch: Batch, clip_norm: float) -> dict[str, float]:
    terms = state.method(batch)
    loss = torch.stack(list(terms.values())).sum()
    values = {name: value.detach().item() for name, value in terms.items()}
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is no longer a number ({values}); lower optim.lr")
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm:
        torch.nn.utils.clip_grad_norm_(state.method.parameters(), clip_norm)
    state.optimizer.step()
    state.scheduler.step()
    return values


def _state(method: Method, config: OptimConfig, steps: int) -> State:
    optimizer = build_optimizer(method, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: schedule(step, steps, config)
    )
    return State(method, optimizer, scheduler)


@contextmanager
def _arithmetic(device: torch.device, precision: Precision) -> Generator[None]:
    """The wanted precision; on CPUs also plain attention, whose backward pass is the faster one."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported()
    mixed = precision == "mixed" or (precision == "auto" and native)
    plain = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed), plain:
        yield


def _dataset(experiment: Experiment) -> Dataset:
    if experiment.data.root is None:
        raise ValueError("no dataset given; add --data DIR (`tipr data synth DIR` renders one)")
    dataset = read_dataset(experiment.data.root)
    if len(dataset.train) < 2 or not dataset.val:
        raise ValueError(
            f"{experiment.data.root} has {len(dataset.train)} training and {len(dataset.val)} "
            "validation pairs; training needs both, since the model is selected on val"
        )
    return dataset


def _loader(experiment: Experiment, pairs: Sequence[Pair], embedder: Embedder) -> DataLoader[Pair]:
    data = experiment.data
    size = min(data.batch_size, len(pairs))
    cache = data.cache // max(data.workers, 1)
    plain = PairBatcher(embedder.transform, embedder.tokenizer, data.augmentation, cache)
    return DataLoader(
        pairs,  # ty: ignore[invalid-argument-type]
        batch_sampler=EpochBatches(data.sampling, pairs, size),
        collate_fn=data.batching.build(plain, pairs),
        num_workers=data.workers,
    )


def _open_run(experiment: Experiment, out: Path, resume: bool) -> None:
    there = (out / "last.pt").is_file()
    if resume and not there:
        raise ValueError(f"{out} holds no checkpoint to resume; start without --resume")
    if there and not resume:
        raise ValueError(f"{out} already holds a run; add --resume or choose another --out")
    record = out / "experiment.json"
    if resume and record.is_file() and record.read_text(encoding="utf-8") != experiment.to_json():
        raise ValueError(f"{record} differs from what is asked for; resume with the same settings")
    out.mkdir(parents=True, exist_ok=True)
    record.write_text(experiment.to_json(), encoding="utf-8", newline="\n")


def _selected(
    state: State, embedder: Embedder, val: Sequence[Pair], config: OptimConfig, log: Log
) -> bool:
    """Whether the encoder has the best mAP on validation pairs yet; test is never read."""
    if state.epoch % config.validate_every and state.epoch != config.epochs:
        return False
    scores = evaluate(embedder, val).t2i
    log.write("val", state.epoch, {"R1": scores.R1, "R5": scores.R5, "mAP": scores.mAP})
    told = f"R1 {100 * scores.R1:.2f}  R5 {100 * scores.R5:.2f}  mAP {100 * scores.mAP:.2f}"
    print(f"epoch {state.epoch}/{config.epochs}  val {told}", file=sys.stderr)
    better = scores.mAP > state.best
    state.best = max(state.best, scores.mAP)
    return better
