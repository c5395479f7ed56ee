"""Draws src/tipr/gallery/probes: the people whose pictures and captions calibrate a gallery.

They are of no data set that anybody trains on: the seed is their own. Levels and lengths of caption
take turns. Needs the renderer: pip install "tipr[synth]"; then python docs/draw_probes.py.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tipr.data.synthetic.identity import sample_identity
from tipr.data.synthetic.levels import LEVELS
from tipr.data.synthetic.shots import Task, render_member
from tipr.data.synthetic.twins import Member
from tipr.gallery.probes import CAPTIONS, COLUMNS, HEIGHT, SHEET, WIDTH

SEED, PEOPLE = 1_009, 300


def main() -> None:
    sheet = Image.new("RGB", (COLUMNS * WIDTH, -(-PEOPLE // COLUMNS) * HEIGHT))
    captions = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PEOPLE):
            picture, caption = _probe(number, Path(folder))
            sheet.paste(picture, (number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT))
            captions.append(caption)
    sheet.save(SHEET, quality=85, optimize=True)
    CAPTIONS.write_text("".join(f"{caption}\n" for caption in captions), encoding="utf-8")


def _probe(number: int, folder: Path) -> tuple[Image.Image, str]:
    level = list(LEVELS)[number % len(LEVELS)]
    member = Member(number, sample_identity(SEED, number), number)
    task = Task(member, "test", folder, SEED, level, images=1, captions=2)
    record = render_member(task)[0]
    with Image.open(folder / record["image"]) as picture:
        small = picture.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return small, record["captions"][number % 2]["text"]


if __name__ == "__main__":
    main()
