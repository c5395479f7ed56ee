"""Draws docs/pictures/people.jpg: nine people at each level, as `tipr data synth` renders them."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tipr.data.synthetic.identity import sample_identity
from tipr.data.synthetic.rng import Rng
from tipr.data.synthetic.studio import Studio, prepare

SEED, COLUMNS, WIDTH, HEIGHT, GAP = 5, 9, 104, 256, 6
FIRST = {"easy": 40, "medium": 60, "hard": 80}
OUT = Path(__file__).parent / "pictures" / "people.jpg"


def main() -> None:
    size = (COLUMNS * (WIDTH + GAP) + GAP, len(FIRST) * (HEIGHT + GAP) + GAP)
    page = Image.new("RGB", size, "white")
    for row, (level, first) in enumerate(FIRST.items()):
        studio = Studio(SEED, level)
        for column in range(COLUMNS):
            index = first + column
            subject = prepare(sample_identity(SEED, index))
            shot = studio.shot(subject, Rng(SEED, index, level), index % len(studio.cameras))
            crop = Image.open(io.BytesIO(shot.jpeg)).resize(
                (WIDTH, HEIGHT), Image.Resampling.BICUBIC
            )
            page.paste(crop, (GAP + column * (WIDTH + GAP), GAP + row * (HEIGHT + GAP)))
    page.save(OUT, quality=88)


if __name__ == "__main__":
    main()
