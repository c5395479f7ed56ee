"""`tipr demo`: render people, index them with the shipped model, ask five questions, draw one page.

A hit is right when the person's true attributes are what the sentence asks for; the demo knows
them because it rendered the people.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tipr.cli.options import shown

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A sentence, and for each attribute the values that make a person the right one."""

    sentence: str
    wanted: dict[str, tuple[str, ...]]

    def fits(self, person: Attributes) -> bool:
        return all(_worn(person, name) in values for name, values in self.wanted.items())


QUESTIONS = (
    Question("a person in a red top", {"top_c": ("red", "dark red")}),
    Question("a woman wearing a skirt", {"sex": ("female",), "lower": ("skirt",)}),
    Question(
        "a man in black trousers with a backpack",
        {
            "sex": ("male",),
            "lower_c": ("black",),
            "lower": ("trousers", "joggers"),
            "bag": ("backpack",),
        },
    ),
    Question(
        "someone in a white top, blue jeans and white shoes",
        {
            "top_c": ("white", "cream"),
            "lower": ("jeans",),
            "lower_c": ("blue", "denim", "light denim", "dark denim"),
            "shoe_c": ("white", "cream"),
        },
    ),
    Question("a person holding an open umbrella", {"carry": ("umbrella",)}),
)


def demo(*, out: Path = Path("demo"), people: int = 100, images: int = 4, seed: int = 21) -> None:
    """Make a gallery of synthetic people and search it with five sentences.

    Parameters
    ----------
    out
        Folder for the people, the gallery and the picture; made again on every run.
    people
        How many people to render.
    images
        Pictures of each.
    seed
        Other seeds give other people.
    """
    from tipr.data.synthetic.dataset import render_dataset
    from tipr.embedder import Embedder
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.indexing import index_folders
    from tipr.gallery.searcher import Searcher

    embedder = Embedder.load("shipped:small", "cpu")
    _cleared(out)
    with tqdm(desc="render", unit="person", disable=None) as bar:
        render_dataset(out / "people", people=people, images=images, level="easy", seed=seed,
                       workers=2, captions=1, progress=shown(bar))  # fmt: skip
    gallery = Gallery.create(out / "gallery", embedder)
    with tqdm(desc="index", unit="image", disable=None) as bar:
        report = index_folders(gallery, embedder, [out / "people" / "images"], shown(bar))
    print(f"{report.added} pictures of {people} people are indexed in {out / 'gallery'}\n")
    print(_answered(Searcher(embedder, gallery), _truth(out / "people"), out / "answers.png"))


def _answered(searcher: Any, truth: dict[str, Attributes], sheet: Path, k: int = 8) -> Path:
    """Prints the answers to the five questions and draws them on one page."""
    from tipr.gallery.sheet import contact_sheet

    rows = []
    for question in QUESTIONS:
        count = sum(question.fits(person) for person in truth.values())
        print(f'"{question.sentence}"   ({count} of {len(truth)} pictures show one)')
        crops = []
        for rank, hit in enumerate(searcher.search(question.sentence, k), 1):
            person = truth[Path(hit.record.path).name]
            right = question.fits(person)
            mark = "+" if right else "-"
            print(
                f"  {rank} {mark} {hit.score:.3f}  {Path(hit.record.path).name:<16} {_told(person)}"
            )
            crops.append((Path(hit.record.path), f"{hit.score:.2f}", right))
        print()
        rows.append((question.sentence, crops))
    return contact_sheet(rows, sheet)


def _cleared(out: Path) -> None:
    """An empty folder; one with contents is emptied only if an earlier demo left its mark there."""
    mark = out / ".tipr-demo"
    if out.exists() and not mark.exists() and any(out.iterdir()):
        raise ValueError(f"{out} holds other files; choose a new folder with --out")
    for name in ("people", "gallery"):
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _truth(root: Path) -> dict[str, Attributes]:
    """The attributes of the person in each picture, by file name."""
    lines = (root / "identities.jsonl").read_text(encoding="utf-8").splitlines()
    people = {row["id"]: row["attributes"] for row in map(json.loads, lines)}
    lines = (root / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    return {Path(row["image"]).name: people[row["id"]] for row in map(json.loads, lines)}


def _worn(person: Attributes, name: str) -> Any:
    """An attribute; `top_c` is the colour of the garment that is seen first."""
    if name == "top_c":
        return person["upper_c"] if person["outer"] == "none" else person["outer_c"]
    return person[name]


def _told(person: Attributes) -> str:
    """The attributes on which a searcher would judge."""
    top = person["upper"] if person["outer"] == "none" else person["outer"]
    told = [f"{person['sex']}, {_worn(person, 'top_c')} {top}"]
    if person["lower"] != "dress":
        told.append(f"{person['lower_c']} {person['lower']}")
    told.append(f"{person['shoe_c']} {person['shoes']}")
    told += [person[name] for name in ("bag", "carry") if person[name] != "none"]
    return ", ".join(told)
