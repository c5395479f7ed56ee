"""Which files are listed, what becomes of strange ones, and the tensor an encoder reads."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tipr.data.images import ImageTransform, UnreadableImage, image_files, open_image

RED, GREEN = (200, 30, 30), (30, 160, 30)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int = 60, height: int = 90) -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def huge_png(width: int, height: int) -> bytes:
    """A header that promises pixels which are not there: nobody may try to decode it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


HOSTILE = {
    "empty": (b"", "the file is empty"),
    "text": (b"To whom it may concern\n" * 99, "not a picture, or too damaged to tell"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "cut jpeg": (encoded(noise(), "JPEG")[:-1500], "cut short"),
    "cut png": (encoded(noise(), "PNG")[:-9000], "cut short"),
    "first bytes only": (encoded(noise(), "JPEG")[:20], "not a picture, or too damaged"),
    "damaged png": (b"\x89PNG\r\n\x1a\n" + b"junk" * 50, "cut short"),
    "animated gif": (animated("GIF"), "has 2 frames"),
    "animated webp": (animated("WEBP"), "has 2 frames"),
    "animated png": (animated("PNG"), "has 2 frames"),
    "pages": (animated("TIFF"), "has 2 frames"),
    "70 megapixels": (huge_png(10_000, 7_000), "too large: 10000 x 7000 pixels, the limit is 64"),
    "100 megapixels": (huge_png(10_000, 10_000), "too large"),
    "900 megapixels": (huge_png(30_000, 30_000), "too large"),
    "floats": (encoded(Image.new("F", (9, 9), 0.5), "TIFF"), r"not read here \(F\)"),
    "32 bits": (encoded(Image.new("I", (9, 9), 1 << 20), "TIFF"), "beyond 16 bits"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_cannot_be_used_is_named_with_a_reason(tmp_path: Path, kind: str):
    content, reason = HOSTILE[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage, match=reason) as caught:
        open_image(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    assert "\n" not in caught.value.reason


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_flipping_any_byte_gives_a_picture_or_a_reason(tmp_path: Path):
    path = tmp_path / "photo"
    rng = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        whole = encoded(noise(16, 24), kind)
        for _ in range(40):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            try:
                assert open_image(path).mode == "RGB"
            except UnreadableImage as error:
                assert error.reason


def test_a_missing_file_and_a_folder_are_no_pictures(tmp_path: Path):
    for name in ("gone.jpg", "gone/a.jpg", "gone.tar/a.jpg"):
        moved = r"no such file; was it moved\? `tipr data check DIR` tells what a dataset lacks"
        with pytest.raises(UnreadableImage, match=rf"{name}: cannot be opened: {moved}"):
            open_image(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableImage, match="is no regular file"):
        open_image(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableImage, match="cannot be opened: is a directory"):
        open_image(tmp_path)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(4, axis=0)
    for kind in ("PNG", "TIFF"):
        Image.fromarray(ramp).save(tmp_path / "grey", kind)
        pixels = np.asarray(open_image(tmp_path / "grey"))
        assert pixels[0, :, 0].tolist() == list(range(256))


def test_cmyk_keeps_its_colours(tmp_path: Path):
    plain = Image.new("RGB", (32, 32), RED)
    plain.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    with Image.open(tmp_path / "cmyk.jpg") as stored:
        assert stored.mode == "CMYK"
    colour = np.asarray(open_image(tmp_path / "cmyk.jpg")).reshape(-1, 3).mean(axis=0)
    assert np.abs(colour - RED).max() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "PA"])
def test_every_common_mode_becomes_rgb(tmp_path: Path, mode: str):
    source = noise().quantize(8).convert("RGB") if mode in ("P", "PA") else noise()
    kind = "TIFF" if mode == "PA" else "PNG"
    source.convert(mode).save(tmp_path / "picture", kind)
    image = open_image(tmp_path / "picture")
    assert (image.mode, image.size) == ("RGB", (60, 90))


def test_what_is_transparent_lies_on_white(tmp_path: Path):
    picture = Image.new("RGBA", (4, 4), (*GREEN, 0))
    picture.putpixel((0, 0), (*RED, 255))
    picture.save(tmp_path / "cutout.png")
    image = open_image(tmp_path / "cutout.png")
    assert image.getpixel((0, 0)) == RED
    assert image.getpixel((3, 3)) == (255, 255, 255)
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=1)
    image = open_image(tmp_path / "palette.png")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [RED, (255, 255, 255)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_turned_photograph_comes_out_upright(tmp_path: Path, orientation: int, kind: str):
    upright = Image.new("RGB", (32, 64), RED)
    upright.paste(GREEN, (0, 0, 16, 32))
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo", kind, exif=exif)
    image = open_image(tmp_path / "photo")
    assert image.size == (32, 64)
    corner, rest = np.asarray(image.getpixel((6, 10))), np.asarray(image.getpixel((26, 54)))
    assert np.abs(corner - GREEN).max() < 12
    assert np.abs(rest - RED).max() < 12


@pytest.mark.filterwarnings("ignore:.*EXIF:UserWarning:PIL")
def test_a_damaged_exif_block_does_not_cost_the_picture(tmp_path: Path):
    noise().save(tmp_path / "photo.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage")
    assert open_image(tmp_path / "photo.jpg").size == (60, 90)


def test_a_stereo_photograph_is_its_first_view(tmp_path: Path):
    views = [Image.new("RGB", (24, 24), colour) for colour in (RED, GREEN)]
    views[0].save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=views[1:])
    colour = np.asarray(open_image(tmp_path / "photo.jpg").getpixel((5, 5)))
    assert np.abs(colour - RED).max() < 6


def test_a_picture_in_memory_is_copied_not_changed():
    given = noise()
    opened = open_image(given)
    opened.putpixel((0, 0), (1, 2, 3))
    assert given.getpixel((0, 0)) == noise().getpixel((0, 0))
    with pytest.raises(UnreadableImage, match=r"^too large"):
        open_image(Image.new("1", (10_000, 7_000)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_may_come_back_reduced_but_never_too_small(tmp_path: Path, kind: str):
    smooth = noise(6, 9).resize((1300, 400), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "wide", kind)
    reduced = open_image(tmp_path / "wide", at_least=(128, 64))
    assert reduced.height in range(128, 256)
    assert abs(reduced.width / reduced.height - 1300 / 400) < 0.02  # nothing is squashed
    whole = open_image(tmp_path / "wide").resize(reduced.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(reduced, np.int16) - np.asarray(whole)).mean() < 2
    assert open_image(tmp_path / "wide", at_least=(500, 1400)).size == (1300, 400)


def test_files_are_listed_sorted_without_hidden_ones(tmp_path: Path):
    for name in ("b/2.jpg", "a.txt", "b/1.png", ".hidden.jpg", ".git/x.png", "b/.thumbs/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    names = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert names == ["a.txt", "b/1.png", "b/2.jpg"]


def test_linked_folders_are_entered_once_and_loops_end(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.jpg").touch()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "photos")
    names = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path / "photos")]
    assert names == ["photos/link/1.jpg"]


def test_a_folder_that_is_missing_or_a_file_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*photoz; check the spelling"):
        image_files(tmp_path / "photoz")
    (tmp_path / "one.jpg").touch()
    with pytest.raises(NotADirectoryError, match="is a file; give the folder"):
        image_files(tmp_path / "one.jpg")


def test_the_transform_gives_what_pillow_gives_then_normalises():
    transform = ImageTransform((48, 16), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    image = noise(100, 300)
    tensor = transform(image)
    assert (tensor.shape, tensor.dtype) == ((3, 48, 16), torch.float32)
    resized = np.asarray(image.resize((16, 48), Image.Resampling.BICUBIC), np.float32) / 255
    back = tensor.permute(1, 2, 0).numpy() * transform.std + transform.mean
    assert np.abs(back - resized).max() < 1.6 / 255


def test_a_picture_of_the_right_size_keeps_its_pixels():
    image = noise(16, 48)
    tensor = ImageTransform((48, 16), (0, 0, 0), (1, 1, 1))(image)
    assert np.array_equal((tensor * 255).round().byte().permute(1, 2, 0).numpy(), np.array(image))


def test_a_transform_survives_json():
    transform = ImageTransform((384, 128), (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
    assert ImageTransform.from_json(transform.to_json()) == transform
    assert transform.to_json()["size"] == [384, 128]


def test_a_wrong_transform_is_refused():
    with pytest.raises(ValueError, match="needs size, mean and std"):
        ImageTransform.from_json({"size": [4, 4]})
    with pytest.raises(ValueError, match="at least 1"):
        ImageTransform((0, 4), (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="std above 0"):
        ImageTransform((4, 4), (0, 0, 0), (1, 0, 1))
    with pytest.raises(ValueError, match="is L, not RGB"):
        ImageTransform((4, 4), (0, 0, 0), (1, 1, 1))(Image.new("L", (4, 4)))
