"""The terminal: one function per verb. Results go to stdout, progress to stderr.

Exit codes: 0 done, 1 we failed, 2 you mistyped.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

import tipr
from tipr.cli.bench import bench_app
from tipr.cli.compare import compare
from tipr.cli.data import data_app
from tipr.cli.demo import demo
from tipr.cli.evaluation import eval_
from tipr.cli.exporting import export
from tipr.cli.gallery import gallery_app
from tipr.cli.indexing import calibrate, index, reindex, watch
from tipr.cli.models import import_, push
from tipr.cli.options import Device, Flag, Json, Out
from tipr.cli.searching import search

app = App(
    name="tipr",
    version=tipr.__version__,
    help="Find a person's photographs from a sentence that describes them.",
    result_action="return_value",
)
app.command(data_app)
app.command(bench_app)
app.command(demo)
app.command(eval_, name="eval")
app.command(compare)
app.command(import_, name="import")
app.command(push)
app.command(export)
app.command(gallery_app)
for verb in (index, search, calibrate, reindex, watch):
    app.command(verb)


@app.command
def train(  # noqa: PLR0913 - one parameter for each flag
    experiment: str,
    *,
    out: Out,
    data: Path | None = None,
    init_from: str = "",
    resume: Flag = False,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    device: Device = "auto",
    track: Annotated[list[str] | None, Parameter(negative=())] = None,
) -> None:
    """Train an experiment, as `tipr train clip_sdm:small --data people --out runs/first`.

    Parameters
    ----------
    experiment
        MODULE:FUNCTION of tipr.experiments, or ./FILE.py:FUNCTION of your own.
    data
        The dataset's folder.
    init_from
        A model, or weights that `tipr import` reads (ViT-B-16.pt, best.pth, ...), to start from.
    resume
        Go on from where the run in --out was saved, as if it had never stopped.
    set_
        Change a setting, as `--set optim.epochs=3`; may be repeated.
    track
        Tell tensorboard, wandb or mlflow too (extras of those names); may be repeated.
    """
    from tipr.experiments.find import find_experiment
    from tipr.training.experiment import changed
    from tipr.training.loop import train as run

    chosen = find_experiment(experiment)
    assignments = list(set_ or []) + ([f"data.root={data}"] if data else [])
    assignments += [f"init_from={init_from}"] if init_from else []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes FIELD=VALUE, not {assignment!r}")
        chosen = changed(chosen, name, value)
    run(chosen, out, resume=resume, device=device, track=track or ())
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, one speaks
        print(out / "best")


@app.command
def show(thing: str | None = None, /, *, as_json: Json = False) -> None:
    """Explain an experiment, a run, a bundle or a gallery; without a name, list the experiments."""
    from tipr.experiments.find import experiment_names

    if thing is None:
        names = experiment_names()
        print(json.dumps(names) if as_json else "\n".join(names))
        return
    facts = _explained(thing)
    print(json.dumps(facts) if as_json else json.dumps(facts, indent=2))


def _explained(thing: str) -> dict[str, Any]:
    path = Path(thing)
    from tipr.gallery.opening import is_server, store_is_there

    if is_server(thing) or store_is_there(path):
        from dataclasses import asdict

        from tipr.gallery.gallery import Gallery

        gallery = Gallery.open(thing)
        return {"what": "gallery", "images": len(gallery), **asdict(gallery.manifest)}
    if (path / "experiment.json").is_file():
        metrics = path / "metrics.jsonl"
        lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
        experiment = json.loads((path / "experiment.json").read_text(encoding="utf-8"))
        last = [json.loads(line) for line in lines[-2:]]
        return {"what": "run", "last": last, "experiment": experiment}
    named = thing.startswith(("hf:", "shipped:"))
    if ":" in thing and not named and not path.exists():
        from tipr.experiments.find import find_experiment

        chosen = find_experiment(thing)
        return {"what": "experiment", "name": thing, **json.loads(chosen.to_json())}
    from tipr.embedder import Embedder, find_bundle

    embedder = Embedder.load(thing, "cpu")
    facts = json.loads((find_bundle(thing) / "config.json").read_text(encoding="utf-8"))
    count = sum(p.numel() for p in embedder.encoder.parameters())
    return {"what": "model", "fingerprint": embedder.fingerprint, "parameters": count,
            "runtime": embedder.runtime.name, **facts}  # fmt: skip


def _sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    line: str | None = None,
) -> str:  # fmt: skip
    """A warning without the line of code it came from."""
    return f"tipr: {message}\n"


def main() -> None:
    """Runs the command line; errors come out as one sentence, not as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold any bytes
    warnings.formatwarning = _sentence  # ty: ignore[invalid-assignment]
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (ValueError, OSError, ImportError, RuntimeError, FloatingPointError) as error:
        print(f"tipr: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("tipr: stopped", file=sys.stderr)
        sys.exit(130)
