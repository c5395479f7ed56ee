"""A run that was stopped, killed or starved of disk goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tipr.data.augment import Augmentation
from tipr.data.batching import Drawn, PairBatcher, Prepared, drawn_batches, seeded
from tipr.data.images import ImageTransform
from tipr.data.pairs import contiguous
from tipr.data.readers import read_dataset
from tipr.data.sampling import EpochBatches, PersonBalanced
from tipr.data.tokenizers import read_tokenizer
from tipr.experiments import clip, ivt, lcr2s
from tipr.experiments.find import find_experiment
from tipr.training import loop
from tipr.training.checkpoint import State
from tipr.training.experiment import Experiment, LogConfig, changed
from tipr.training.log import Log
from tipr.training.loop import train
from tipr.training.stopping import Stopped, StopRequests

DROPPING = replace(ivt.tiny().encoder, dropout=0.3, drop_path=0.5)
BANK = replace(lcr2s.richer_tiny().method, supports="bank")


def on(experiment: Experiment, root: Path, **optim) -> Experiment:
    """Two epochs of six batches, every step told and saved."""
    return replace(
        experiment,
        data=replace(experiment.data, root=root),
        optim=replace(experiment.optim, **{"epochs": 2, "save_minutes": 0.0, **optim}),
        log=LogConfig(every=1),
    )


EXPERIMENTS = {
    "draws in the encoder": replace(ivt.tiny(), encoder=DROPPING),
    "a memory": replace(
        lcr2s.richer_tiny(),
        method=BANK,
        data=replace(clip.tiny().data, sampling=PersonBalanced(per_person=2)),
    ),
    "a scaler": replace(clip.tiny(), optim=replace(clip.tiny().optim, precision="fp16")),
    "chunks": replace(clip.tiny(), optim=replace(clip.tiny().optim, chunk=5, recompute="norms")),
}


def told(run: Path) -> list[dict]:
    """The log without the time of day."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "time"} for line in lines]


def assert_same_end(one: Path, other: Path) -> None:
    assert told(one) == told(other)
    a, b = (torch.load(run / "last.pt", weights_only=True) for run in (one, other))
    a.pop("logged"), b.pop("logged")  # times of day are not equally long
    torch.testing.assert_close(a, b, atol=0, rtol=0)


def broken_at(step: int, experiment: Experiment, out: Path, monkeypatch) -> None:
    """Trains until the process dies within a step, so that the ones before are saved."""
    left, real = [step], loop.train_step

    def dying(*parts):
        if not left[0]:
            raise MemoryError
        left[0] -= 1
        return real(*parts)

    monkeypatch.setattr(loop, "train_step", dying)
    with pytest.raises(MemoryError):
        train(experiment, out, device="cpu")
    monkeypatch.setattr(loop, "train_step", real)


@pytest.mark.parametrize("step", [1, 5, 6, 8])
def test_a_run_that_died_goes_on_bit_by_bit(step, whole, rectangles_root, tmp_path, monkeypatch):
    experiment = on(clip.tiny(), rectangles_root)
    broken_at(step, experiment, tmp_path, monkeypatch)
    torch.rand(7)  # what happened meanwhile changes nothing
    train(experiment, tmp_path, resume=True, device="cpu")
    assert_same_end(whole, tmp_path)


