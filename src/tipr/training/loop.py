"""The training loop. It knows a `Method`, never which one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from tipr.data.batching import PairBatcher, Prepared, drawn_batches
from tipr.data.noise import Noise, noisy
from tipr.data.pairs import Batcher, Dataset, Pair, contiguous
from tipr.data.readers import read_dataset
from tipr.data.sampling import EpochBatches
from tipr.embedder import Embedder
from tipr.evaluation.evaluate import evaluate, unread
from tipr.methods.method import Method
from tipr.training.adaptation import adapted
from tipr.training.advice import advice
from tipr.training.checkpoint import Progress, State
from tipr.training.experiment import Experiment
from tipr.training.log import Log, watched
from tipr.training.optimizer import build_optimizer, schedule
from tipr.training.parallel import wrapped
from tipr.training.precision import gradient_scaler
from tipr.training.run import CHECKPOINT, Kept, Run
from tipr.training.start import begun_with, new_embedder, resumed_embedder, save_input
from tipr.training.step import prepare, train_step
from tipr.training.stopping import Stopped, StopRequests
from tipr.training.trackers import opened
from tipr.training.world import World, barrier, from_first, mean_over, own_draws, started

RECORD = "experiment.json"


def train(
    experiment: Experiment, out: Path, *, resume: bool = False, device: str = "auto",
    track: Sequence[str] = (),
) -> Embedder:  # fmt: skip
    """Trains one experiment into the folder `out` and returns the encoder best on validation.

    `out` holds `experiment.json`, `input/`, `metrics.jsonl`, `last.pt`, and the bundles `best/`
    and, at the end, `last/`. A run that was killed goes on with `resume` where `last.pt` was
    written, as if it had never been; one that is asked to stop (SIGTERM, Ctrl-C) writes it first.
    Started by torchrun, all processes train together. `track` names who is told besides
    (`training/trackers.py`).

    Raises:
        DatasetError: the dataset cannot be read.
        ValueError: `out` already holds a run (continue with `resume`), or the data or the settings
            are unfit.
        Stopped: it was asked to; the interpreter exits with the signal's status.
    """
    with started(device) as world, StopRequests() as requests:
        opened(track, out, {}, first=False)  # what is not installed is said before a run begins
        run = _begun(experiment, out, world, requests, resume)
        settings = json.loads(experiment.to_json())
        trackers = opened(track, out, settings, resume=resume, first=world.is_first)
        with ExitStack() as opened_log:
            if world.is_first:
                run.log = Log(out, trackers, run.state.logged if resume else 0)
                opened_log.callback(run.log.close)
            if not resume:
                _report_data(run)
            while run.state.epoch < experiment.optim.epochs:
                train_epoch(run)
                finish_epoch(run)
        barrier(world)
        return Embedder.load(out, str(world.device))


def train_epoch(run: Run) -> None:
    """The batches of an epoch that are not done yet; the run's state is saved now and then.

    What is random in a method is drawn from the epoch's seed on, whatever prepares its batches.
    """
    state, experiment, world = run.state, run.experiment, run.world
    every, done = experiment.log.every, state.progress.steps
    state.method.train()
    state.method.epoch = state.epoch
    drawn = drawn_batches(run.order, experiment.seed, state.epoch, world.rank)
    batches = run.until_asked(run.prepared(drawn[done:]))
    if not (done and state.go_on()):
        own_draws(world, experiment.seed, state.epoch)
    shown: dict[str, float] = {}
    quiet = not world.is_first
    for batch in watched(batches, run.place, len(drawn), shown, done=done, quiet=quiet):
        lr = state.optimizer.param_groups[0]["lr"]
        terms = train_step(state, batch.to(world.device), experiment.optim)
        terms = mean_over(world, terms)
        state.progress.add(terms)
        shown.update(terms)
        number = state.epoch * len(run.order) + state.progress.steps
        if number % every == 0:
            run.write("step", number, {**terms, "lr": lr})
        run.between_steps()
    if run.asked:
        run.leave()
        run.obey()
    if not state.progress.steps:
        raise ValueError("the sampling gives no full batch; lower data.batch_size")


def finish_epoch(run: Run) -> None:
    """Validates, keeps the encoder where it is the best yet, and saves the run.

    Until the validation is done nothing changes, so that a run may be stopped there too.
    """
    state, config, number = run.state, run.experiment.optim, run.state.epoch + 1
    means = _means(state)
    run.say(f"{run.place}  " + "  ".join(f"{name} {value:.4g}" for name, value in means.items()))
    found = {}
    if number % config.validate_every == 0 or number == config.epochs:
        found = _scored(run)
    catch_up(state.scheduler, number * len(run.order))
    state.epoch, state.progress = number, Progress()
    run.write("train", number, means)
    for split, scores in found.items():
        run.write(split, number, scores)
    run.save()


def _scored(run: Run) -> dict[str, dict[str, float]]:
    """The model's scores on validation, and on test where they are to be told.

    It is kept where validation has it as the best yet, and after the last epoch.
    """
    state, splits = run.state, {"val": run.dataset.val}
    if run.experiment.log.test:
        splits["test"] = run.dataset.test
    with run.shipped() as kept:
        found = {} if kept is None else {
            split: _validated(run, kept, split, pairs) for split, pairs in splits.items()
        }  # fmt: skip
        reached = from_first(run.world, found["val"]["mAP"] if found else 0.0)
        if kept is not None and reached > state.best:
            kept.save(run.out / "best")
        if kept is not None and state.epoch + 1 == run.experiment.optim.epochs:
            kept.save(run.out / "last")
    state.best = max(state.best, reached)
    return found


def _validated(run: Run, kept: Kept, split: str, pairs: Sequence[Pair]) -> dict[str, float]:
    """A run that trains alone may be stopped within; others wait for what comes of it."""
    try:
        with run.requests.at_once() if run.world.size == 1 else nullcontext():
            scores = evaluate(kept.embedder, pairs).t2i
    except Stopped:
        run.leave()
        raise
    told = f"R1 {100 * scores.R1:.2f}  R5 {100 * scores.R5:.2f}  mAP {100 * scores.mAP:.2f}"
    run.say(f"{run.place}  {split} {told}")
    return {"R1": scores.R1, "R5": scores.R5, "mAP": scores.mAP}


def catch_up(scheduler: LRScheduler, step: int) -> None:
    """Moves a schedule on when an epoch had fewer batches than were announced."""
    for _ in range(scheduler.last_epoch, step):
        scheduler.step()


def _means(state: State) -> dict[str, float]:
    """Of the epoch's losses; raises FloatingPointError when none was a number."""
    progress = state.progress
    if not progress.summed:
        raise FloatingPointError("no loss of this epoch was a number; lower optim.lr, or set "
                                 "optim.precision to bf16")  # fmt: skip
    skipped = {"skipped": float(progress.skipped)} if state.scaler.is_enabled() else {}
    return {**progress.means(), "lr": state.optimizer.param_groups[0]["lr"], **skipped}


