"""Training by several processes through the command line, as torchrun starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_resume import assert_same_end, told

from tipr.experiments import clip
from tipr.training.start import new_embedder

STILL = [
    f"--set=data.augmentation.{name}=0"
    for name in ("flip", "shift", "zoom", "turn", "light", "saturation", "cast", "blur", "noise",
                 "erase", "drop_words")
]  # fmt: skip
PLAIN = ["--set=optim.algorithm=sgd", "--set=optim.lr=0.05", "--set=optim.head_lr=0.05",
         "--set=optim.epochs=2", "--set=log.every=1", "--device=cpu"]  # fmt: skip


def started(
    processes: int, root: Path, out: Path, *more: str, name: str = "clip:tiny"
) -> subprocess.Popen[str]:
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes),
              "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]  # fmt: skip
    words = ["-m", "tipr.cli", "train", name, f"--data={root}", f"--out={out}", *PLAIN, *more]
    return subprocess.Popen(
        [sys.executable, *(launch if processes > 1 else []), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finished(processes: int, root: Path, out: Path, *more: str, name: str = "clip:tiny") -> str:
    with started(processes, root, out, *more, name=name) as running:
        stdout, stderr = running.communicate(timeout=300)
    assert running.returncode == 0, stderr[-3000:]
    return stdout


def losses(run: Path) -> list[float]:
    return [row["itc"] for row in told(run) if row["kind"] == "step"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "last.pt", weights_only=True)["method"]


def assert_alike(run: Path, expected: Path) -> None:
    assert losses(run) == pytest.approx(losses(expected), abs=1e-5)
    assert len(losses(run)) == 12
    for name, value in weights(expected).items():
        assert torch.allclose(weights(run)[name], value, rtol=0, atol=1e-5), name


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is as good as new."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("start") / "model"
    new_embedder(clip.tiny(), "").save(folder)
    return folder


@pytest.fixture(scope="module")
def alone(rectangles_root: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    finished(1, rectangles_root, out, *STILL, f"--init-from={start}")
    return out


@pytest.mark.parametrize("way", [(), ("--set=optim.sharded=true",)])
def test_two_processes_train_as_one_does(way, alone, rectangles_root, start, tmp_path) -> None:
    said = finished(2, rectangles_root, tmp_path / "run", *STILL, *way, f"--init-from={start}")
    assert said.splitlines() == [str(tmp_path / "run" / "best")]  # once
    assert_alike(tmp_path / "run", alone)
    assert (tmp_path / "run" / "best" / "model.safetensors").is_file()


def broken_off(root: Path, out: Path, *more: str) -> None:
    """Two processes that are asked to stop after their first steps."""
    with started(2, root, out, *more) as running:
        log = out / "metrics.jsonl"
        while running.poll() is None and not (log.is_file() and '"step"' in log.read_text()):
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=120)
    assert running.returncode and 0 < len(losses(out)) < 12


def test_processes_that_are_asked_to_stop_go_on_bit_by_bit(rectangles_root, tmp_path) -> None:
    finished(2, rectangles_root, tmp_path / "whole")
    broken_off(rectangles_root, tmp_path / "run")
    finished(2, rectangles_root, tmp_path / "run", "--resume")
    assert_same_end(tmp_path / "whole", tmp_path / "run")


def test_fewer_processes_may_go_on(alone, rectangles_root, start, tmp_path) -> None:
    settings = (*STILL, f"--init-from={start}")
    broken_off(rectangles_root, tmp_path / "run", *settings)
    finished(1, rectangles_root, tmp_path / "run", *settings, "--resume")
    assert_alike(tmp_path / "run", alone)
