"""The terminal: one function per verb. Results go to stdout, progress to stderr.

Exit codes: 0 done, 1 we failed, 2 you mistyped.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from tqdm import tqdm

import tipr
from tipr.cli.bench import bench_app
from tipr.cli.data import data_app
from tipr.cli.demo import demo
from tipr.cli.models import import_, push
from tipr.cli.options import Device, Flag, Json, Out, shown

if TYPE_CHECKING:
    from tipr.embedder import Embedder
    from tipr.evaluation.metrics import RetrievalMetrics
    from tipr.evaluation.reranking import PairwiseReranker

Rerank = Annotated[int, Parameter(
    validator=Number(gte=0),
    help="How many of the best to order again with the model's re-ranking head (mgrl); 0 is none.",
)]  # fmt: skip

LongTexts = Annotated[Literal["cut", "clauses"], Parameter(
    help="Text longer than the model reads: its end is cut off, or it is read clause by clause.",
)]  # fmt: skip

app = App(
    name="tipr",
    version=tipr.__version__,
    help="Find a person's photographs from a sentence that describes them.",
    result_action="return_value",
)
app.command(data_app)
app.command(bench_app)
app.command(demo)
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
    tensorboard: Flag = False,
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
        Go on from the last finished epoch in --out.
    set_
        Change a setting, as `--set optim.epochs=3`; may be repeated.
    tensorboard
        Write TensorBoard files too (needs the extra `tensorboard`).
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
    run(chosen, out, resume=resume, device=device, tensorboard=tensorboard)
    print(out / "best")


@app.command(name="eval")
def eval_(  # noqa: PLR0913 - one parameter for each flag
    model: str,
    *,
    data: Path,
    split: Literal["train", "val", "test"] = "test",
    rerank: Rerank = 0,
    long_texts: LongTexts = "cut",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a model on a split of a dataset, text-to-image and image-to-text.

    Parameters
    ----------
    model
        A run or bundle folder, or the name of a shipped model.
    data
        The dataset's folder.
    split
        Which split; models are selected on val and reported on test.
    """
    from tipr.data.readers import read_dataset
    from tipr.embedder import Embedder
    from tipr.evaluation.evaluate import evaluate, unread
    from tipr.evaluation.reranking import PairwiseReranker, evaluate_reranked

    embedder = Embedder.load(model, device, long_texts)
    pairs = read_dataset(data).split(split)
    reranker = PairwiseReranker.beside(embedder) if rerank else None
    report = evaluate(embedder, pairs)
    lost = unread(embedder, pairs)
    facts = {"model": model, "data": str(data), "split": split, **report.to_json()}
    facts["unread_captions"] = lost.count
    rows = {"t2i": report.t2i}
    if reranker is not None:
        again = rows[f"t2i rerank@{rerank}"] = evaluate_reranked(reranker, pairs, rerank)
        facts["t2i_reranked"] = {"depth": rerank, "blend": reranker.blend, **again.to_json()}
    if as_json:
        print(json.dumps(facts))
        return
    if lost.count:
        print(lost.told, file=sys.stderr)
    _print_metrics({**rows, "i2t": report.i2t})
    print(f"{report.persons} people; a guess has R1 {100 * report.chance:.2f}")


def _print_metrics(rows: Mapping[str, RetrievalMetrics]) -> None:
    wide = max(6, *(len(task) + 1 for task in rows))
    print(f"{'task':<{wide}}{'R1':>8}{'R5':>8}{'R10':>8}{'mAP':>8}{'mINP':>8}  queries  gallery")
    for task, m in rows.items():
        scores = "".join(f"{100 * v:8.2f}" for v in (m.R1, m.R5, m.R10, m.mAP, m.mINP))
        print(f"{task:<{wide}}{scores}{m.queries:9d}{m.gallery:9d}")
        if m.unmatched:
            print(f"      {m.unmatched} queries show nobody of the gallery and are left out")


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