@pytest.fixture(scope="module")
def whole(rectangles_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(on(clip.tiny(), rectangles_root), out, device="cpu")
    assert [row["step"] for row in told(out) if row["kind"] == "step"] == list(range(1, 13))
    return out


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_that_a_method_draws_or_remembers_goes_on(
    name, rectangles_root, tmp_path, monkeypatch
) -> None:
    experiment = on(EXPERIMENTS[name], rectangles_root, epochs=1)
    train(experiment, tmp_path / "whole", device="cpu")
    broken_at(3, experiment, tmp_path / "died", monkeypatch)
    train(experiment, tmp_path / "died", resume=True, device="cpu")
    assert_same_end(tmp_path / "whole", tmp_path / "died")


def test_batches_do_not_depend_on_who_prepares_them(rectangles_root, tmp_path) -> None:
    experiment = on(EXPERIMENTS["draws in the encoder"], rectangles_root, epochs=1)
    train(experiment, tmp_path / "0", device="cpu")
    shared = replace(experiment, data=replace(experiment.data, workers=2))
    train(shared, tmp_path / "2", device="cpu")
    assert_same_end(tmp_path / "0", tmp_path / "2")


def test_batches_do_not_depend_on_the_number_of_threads(tiny) -> None:
    """Interpolation rounds otherwise on two threads than on one."""
    pairs, _ = contiguous(read_dataset(tiny.data.root).train)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        plain = PairBatcher(ImageTransform((128, 64)), read_tokenizer("own", 48), Augmentation())
        found.append(Prepared(pairs, plain)[Drawn(1, range(48))].images)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0].equal(found[1])


def test_batches_that_were_done_are_not_prepared_again(tiny, tmp_path, monkeypatch) -> None:
    experiment = on(tiny, tiny.data.root, epochs=1)
    broken_at(4, experiment, tmp_path, monkeypatch)
    seen, prepare = [], Prepared.__getitem__
    monkeypatch.setattr(Prepared, "__getitem__", lambda b, d: seen.append(d) or prepare(b, d))
    train(experiment, tmp_path, resume=True, device="cpu")
    assert len(seen) == 2


def test_an_epochs_order_and_draws_follow_from_the_seed_and_the_epoch(tiny) -> None:
    pairs, _ = contiguous(read_dataset(tiny.data.root).train)
    order = EpochBatches(tiny.data.sampling, pairs, 16)
    torch.manual_seed(0)
    first = drawn_batches(order, 0, 3)
    following = torch.rand(())
    torch.manual_seed(0)
    assert following.equal(torch.rand(()))
    assert drawn_batches(order, 0, 3) == first
    others = [drawn_batches(order, 1, 3), drawn_batches(order, 0, 4)]
    assert all(other[0].rows != first[0].rows for other in others)
    seeds = [drawn.seed for epoch in (first, *others) for drawn in epoch]
    assert len(set(seeds)) == len(seeds)
    with seeded(seeds[0]):
        known = torch.rand(3)
    with seeded(seeds[0]):
        assert torch.rand(3).equal(known)


# -- signals


COMMAND = ("optim.epochs=6", "data.batch_size=8", "optim.validate_every=6", "log.every=1")


