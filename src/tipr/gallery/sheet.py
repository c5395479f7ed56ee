"""Search results as one picture: a row for each query, ranked crops at equal height.

A crop known to be right has a green frame and a tick, a wrong one a red frame and a cross (so that
colour is not the only sign), one of which nothing is known a thin grey frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tipr.data.images import UnreadableImage, open_image

Crop = tuple[Image.Image | Path, str, bool | None]

_WIDTH = 1440
_MARGIN = 40
_HEIGHT = 264  # of every crop
_WIDEST = 228  # a wider crop is fitted onto a mat of this width
_NARROWEST = 84  # room for rank and score
_FRAME = 5
_GAP = 12  # between the frames of two crops
_LABEL = 26
_CAPTION = ImageFont.load_default(23)
_RANK = ImageFont.load_default(16)
_SCORE = ImageFont.load_default(16)

_PAPER, _RULE, _MAT = "#ffffff", "#e5e7eb", "#f3f4f6"
_INK, _GREY = "#111827", "#6b7280"
_FRAMES = {True: "#16a34a", False: "#dc2626", None: "#d1d5db"}
_SIGNS = {
    True: [(0.27, 0.52), (0.44, 0.69), (0.74, 0.34)],
    False: [(0.32, 0.32), (0.68, 0.68), (0.5, 0.5), (0.68, 0.32), (0.32, 0.68)],
}


@dataclass(frozen=True)
class _Cell:
    """One crop, scaled, with its place on the page (top left of the picture itself)."""

    picture: Image.Image
    rank: int
    label: str
    right: bool | None
    x: int
    y: int


@dataclass(frozen=True)
class _Section:
    """One query, laid out from y = 0."""

    lines: list[str]
    cells: list[_Cell]
    height: int


def contact_sheet(rows: Sequence[tuple[str, Sequence[Crop]]], out: Path) -> Path:
    """Writes the sheet in the format of `out`'s ending; a row is a caption and its crops in order.

    A crop is a picture or its path, the text under it (its score), and whether it is right.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one query")
    sections = [_laid_out(caption, crops) for caption, crops in rows]
    gap = 2 * _MARGIN // 3
    height = 2 * _MARGIN + sum(s.height for s in sections) + 2 * gap * (len(sections) - 1)
    page = Image.new("RGB", (_WIDTH, height), _PAPER)
    y = _MARGIN
    for number, section in enumerate(sections):
        if number:
            y += gap
            ImageDraw.Draw(page).line((_MARGIN, y, _WIDTH - _MARGIN, y), _RULE, 2)
            y += gap
        _paint(page, section, y)
        y += section.height
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out)
    return out


def _laid_out(caption: str, crops: Sequence[Crop]) -> _Section:
    lines = _wrapped(caption, _WIDTH - 2 * _MARGIN)
    top = 32 * len(lines) + 14
    cells: list[_Cell] = []
    x, y = _MARGIN + _FRAME, top + _FRAME
    step = _HEIGHT + 2 * _FRAME + _LABEL + _GAP
    for rank, (source, label, right) in enumerate(crops, start=1):
        picture = _picture(source)
        if cells and x + picture.width + _FRAME > _WIDTH - _MARGIN:
            x, y = _MARGIN + _FRAME, y + step
        cells.append(_Cell(picture, rank, label, right, x, y))
        x += picture.width + 2 * _FRAME + _GAP
    bottom = y + _HEIGHT + _FRAME + _LABEL if cells else top
    return _Section(lines, cells, bottom)


def _paint(page: Image.Image, section: _Section, top: int) -> None:
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(section.lines):
        draw.text((_MARGIN, top + 32 * number), line, _INK, _CAPTION)
    for cell in section.cells:
        x, y = cell.x, top + cell.y
        right, bottom = x + cell.picture.width, y + _HEIGHT
        thick = 1 if cell.right is None else _FRAME
        box = (x - thick, y - thick, right + thick - 1, bottom + thick - 1)
        draw.rectangle(box, _FRAMES[cell.right])
        page.paste(cell.picture, (x, y))
        if cell.right is not None:
            badge = _badge(cell.right)
            page.paste(badge, (x, y), badge)
        under = bottom + _FRAME + 7
        draw.text((x, under), str(cell.rank), _INK, _RANK)
        room = cell.picture.width - draw.textlength(f"{cell.rank} ", _RANK)
        draw.text((right, under), _shortened(cell.label, room), _GREY, _SCORE, anchor="ra")


def _picture(source: Image.Image | Path) -> Image.Image:
    """The crop at the sheet's height, on a mat where it is too narrow or too wide."""
    try:
        image = open_image(source)
    except UnreadableImage:
        return _missing()
    scale = min(_HEIGHT / image.height, _WIDEST / image.width)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    mat = Image.new("RGB", (max(_NARROWEST, image.width), _HEIGHT), _MAT)
    mat.paste(image, ((mat.width - image.width) // 2, (_HEIGHT - image.height) // 2))
    return mat


def _missing() -> Image.Image:
    mat = Image.new("RGB", (_HEIGHT // 2, _HEIGHT), _MAT)
    middle = (mat.width // 2, mat.height // 2)
    ImageDraw.Draw(mat).text(middle, "no picture", _GREY, _SCORE, anchor="mm")
    return mat


def _badge(right: bool) -> Image.Image:
    """A tick or a cross in the frame's corner, drawn large and scaled down for smooth edges."""
    side = 88
    badge = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(badge)
    draw.rectangle((0, 0, side, side), _FRAMES[right])
    points = [(x * side, y * side) for x, y in _SIGNS[right]]
    draw.line(points, "white", 10, joint="curve")
    return badge.resize((side // 4, side // 4), Image.Resampling.LANCZOS)


def _wrapped(text: str, room: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _CAPTION.getlength(longer) > room:
            lines.append(_shortened(word, room, _CAPTION))
        else:
            lines[-1] = _shortened(longer, room, _CAPTION)
    return lines


def _shortened(
    text: str, room: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont = _SCORE
) -> str:
    """The text, or as much of its beginning as fits before three dots."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..."