def _begun(
    experiment: Experiment, out: Path, world: World, requests: StopRequests, resume: bool
) -> Run:
    """A run ready for its next step. Only a run that can begin leaves a folder behind."""
    _check_run(experiment, out, resume)
    dataset = _dataset(experiment)
    pairs, num_persons = contiguous(noisy(dataset.train, experiment.data.noise).pairs)
    torch.manual_seed(experiment.seed)
    source = str(out)
    new = resumed_embedder(experiment, source, out) if resume else new_embedder(experiment, source)
    began_as = new.fingerprint if experiment.init_from and not resume else None
    method = experiment.method.build(new.encoder, num_persons).to(world.device)
    size = _batch_size(experiment, len(pairs), world)
    order = EpochBatches(experiment.data.sampling, pairs, size, world.rank, world.size)
    start = _start(experiment, new, out, resume)
    state = _state(experiment, method, len(order), world, start)
    if resume:
        state.load(out / CHECKPOINT)
    elif world.is_first:
        out.mkdir(parents=True, exist_ok=True)
        save_input(new, out, began_as, start)
        record = out / RECORD
        record.write_text(experiment.to_json(), encoding="utf-8", newline="\n")
    batches = Prepared(pairs, _batcher(experiment, pairs, new))
    return Run(experiment, out, new, state, None, order, batches, dataset, requests)


def _batch_size(experiment: Experiment, pairs: int, world: World) -> int:
    """As wanted, or what there is; a multiple of the processes where pairs are few."""
    size = experiment.data.batch_size
    if pairs >= size:
        return size
    if pairs < 2 * world.size:
        raise ValueError(f"{pairs} training pairs are too few for {world.size} processes; start "
                         "fewer of them")  # fmt: skip
    return pairs - pairs % world.size


