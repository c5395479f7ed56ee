"""A dataset with CUHK-PEDES's exact shape and traps, of coloured figures a few pixels high.

Counts, folders, formats and keys are those of the released set (Li et al., CVPR 2017); how many
pictures each folder holds is made up. As there, identities count from 1, nine pictures carry more
than two sentences, one of them ten and one four, somebody has one picture only, and sentences hold
line breaks and double blanks. The sentences are true, so that something can be learnt.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COUNTS = {"train": (11_003, 34_054), "val": (1_000, 3_078), "test": (1_000, 3_074)}
EXTRA = {"train": (4, 3, 3, 3, 3, 1, 1), "val": (2,), "test": (8,)}  # sentences beyond two
NAMES = {
    "cam_a": "{person:04d}_{shot}.bmp",
    "cam_b": "{person:04d}_{shot}.bmp",
    "CUHK01": "{person:05d}{shot:03d}.png",
    "CUHK03": "{person:05d}_{shot}.png",
    "Market": "{person:05d}_c1s1_{shot:06d}_00.jpg",
    "test_query": "p{person}_s{shot}.jpg",
    "train_query": "p{person}_s{shot}.jpg",
}
SOURCES = (
    ("cam_a", "cam_b"), ("CUHK01",), ("CUHK03",), ("CUHK03",), ("CUHK03",), ("CUHK03",),
    ("Market",), ("test_query",), ("train_query",), ("train_query",),
)  # fmt: skip
COLOURS = {
    "black": (25, 25, 25), "white": (240, 240, 240), "grey": (130, 130, 130),
    "red": (200, 30, 30), "green": (30, 150, 50), "blue": (30, 60, 200),
    "yellow": (225, 205, 40), "purple": (130, 40, 160), "orange": (235, 130, 20),
    "pink": (240, 150, 180), "brown": (110, 70, 30), "turquoise": (50, 190, 190),
}  # fmt: skip
PARTS = {  # rows and columns of the figure, as shares of the height and the width
    "hair": (0.05, 0.14, 0.35, 0.65),
    "top": (0.20, 0.52, 0.22, 0.78),
    "bag": (0.36, 0.56, 0.80, 0.98),
    "bottom": (0.52, 0.88, 0.28, 0.72),
    "shoes": (0.88, 0.97, 0.22, 0.78),
}
SKIN = (0.14, 0.20, 0.38, 0.62)
OPENINGS = ("The person", "This pedestrian", "Someone", "A passer-by", "The walker")
CLOTHES = (
    "{opening} is wearing a {top} shirt, {bottom} trousers and a pair of {shoes} shoes, has {hair}"
    " hair and is carrying a {bag} bag in one hand.",
    "{opening} with {hair} hair carries a {bag} bag, and is dressed in {bottom} pants,"
    " {shoes} footwear and a {top} top that reaches the hips.",
)
BROKEN_LINE, DOUBLE_BLANK = 40, 25  # one sentence in so many
_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture before it is drawn."""

    person: int
    number: int  # of the picture, from 1
    split: str
    sentences: int

    @property
    def file(self) -> str:
        folders = SOURCES[self.person % len(SOURCES)]
        folder = folders[self.number % len(folders)]
        return f"{folder}/" + NAMES[folder].format(person=self.person, shot=self.number)


def cuhk_shape(
    folder: Path | str, scale: float = 1.0, size: tuple[int, int] = (48, 16), seed: int = 0
) -> Path:
    """Writes the set to `folder`, which appears whole or not at all; `size` is (height, width).

    A `scale` below 1 shrinks the number of people and pictures, and keeps the traps.

    Raises:
        ValueError: the folder is there, or a number makes no sense.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} is there already; give a folder that is not, or remove it")
    if not 0 < scale <= 1 or min(size) < 8:
        raise ValueError(f"scale is above 0 and at most 1, sides 8 pixels or more: {scale}, {size}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(draft, list(_shots(scale)), size, seed)
        draft.chmod(0o755)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _shots(scale: float) -> Iterator[Shot]:
    person, number = 0, 0
    for split, (people, images) in COUNTS.items():
        people = max(4, round(people * scale))
        images = max(3 * people, round(images * scale))
        extra = dict(enumerate(EXTRA[split], start=1))
        for index, (who, _) in enumerate(_placed(images, people)):
            number += 1
            yield Shot(
                person=person + who + 1, number=number, split=split,
                sentences=2 + extra.get(index, 0),
            )  # fmt: skip
        person += people


def _placed(images: int, people: int) -> Iterator[tuple[int, int]]:
    """(person, which of theirs): the first has one, the others share the rest evenly."""
    yield 0, 0
    each, more = divmod(images - 1, people - 1)
    for person in range(1, people):
        for shot in range(each + (person <= more)):
            yield person, shot


def _write(folder: Path, shots: list[Shot], size: tuple[int, int], seed: int) -> None:
    for name in NAMES:
        (folder / "imgs" / name).mkdir(parents=True)
    rows, told = list[dict[str, Any]](), 0
    for shot in shots:
        looks = _looks(shot.person, seed)
        _drawn(looks, size, (seed, shot.person, shot.number)).save(folder / "imgs" / shot.file)
        captions = [_sentence(looks, shot.number, n, told + n) for n in range(shot.sentences)]
        told += shot.sentences
        tokens = [_WORD.findall(caption.lower()) for caption in captions]
        rows.append({"split": shot.split, "captions": captions, "file_path": shot.file,
                     "processed_tokens": tokens, "id": shot.person})  # fmt: skip
    (folder / "reid_raw.json").write_text(json.dumps(rows), encoding="utf-8", newline="\n")


def _looks(person: int, seed: int) -> dict[str, str]:
    chosen = np.random.default_rng((seed, person)).integers(len(COLOURS), size=len(PARTS))
    names = list(COLOURS)
    return {part: names[i] for part, i in zip(PARTS, chosen.tolist(), strict=True)}


def _drawn(looks: dict[str, str], size: tuple[int, int], seeds: tuple[int, ...]) -> Image.Image:
    rng = np.random.default_rng(seeds)
    height, width = size
    pixels = np.empty((height, width, 3), dtype=np.float32)
    pixels[:] = rng.uniform(60, 200) + rng.uniform(-15, 15, 3)
    shift = rng.integers(-1, 2, 2)
    boxes = {SKIN: (215, 170, 140), **{PARTS[part]: COLOURS[looks[part]] for part in PARTS}}
    for (top, bottom, left, right), colour in boxes.items():
        rows = slice(max(0, round(top * height) + shift[0]), round(bottom * height) + shift[0])
        columns = slice(max(0, round(left * width) + shift[1]), round(right * width) + shift[1])
        pixels[rows, columns] = colour
    pixels = pixels * rng.uniform(0.8, 1.1) + rng.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _sentence(looks: dict[str, str], picture: int, number: int, told: int) -> str:
    """The picture's sentence `number`; `told` counts over the set and places the blemishes."""
    opening = OPENINGS[(picture + number // len(CLOTHES)) % len(OPENINGS)]
    text = CLOTHES[number % len(CLOTHES)].format(opening=opening, **looks)
    if told % BROKEN_LINE == 0:
        text = text.replace(", ", ",\n", 1)
    if told % DOUBLE_BLANK == 0:
        text = text.replace(" and ", "  and ", 1)
    return text
