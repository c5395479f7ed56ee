"""Runs a command and writes what it took: `python measured.py FACTS.json COMMAND ...`.

A script that imports next to nothing: on Linux a process's peak memory counts from that of the
process which started it, so the one that starts what is measured should be small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def measured(command: list[str]) -> dict[str, float | int | None]:
    """Exit status, seconds on the clock, and the most memory held in bytes where that is told."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    peak = None
    if hasattr(os, "wait4"):  # not on Windows
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"code": process.wait(), "seconds": time.perf_counter() - began, "peak": peak}


if __name__ == "__main__":
    _facts, *_command = sys.argv[1:]
    _text = json.dumps(measured(_command))
    with open(_facts, "w", encoding="utf-8") as _file:  # noqa: PTH123 - pathlib is an import more
        _file.write(_text)
