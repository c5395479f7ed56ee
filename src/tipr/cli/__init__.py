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
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from tqdm import tqdm

import tipr
from tipr.cli.bench import bench_app
from tipr.cli.compare import compare
from tipr.cli.data import data_app
from tipr.cli.demo import demo
from tipr.cli.evaluation import eval_
from tipr.cli.models import import_, push
from tipr.cli.options import Device, Flag, Json, LongTexts, Out, Rerank, shown

if TYPE_CHECKING:
    from tipr.embedder import Embedder
    from tipr.evaluation.reranking import PairwiseReranker

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
def index(
    folders: list[Path],
    /,
    *,
    gallery: Path,
    model: str = "shipped:small",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Add the pictures of folders to a gallery; what is there already is not added twice.

    Parameters
    ----------
    folders
        Folders of person crops, searched with all below them.
    gallery
        The gallery's folder; made when it is not there.
    model
        A run or bundle folder, or the name of a shipped model.
    """
    from tipr.embedder import Embedder
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.indexing import index_folders

    embedder = Embedder.load(model, device)
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}; give the folder that holds the crops")
    opened = Gallery.open_or_create(gallery, embedder)
    with tqdm(desc="index", unit="image", disable=None) as bar:
        report = index_folders(opened, embedder, folders, progress=shown(bar))
    skipped = [{"path": str(path), "reason": reason} for path, reason in report.skipped]
    if as_json:
        facts = {"added": report.added, "already": report.already, "images": len(opened)}
        print(json.dumps({"gallery": str(gallery), **facts, "skipped": skipped}))
        return
    for row in skipped:
        print(f"skipped {row['path']}: {row['reason']}", file=sys.stderr)
    print(f"{gallery}: {report.added} added, {report.already} there already, "
          f"{len(skipped)} skipped; {len(opened)} in all")  # fmt: skip


@app.command
def search(  # noqa: PLR0913 - one parameter for each flag
    description: str,
    *,
    gallery: Path,
    k: Annotated[int, Parameter(name=("-k", "--k"))] = 10,
    model: str | None = None,
    rerank: Rerank = 0,
    long_texts: LongTexts = "cut",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Search a gallery with a sentence; the best match comes first.

    Parameters
    ----------
    description
        What the person looks like, as "a woman in a red coat with a black bag".
    k
        How many to show.
    model
        Where the gallery's model lies now, if it was moved.
    """
    from tipr.gallery.searcher import Searcher

    with Searcher.open(
        gallery, device, model, _reranker if rerank else None, rerank, long_texts
    ) as searcher:
        hits = searcher.search(description, k)
        lost = searcher.unread(description)
    if as_json:
        rows = [{"rank": rank, "score": hit.score, "id": hit.record.id, "path": hit.record.path}
                for rank, hit in enumerate(hits, 1)]  # fmt: skip
        print(json.dumps({"query": description, "unread": lost, "hits": rows}))
        return
    if not hits:
        print(f"{gallery} is empty; `tipr index FOLDER --gallery {gallery}` fills it")
    for rank, hit in enumerate(hits, 1):
        print(f"{rank:3d}  {hit.score:.3f}  {hit.record.path}")


def _reranker(embedder: Embedder) -> PairwiseReranker:
    """Brings in the head's code only when it is asked for."""
    from tipr.evaluation.reranking import PairwiseReranker

    return PairwiseReranker.beside(embedder)


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
    if (path / "manifest.json").is_file():
        from dataclasses import asdict

        from tipr.gallery.gallery import Gallery

        gallery = Gallery.open(path)
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
    return {"what": "model", "fingerprint": embedder.fingerprint, "parameters": count, **facts}


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
