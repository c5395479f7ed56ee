"""Freed memory goes back to the system at once, where that is asked for."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tipr.training import freed

# A block of 16 MB that was freed once is kept from then on, as glibc sees that it comes again.
HELD = """
import sys, torch
from pathlib import Path
from tipr.training.freed import give_back

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) >> 10

give_back(sys.argv[1] == "True")
torch.ones(10)
before = held()
blocks = [torch.ones(1 << 20) for _ in range(64)]
last = torch.ones(1 << 18)  # above them, so that they cannot go with the end of the heap
assert held() > before + 200
del blocks
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
def test_freed_blocks_go_back_at_once_or_stay() -> None:
    left = {
        at_once: int(subprocess.run([sys.executable, "-c", HELD, str(at_once)], check=True,
                                    capture_output=True, text=True).stdout)
        for at_once in (True, False)
    }  # fmt: skip
    assert left[True] < 30 < 200 < left[False]  # MB


def test_elsewhere_nothing_is_done(monkeypatch) -> None:
    monkeypatch.setattr(freed.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(freed.ctypes, "CDLL", lambda _: pytest.fail("there is no glibc"))
    freed.give_back(True)
