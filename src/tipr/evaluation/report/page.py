"""The page: what was measured laid out as one HTML file that opens without a network."""

from __future__ import annotations

import base64
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tipr.data.images import UnreadableImage, open_image
from tipr.data.plain import plain
from tipr.data.whole import put
from tipr.evaluation.bootstrap import caveat, people_scored
from tipr.evaluation.breakdown import FEWEST, Group
from tipr.evaluation.report import figures
from tipr.evaluation.report.contents import Contents, Direction, Estimate
from tipr.evaluation.report.plots import Markup, bar

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
except ImportError as error:
    raise ImportError("a report needs jinja2: pip install 'tipr[report]'") from error

TALL, WIDE = 160, 120  # pixels that a picture has at most
LOWEST = 10  # groups that are listed first
_QUALITY = 80
_TEMPLATE = "page.html"
_MEANS = {
    "R1": ("R@1", "queries whose first result is right"),
    "R5": ("R@5", "queries with a right result among the first 5"),
    "R10": ("R@10", "queries with a right result among the first 10"),
    "mAP": ("mAP", "the precision at each right result, averaged (step form)"),
    "mAP_trapezoid": ("mAP, trapezoid", "the form that IVT and TIPCB report; not to be compared "
                                        "with the step form"),
    "mINP": ("mINP", "right results over the rank of the last: how far down all of them are"),
    "R_precision": ("R-precision", "right ones among the first R, where R is how many there are"),
}  # fmt: skip
_FACTS = {
    "model": "model", "fingerprint": "fingerprint of the model", "data": "data", "split": "split",
    "queries": "captions", "gallery": "pictures", "people": "people", "date": "date",
    "commit": "commit", "command": "command", "hardware": "hardware", "torch": "torch",
    "seed": "seed",
}  # fmt: skip
_ABSOLUTE = re.compile(r"(?:^|(?<=[=,]))(?:[A-Za-z]:)?[\\/].*", re.DOTALL)  # in a word
_ELSEWHERE = {"columns", "metrics", "digests", "experiment"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A group in a table."""

    group: Group
    scores: dict[str, Estimate]  # by metric; none where it was not scored
    bar: Markup  # of the first metric
    below: bool  # all of its interval lies below the mark


def page(
    found: Contents, *, pictures: bool = True, selected: Mapping[str, Any] | None = None
) -> str:
    """The same contents give the same page; without pictures ids and ranks stay.

    It is passed on, so no path is told: of folders and files only the last part.
    """
    everybody = found.t2i.estimates["R1"].mean
    rows = [_row(group, "R1", everybody) for group in found.groups]
    scored = [row for row in rows if row.scores]
    known = found.open_set.calibration
    images = _images(found) if pictures else {}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters["percent"] = figures.percent
    return environment.get_template(_TEMPLATE).render(
        found=found,
        facts=(facts := _without_paths(found.record.facts)),
        told=_facts(facts),
        few=caveat(people_scored(found.record.values, found.record.person_ids)),
        models=_models(selected, found.t2i) if selected else [],
        means=_MEANS,
        figures=[figures.recall(found), figures.first_ranks(found), figures.scores(found)],
        detections=figures.detections(found),
        calibration=None if known is None else figures.calibrated(known),
        lowest=sorted(scored, key=lambda row: row.scores["R1"].mean)[:LOWEST],
        scored=len(scored),
        groups=_by(rows),
        choices=_by([_row(group, "right", 0.5) for group in found.choices]),
        fewest=FEWEST,
        pictures=pictures,
        images=images,
        lost=sum(image is None for image in images.values()),
    )


def write(path: Path, text: str) -> None:
    """Writes a page, whole or not at all.

    Raises:
        OSError: it could not be written; one that was there is intact.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, text)
    except OSError as error:
        raise OSError(f"the report could not be written to {path} ({error}); free some disk space "
                      "or choose another file") from error  # fmt: skip


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a reader needs to measure it again; further facts under their own names."""
    told = {name: facts[key] for key, name in _FACTS.items() if key in facts}
    if experiment := facts.get("experiment"):
        told |= {"method": experiment["method"], "digest of its settings": experiment["digest"]}
    told["digest of the queries"] = facts["digests"]["queries"]
    others = facts.keys() - _FACTS.keys() - _ELSEWHERE
    told |= {name: facts[name] for name in sorted(others)}
    return {name: "not known" if v in (None, "") else str(v) for name, v in told.items()}


def _without_paths(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with the names of models, datasets and files instead of their places."""
    told = dict(facts)
    for name in {"model", "data"} & facts.keys():
        told[name] = _name(str(facts[name] or ""), in_run=name == "model" and "experiment" in facts)
    if facts.get("command"):
        words = shlex.split(facts["command"])
        told["command"] = shlex.join(_ABSOLUTE.sub(lambda m: _name(m[0]), word) for word in words)
    return told


def _name(place: str, in_run: bool = False) -> str:
    """The last part of a path; of a model in a run the last two, as `first/best`."""
    if place.startswith("hf:"):
        return place
    parts = [part for part in re.split(r"[\\/]", place) if part]
    return "/".join(parts[-2 if in_run else -1 :])


def _models(selected: Mapping[str, Any], best: Direction) -> list[tuple[str, str, str]]:
    """A run's models: what each is, its R@1 and its mAP."""
    chosen = {name: best.estimates[name].mean for name in ("R1", "mAP")}
    found = [(f"epoch {selected['best_on_val']}, the best on validation: this page", chosen),
             (f"epoch {selected['last']}, the last", selected["last_t2i"])]  # fmt: skip
    if (epoch := selected["best_on_test"]) is not None:
        found.append((f"epoch {epoch}, chosen on the test split: not a result",
                      selected["test"][epoch]))  # fmt: skip
    return [(name, figures.percent(of["R1"]), figures.percent(of["mAP"])) for name, of in found]


def _row(group: Group, metric: str, mark: float) -> Row:
    if group.scores is None:
        return Row(group=group, scores={}, bar=Markup(""), below=False)
    scores = {name: Estimate(**ends) for name, ends in group.scores.items()}
    main = scores[metric]
    title = f"{_told(main)}; the line is at {100 * mark:.1f} %"
    drawn = bar(title, main.mean, main.low, main.high, mark)
    return Row(group=group, scores=scores, bar=drawn, below=main.high < mark)


def _by(rows: Sequence[Row]) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(row.group.by, []).append(row)
    return tables


def _told(found: Estimate) -> str:
    low, high = figures.percent(found.low), figures.percent(found.high)
    return f"{figures.percent(found.mean)} % ({low} to {high})"


def _images(found: Contents) -> dict[Path, str | None]:
    """A small copy of every picture that is shown, as a data URI; None where it is unreadable."""
    lists = [one for chosen in found.lists.values() for one in chosen]
    return {path: _small(path) for path in {hit.picture: 0 for one in lists for hit in one.hits}}


def _small(path: Path) -> str | None:
    try:
        image = open_image(path)
    except UnreadableImage:
        return None
    image.thumbnail((WIDE, TALL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _visible(value: object) -> object:
    """Text with everything written out that no page may hold."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
