"""Pictures that are not there, are something else, or cannot be shown."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tipr.data.check.pictures import Picture, equal_hits, picture_hits, pictures
from tipr.data.readers.entries import Entry


def encoded(kind: str, **options: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def gigantic_png() -> bytes:
    """A header that promises ten thousand million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def animated() -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def looked(path: Path, deep: bool) -> Picture:
    (picture,) = pictures([path], deep)
    return picture


BY_HEADER = {
    "empty": (b"", "the file is empty"),
    "text": (b"To whom it may concern\n" * 99, "not a picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "no header": (encoded("JPEG")[:20], "not a picture, or too damaged"),
    "gigantic": (gigantic_png(), "too large"),
    "animated": (animated(), "has 2 frames"),
}
BY_DECODING = {
    "cut jpeg": (encoded("JPEG")[:-1500], "cut short"),
    "cut png": (encoded("PNG")[:-9000], "cut short"),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("content", "reason"), BY_HEADER.values(), ids=BY_HEADER)
def test_a_header_is_enough_to_tell(content, reason, deep, tmp_path) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    picture = looked(tmp_path / "x.jpg", deep)
    assert picture.reason.startswith(reason) and not picture.missing


@pytest.mark.parametrize(("content", "reason"), BY_DECODING.values(), ids=BY_DECODING)
def test_a_cut_file_is_found_by_decoding_alone(content, reason, tmp_path) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert looked(tmp_path / "x.jpg", deep=False) == Picture()
    assert looked(tmp_path / "x.jpg", deep=True).reason.startswith(reason)


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_no_file_is_not_opened(deep, tmp_path) -> None:
    (tmp_path / "x.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    assert looked(tmp_path / "x.jpg", deep).reason == "is a folder"
    assert looked(tmp_path / "pipe.jpg", deep).reason == "is no regular file"


def test_missing_is_told_from_unreadable(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    for name in ("none.jpg", "file/below.jpg", "link.jpg"):
        assert looked(tmp_path / name, deep=False) == Picture(missing=True)
    assert "too long" in looked(tmp_path / f"{'x' * 999}.jpg", deep=False).reason
    assert "null" in looked(tmp_path / "\0.jpg", deep=False).reason


@pytest.mark.parametrize("deep", [False, True])
def test_a_locked_file_is_told_with_the_systems_reason(deep, tmp_path, monkeypatch) -> None:
    (tmp_path / "x.png").write_bytes(encoded("PNG"))

    def locked(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", locked)
    assert looked(tmp_path / "x.png", deep).reason == "cannot be opened: permission denied"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may open all")
def test_permissions_are_respected(tmp_path) -> None:
    (tmp_path / "x.png").write_bytes(encoded("PNG"))
    (tmp_path / "x.png").chmod(0)
    assert "permission denied" in looked(tmp_path / "x.png", deep=False).reason


def test_names_that_are_no_text_can_be_looked_at(tmp_path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(encoded("PNG"))
    assert looked(path, deep=True).reason == ""


def test_answers_stand_in_the_order_of_the_files(tmp_path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encoded("PNG"))
    bad.write_bytes(b"")
    asked = [bad if number % 7 == 0 else good for number in range(1000)]
    found = pictures(asked, deep=False)
    assert [bool(picture.reason) for picture in found] == [n % 7 == 0 for n in range(1000)]


def entry(file: str, person: int, split: str = "train") -> Entry:
    return Entry(0, file, ("x",), person, split)  # ty: ignore[invalid-argument-type]


def test_equal_bytes_are_a_note_for_one_person_and_a_problem_for_two(tmp_path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(encoded("PNG"))
    (tmp_path / "d.png").write_bytes(encoded("PNG", optimize=True, compress_level=1))
    rows = [entry("a.png", 1), entry("b.png", 1), entry("c.png", 2), entry("d.png", 3)]
    files = [tmp_path / row.file for row in rows]
    hits = list(equal_hits(rows, pictures(files, deep=True)))
    assert [hit.kind for hit in hits] == [
        "the same image twice", "the same image under two people or splits",
    ]  # fmt: skip
    assert hits[0].example == "a.png (person 1, train) and b.png (person 1, train)"
    assert not list(equal_hits(rows, pictures(files, deep=False)))


def test_a_folder_that_is_absent_speaks_for_its_images() -> None:
    rows = [entry("a/1.png", 1), entry("ab/2.png", 1), entry("ab/3.png", 2)]
    found = [Picture(missing=True), Picture(missing=True), Picture(reason="is a folder")]
    hits = list(picture_hits(rows, found, frozenset({"a"})))
    assert [(h.kind, h.example, h.count) for h in hits] == [
        ("unreadable images", "ab/3.png: is a folder", 1),
        ("missing images", "ab: 1 of 2, as ab/2.png", 1),
    ]
