"""Peak memory of training steps, in a process of its own: `python -m tipr.bench.memory`.

On the CPU it is how far the peak of the resident memory rises above what the loaded model and the
batch need; on a GPU it is the peak of all tensors. On Linux both are read from /proc, where the
peak can be begun anew once the batch is prepared; elsewhere it rises above the peak until then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tipr.bench.subjects import fed, subject
from tipr.training.experiment import Experiment, changed

STEPS = 3


def peak_memory(
    name: str, root: Path, batch: int, folder: Path, device: torch.device,
    changes: Sequence[str] = (),
) -> int:  # fmt: skip
    """Bytes of an experiment's steps, with `changes` (`FIELD=VALUE`) to it.

    Raises:
        RuntimeError: the process fails, as when there is too little memory.
    """
    return asked("tipr.bench.memory", name, root, batch, folder, device, *changes)


def asked(module: str, *words: object) -> int:
    """The number that a module prints last, as the program of a fresh process.

    Raises:
        RuntimeError: the process fails, as when there is too little memory.
    """
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise RuntimeError(f"measuring memory failed: {reason[0]}")
    return int(json.loads(done.stdout.splitlines()[-1]))


def measured(
    name: str, root: Path, batch: int, folder: Path, device: torch.device,
    changes: Sequence[str] = (),
) -> int:  # fmt: skip
    """The same, in this process, which should be fresh."""
    experiment = altered(fed(name, root, batch, folder), changes)
    return risen(subject(experiment, root, device).step, device)


def altered(experiment: Experiment, changes: Sequence[str]) -> Experiment:
    """The experiment with each change of the form `FIELD=VALUE`."""
    for change in changes:
        field, _, value = change.partition("=")
        experiment = changed(experiment, field, value)
    return experiment


def risen(step: Callable[[], object], device: torch.device) -> int:
    """Bytes that steps take at their peak, above what this process holds before them on the CPU."""
    cuda = device.type == "cuda"
    before = 0 if cuda else _begun_anew()
    for _ in range(STEPS):
        step()
    return torch.cuda.max_memory_allocated(device) if cuda else _peak() - before


def _begun_anew() -> int:
    """What the process holds now, from which its peak is counted anew where the system allows."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM becomes VmRSS
    except OSError:
        return _peak()
    return _told("VmRSS") or _peak()


def _peak() -> int:
    """The most memory that this process held."""
    if told := _told("VmHWM"):
        return told
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _told(name: str) -> int:
    """Bytes, by the system's own account of this process; 0 where it gives none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else 0


if __name__ == "__main__":
    _name, _root, _batch, _folder, _device, *_changes = sys.argv[1:]
    _place = torch.device(_device)
    print(measured(_name, Path(_root), int(_batch), Path(_folder), _place, _changes))