def _report_data(run: Run) -> None:
    """Says who is held out, which captions are cut or wrong, and what looks unwise."""
    dataset, pairs, config = run.dataset, run.batches.pairs, run.experiment.data
    if dataset.carved_val:
        people = len({pair.person_id for pair in dataset.val})
        run.say(f"{dataset.name} has no validation split: {people} people of the training split "
                "are held out, the same in every run")  # fmt: skip
    lost = unread(run.embedder, pairs)
    facts: dict[str, float] = {"captions": len(pairs), "unread_captions": lost.count}
    if lost.count:
        run.say(f"{lost.told}; raise data.text_length where the encoder allows it")
    if config.noise != Noise():
        shuffled = noisy(dataset.train, config.noise)
        facts |= {"captions_moved": shuffled.moved, "captions_of_another_person": shuffled.wrong}
        run.say(f"{shuffled.moved} of {len(pairs)} captions are of another pair (data.noise), "
                f"{shuffled.wrong} of another person")  # fmt: skip
    run.write("data", 0, facts)
    for sentence in advice(run.experiment, pairs, len(run.order)):
        run.say(f"advice: {sentence}")
        if run.log is not None:
            run.log.note("advice", sentence)
    if run.state.shipped.changes and run.state.method.reranking is not None:
        run.say("the head that orders hits again is not kept: it learned with other weights than "
                "those that adapt.ema or adapt.towards_start keep")  # fmt: skip


def _state(
    experiment: Experiment, method: Method, steps: int, world: World,
    start: dict[str, Tensor] | None,
) -> State:  # fmt: skip
    """A run's start, the method ready for steps of the wanted kind."""
    config = experiment.optim
    prepare(method, config)
    shipped = adapted(method.encoder, experiment.adapt, start)
    parallel = wrapped(method, world, sharded=config.sharded, chunked=bool(config.chunk))
    optimizer = build_optimizer(method, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: schedule(step, steps, config)
    )
    scaler = gradient_scaler(world.device, config.precision)
    return State(parallel, optimizer, scheduler, scaler, shipped=shipped)


def _start(
    experiment: Experiment, new: Embedder, out: Path, resume: bool
) -> dict[str, Tensor] | None:
    """The weights that the run began with, where they are mixed into what it keeps."""
    if not experiment.adapt.towards_start:
        return None
    return begun_with(out) if resume else deepcopy(new.encoder.state_dict())


def _dataset(experiment: Experiment) -> Dataset:
    if experiment.data.root is None:
        raise ValueError("no dataset given; add --data DIR (`tipr data synth DIR` renders one)")
    dataset = read_dataset(experiment.data.root)
    if len(dataset.train) < 2 or not dataset.val:
        raise ValueError(
            f"{experiment.data.root} has {len(dataset.train)} training and {len(dataset.val)} "
            "validation pairs; training needs both, since the model is selected on val"
        )
    if experiment.log.test and not dataset.test:
        raise ValueError(f"{experiment.data.root} has no test pairs to tell of; set log.test=false")
    return dataset


def _batcher(experiment: Experiment, pairs: Sequence[Pair], embedder: Embedder) -> Batcher:
    data = experiment.data
    cache = data.cache // max(data.workers, 1)
    plain = PairBatcher(embedder.transform, embedder.tokenizer, data.augmentation, cache)
    return data.batching.build(plain, pairs)


def _check_run(experiment: Experiment, out: Path, resume: bool) -> None:
    """Raises ValueError when the folder or the settings do not allow what is asked for."""
    there = (out / CHECKPOINT).is_file()
    if resume and not there:
        raise ValueError(f"{out} holds no checkpoint to resume; start without --resume")
    if there and not resume:
        raise ValueError(f"{out} already holds a run; add --resume or choose another --out")
    record = out / RECORD
    if resume and record.is_file() and record.read_text(encoding="utf-8") != experiment.to_json():
        raise ValueError(f"{record} differs from what is asked for; resume with the same settings")
    adapt, optim = experiment.adapt, experiment.optim
    if adapt.towards_start and not experiment.init_from:
        raise ValueError("adapt.towards_start mixes in the weights it started from; name them with "
                         "--init-from")  # fmt: skip
    if optim.sharded and (adapt.lora_rank or adapt.ema or adapt.towards_start):
        raise ValueError("adapt.lora_rank, ema and towards_start need whole weights; set "
                         "optim.sharded to false")  # fmt: skip
    if optim.sharded and optim.precision == "fp16":
        raise ValueError("the scaler of fp16 does not know shared-out gradients; set "
                         "optim.precision to bf16 or full")  # fmt: skip