@pytest.fixture(autouse=True)
def ctrl_c_as_python_has_it() -> Iterator[None]:
    """What a shell started in the background ignores Ctrl-C from the first."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


posix = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")


def settings(root: Path, *more: str) -> Experiment:
    experiment = find_experiment("clip:tiny")
    for assignment in (*COMMAND, *more, f"data.root={root}"):
        experiment = changed(experiment, *assignment.split("=", 1))
    return experiment


@pytest.fixture(scope="module")
def unbroken(rectangles_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    train(settings(rectangles_root), out, device="cpu")
    return out


def signalled(number: int, after: int, root: Path, out: Path, *more: str) -> tuple[int, str]:
    """Starts a training and signals it, with all its processes, once it told of some steps."""
    sets = [word for assignment in (*COMMAND, *more) for word in ("--set", assignment)]
    words = ["train", "clip:tiny", "--data", str(root), "--out", str(out), *sets]
    process = subprocess.Popen(
        [sys.executable, "-m", "tipr.cli", *words, "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    log, end = out / "metrics.jsonl", time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if log.exists() and log.read_text().count('"step", ') >= after:
            os.killpg(process.pid, number)
            break
        time.sleep(0.002)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


@posix
def test_a_run_that_is_asked_to_stop_saves_and_says_how_to_go_on(
    unbroken, rectangles_root, tmp_path
) -> None:
    workers, out = "data.workers=2", tmp_path / "stopped"
    returned, said = signalled(signal.SIGTERM, 2, rectangles_root, out, workers)
    assert returned == 143, said
    assert "--resume" in said and "Traceback" not in said
    done = torch.load(out / "last.pt", weights_only=True)["progress"]["steps"]
    assert f"/6 after batch {done}; " in said
    train(settings(rectangles_root, workers), out, resume=True, device="cpu")
    assert_same_end(unbroken, out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_step_under_way_is_finished_first(number, code, whole, tiny, tmp_path, monkeypatch):
    experiment, real = on(tiny, tiny.data.root, save_minutes=10.0), loop.train_step

    def asked(state, *parts):
        if state.progress.steps == 3:
            signal.raise_signal(number)
        return real(state, *parts)

    monkeypatch.setattr(loop, "train_step", asked)
    with pytest.raises(SystemExit) as request:
        train(experiment, tmp_path, device="cpu")
    assert request.value.code == code
    assert torch.load(tmp_path / "last.pt", weights_only=True)["progress"]["steps"] == 4
    monkeypatch.setattr(loop, "train_step", real)
    train(experiment, tmp_path, resume=True, device="cpu")
    assert_same_end(whole, tmp_path)


@posix
def test_a_run_that_is_killed_at_any_moment_goes_on(unbroken, rectangles_root, tmp_path) -> None:
    often = "optim.save_minutes=0"
    after = random.randrange(3, 50)  # another one each time
    experiment = settings(rectangles_root, "optim.save_minutes=0.0")
    code, _ = signalled(signal.SIGKILL, after, rectangles_root, tmp_path / "killed", often)
    assert code == -signal.SIGKILL
    train(experiment, tmp_path / "killed", resume=True, device="cpu")
    assert_same_end(unbroken, tmp_path / "killed")


def test_a_run_may_be_stopped_while_it_validates(whole, tiny, tmp_path, monkeypatch) -> None:
    experiment, real = on(tiny, tiny.data.root), loop.evaluate

    def stopped(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("a request is obeyed at once here")

    monkeypatch.setattr(loop, "evaluate", stopped)
    with pytest.raises(Stopped) as request:
        train(experiment, tmp_path / "stopped", device="cpu")
    assert (request.value.code, request.value.name) == (143, "SIGTERM")
    monkeypatch.setattr(loop, "evaluate", real)
    train(experiment, tmp_path / "stopped", resume=True, device="cpu")
    assert_same_end(whole, tmp_path / "stopped")


def test_who_asks_twice_is_not_made_to_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequests() as requests:
        requests.obey()  # nothing came
        signal.raise_signal(signal.SIGINT)
        assert requests.number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped), requests.at_once():
            raise AssertionError("a request that came before is obeyed at the door")
    assert signal.getsignal(signal.SIGINT) is before


def test_what_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequests() as requests:
            signal.raise_signal(signal.SIGINT)
            assert not requests.number
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_another_thread_takes_no_signals() -> None:
    before, within = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopRequests():
            within.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert within == [before]


# -- full disks


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_within_an_epoch_is_told_and_training_goes_on(
    whole, tiny, tmp_path, monkeypatch, capsys
) -> None:
    experiment, save = on(tiny, tiny.data.root), torch.save
    left = [3]

    def filling(values: dict, file: object) -> None:
        left[0] -= 1
        full() if left[0] in (1, 0) else save(values, file)

    monkeypatch.setattr("tipr.training.checkpoint.torch.save", filling)
    train(experiment, tmp_path / "filled", device="cpu")
    said = capsys.readouterr().err
    assert said.count("the checkpoint before it is intact") == 2
    assert "Training goes on" in said and "No space left" in said
    assert_same_end(whole, tmp_path / "filled")


def test_a_full_disk_at_an_epochs_end_is_an_error_and_costs_no_checkpoint(
    tiny, tmp_path, monkeypatch
) -> None:
    experiment, fsync = on(tiny, tiny.data.root, save_minutes=10.0), os.fsync
    broken_at(9, experiment, tmp_path, monkeypatch)  # the first epoch's end is saved
    before = (tmp_path / "last.pt").read_bytes()
    monkeypatch.setattr("tipr.training.checkpoint.os.fsync", full)
    with pytest.raises(OSError, match=r"No space left.*is intact.*--resume"):
        train(experiment, tmp_path, resume=True, device="cpu")
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not (tmp_path / "last.part").exists()
    monkeypatch.setattr("tipr.training.checkpoint.os.fsync", fsync)
    train(experiment, tmp_path, resume=True, device="cpu")
    assert [r["step"] for r in told(tmp_path) if r["kind"] == "step"] == list(range(1, 13))


def test_checkpoints_are_as_far_apart_as_wanted(tiny, tmp_path, monkeypatch) -> None:
    saved, save, now = [], State.save, [time.monotonic()]
    monkeypatch.setattr(
        "tipr.training.run.time.monotonic", lambda: now.append(now[-1] + 25) or now[-1]
    )
    monkeypatch.setattr(State, "save", lambda s, p: saved.append(s.progress.steps) or save(s, p))
    train(on(tiny, tiny.data.root, epochs=1, save_minutes=1.0), tmp_path, device="cpu")
    assert saved == [3, 6, 0]


# -- the log


def test_a_log_goes_on_where_its_checkpoint_was_written(tmp_path) -> None:
    log = Log(tmp_path)
    log.write("step", 1, {"loss": 0.1})
    size = log.size
    log.write("step", 2, {"loss": 0.2})
    assert [row["step"] for row in told(tmp_path)] == [1, 2]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"time": 1')  # a killed process leaves half a line
    Log(tmp_path)
    assert [row["step"] for row in told(tmp_path)] == [1, 2]
    Log(tmp_path, keep=size)
    assert [row["step"] for row in told(tmp_path)] == [1]
    Log(tmp_path, keep=0)
    assert told(tmp_path) == [] and [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_line_that_finds_no_room_is_left_out_with_a_warning(tmp_path, monkeypatch) -> None:
    log, real = Log(tmp_path), Path.open
    log.write("step", 1, {"loss": 0.1})

    def half_a_line(path: Path, *mode: str, **how: str):
        with real(path, "a") as file:
            file.write('{"ti')
        full()

    monkeypatch.setattr(Path, "open", half_a_line)
    with pytest.warns(UserWarning, match="No space left"):
        log.write("step", 2, {"loss": 0.2})
    monkeypatch.setattr(Path, "open", real)
    log.write("step", 3, {"loss": 0.3})
    assert [row["step"] for row in told(tmp_path)] == [1, 3]


def test_what_an_earlier_start_told_is_gone_when_it_left_no_checkpoint(tiny, tmp_path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step", "step": 1}\n')
    train(on(tiny, tiny.data.root, epochs=1), tmp_path, device="cpu")
    kinds = [row["kind"] for row in told(tmp_path) if row["kind"] != "advice"]
    assert kinds == ["data", *["step"] * 6, "train", "val"]


def test_a_checkpoint_of_before_goes_on_at_its_epoch(tiny, tmp_path) -> None:
    experiment = on(tiny, tiny.data.root, epochs=1)
    train(experiment, tmp_path, device="cpu")
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    old = ("method", "optimizer", "scheduler", "epoch", "best")
    torch.save({name: saved[name] for name in old}, tmp_path / "last.pt")
    before = told(tmp_path)
    train(experiment, tmp_path, resume=True, device="cpu")
    assert told(tmp_path) == before


def test_lines_are_as_far_apart_as_wanted(tiny, tmp_path) -> None:
    experiment = replace(on(tiny, tiny.data.root), log=LogConfig(every=5))
    train(experiment, tmp_path, device="cpu")
    rows = [row for row in told(tmp_path) if row["kind"] == "step"]
    assert [row["step"] for row in rows] == [5, 10]
    assert set(rows[0]) == {"kind", "step", "itc", "lr"}
    with pytest.raises(ValueError, match="at least 1"):
        changed(experiment, "log.every", "0")
