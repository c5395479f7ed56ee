"""Three hundred rendered people that nobody has met, each with a picture and a caption.

They stand in for the queries that a gallery without captions lacks. All pictures lie on one sheet,
`docs/draw_probes.py` drew it; cells end where JPEG blocks end, so neighbours do not mix.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

SHEET = Path(__file__).parent / "people" / "people.jpg"
CAPTIONS = Path(__file__).parent / "people" / "captions.txt"
WIDTH, HEIGHT, COLUMNS = 64, 128, 20


def probes() -> tuple[list[Image.Image], list[str]]:
    """Pictures and captions; row i of both is the same person."""
    captions = CAPTIONS.read_text(encoding="utf-8").splitlines()
    with Image.open(SHEET) as sheet:
        return [_cell(sheet, number) for number in range(len(captions))], captions


def _cell(sheet: Image.Image, number: int) -> Image.Image:
    left, top = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
    return sheet.crop((left, top, left + WIDTH, top + HEIGHT)).convert("RGB")
