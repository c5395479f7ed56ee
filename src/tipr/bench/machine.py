"""What a number was made with: processor, threads, torch, and the commit of this package."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

import torch


def machine(device: torch.device) -> dict[str, str]:
    """The hardware that computes on `device`, and torch's version."""
    used = f"{_processor()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        used = f"{torch.cuda.get_device_name(device)} ({used})"
    return {"hardware": used, "torch": torch.__version__}


@cache
def commit() -> str | None:
    """The commit of the source tree, `+changes` when the package was edited since.

    None outside of git.
    """
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", here, *words], capture_output=True, text=True,
                              check=True, timeout=60).stdout.strip()  # fmt: skip

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        edited = git("status", "--porcelain", "--", ".")
        return git("rev-parse", "HEAD") + ("+changes" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
