"""A dress rehearsal on a set of CUHK-PEDES's size: check, train, evaluate, index, all measured.

Every stage is the real command in a process of its own, so what is measured is what a user meets.
Training is one epoch of `clip:tiny` in batches of 96 with 48 tokens: what costs at this size is the
number of pictures and sentences, not the network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tipr.bench.cuhk import cuhk_shape

__all__ = ["Stage", "cuhk_shape", "rehearse", "table"]

_LAUNCHER = Path(__file__).with_name("measured.py")
EXPERIMENT = "clip:tiny"
SETTINGS = ("optim.epochs=1", "data.batch_size=96", "data.text_length=48")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One command of the rehearsal and what it took."""

    name: str
    command: str
    seconds: float  # on the clock
    peak: int | None  # the most memory held, in bytes; None where the system does not tell
    result: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rehearse(
    data: Path | str,
    out: Path | str,
    device: str = "cpu",
    announce: Callable[[str], None] | None = None,
) -> list[Stage]:
    """Runs every stage on the dataset in `data`; runs, galleries and logs are written to `out`.

    Raises:
        RuntimeError: a stage failed; the message ends with what it said.
    """
    data, out = Path(data), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    stages: list[Stage] = []
    for name, words in _commands(data, out, device).items():
        if announce is not None:
            announce(name)
        facts, printed = _measured(name, words, out)
        shown = " ".join(["tipr", *words])
        result = _RESULTS[name](printed)
        stages.append(Stage(name=name, command=shown, seconds=facts["seconds"],
                            peak=facts["peak"], result=result))  # fmt: skip
    return stages


def table(stages: Sequence[Stage]) -> str:
    """The stages as a Markdown table."""
    lines = ["| stage | seconds | peak MiB | result |", "|---|---|---|---|"]
    for s in stages:
        peak = "-" if s.peak is None else f"{s.peak >> 20:,}"
        lines.append(f"| {s.name} | {s.seconds:.1f} | {peak} | {s.result} |")
    return "\n".join(lines)


def _commands(data: Path, out: Path, device: str) -> dict[str, list[str]]:
    run, on = str(out / "run"), ["--device", device]
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return {
        "check": ["data", "check", str(data), "--json"],
        "train": ["train", EXPERIMENT, "--data", str(data), "--out", run, *settings, *on],
        "eval": ["eval", run, "--data", str(data), "--split", "test", "--json", *on],
        "index": ["index", str(data / "imgs"), "--gallery", str(out / "gallery"),
                  "--model", run, "--json", *on],
    }  # fmt: skip


def _measured(name: str, words: list[str], out: Path) -> tuple[dict[str, Any], str]:
    """What a command took, and what it printed; its other words go to OUT/NAME.log."""
    log = out / f"{name}.log"
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as errors:
        facts = Path(folder) / "facts.json"
        launcher = [sys.executable, "-P", str(_LAUNCHER), str(facts)]
        done = subprocess.run([*launcher, sys.executable, "-m", "tipr.cli", *words],
                              stdout=subprocess.PIPE, stderr=errors, check=False)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the rehearsal's {name} could not be started; see {log}")
        took = json.loads(facts.read_text(encoding="utf-8"))
    printed = done.stdout.decode("utf-8", errors="replace")
    if took["code"]:
        said = (log.read_text(encoding="utf-8", errors="replace") + printed).strip()
        last = said.splitlines()[-1] if said else "no word"
        raise RuntimeError(f"the rehearsal's {name} failed ({took['code']}): {last[-400:]}")
    return took, printed


def _checked(printed: str) -> str:
    facts = json.loads(printed)
    counts = {c["what"]: c["found"] for c in facts["counts"] if c["split"] == "all"}
    notes = len(facts["findings"])
    return f"{counts['images']:,} images, {counts['captions']:,} captions: clean, {notes} notes"


def _trained(printed: str) -> str:
    del printed  # the folder of the model
    return f"{EXPERIMENT}, {', '.join(SETTINGS)}"


def _evaluated(printed: str) -> str:
    facts = json.loads(printed)["t2i"]
    score = f"R1 {100 * facts['R1']:.2f}"
    return f"{score} for {facts['queries']:,} sentences among {facts['gallery']:,} images"


def _indexed(printed: str) -> str:
    facts = json.loads(printed)
    return f"{facts['added']:,} images added, {len(facts['skipped'])} skipped"


_RESULTS = {"check": _checked, "train": _trained, "eval": _evaluated, "index": _indexed}
