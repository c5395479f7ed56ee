"""Pictures from disk: which files there are, their pixels as RGB, and the tensor an encoder reads.

Every picture comes out upright (EXIF), in 8-bit RGB, first frame of a still: 16-bit is scaled, CMYK
and palettes are converted, transparency is laid on white. A file that cannot be shown that way
raises `UnreadableImage` with a reason in plain words. Nothing larger than `MAX_PIXELS` is decoded,
and only the formats in `FORMATS` are tried, so that no file can start another program.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from tipr.data.plain import plain
from tipr.data.shards import ShardError, member_bytes, shard_of

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 64_000_000
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF", "JPEG2000")

_READABLE = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}
_TRANSPARENT = {"RGBA", "RGBa", "LA", "La", "PA"}
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImage(ValueError):
    """A picture that cannot be used, and why."""

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(plain(f"{path}: {reason}" if path else reason))
        self.path = path
        self.reason = reason


def image_files(folder: Path | str) -> list[Path]:
    """Every file below `folder` that is not hidden, sorted; whether it is a picture is not asked.

    Linked folders are entered, each folder once. A folder that may not be entered is listed itself,
    so that whoever opens the files can name it.
    """
    return list(walked_images(folder))


def walked_images(folder: Path | str) -> Iterator[Path]:
    """The same one by one, holding no more than the names of one folder."""
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; check the spelling")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder that holds the pictures")
    yield from _walked(folder, set())


def _walked(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Below this folder, unless it was entered before."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in entered:
        return
    entered.add((status.st_dev, status.st_ino))
    try:
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        yield folder
        return
    for path in map(folder.joinpath, names):
        if _is(Path.is_dir, path):
            yield from _walked(path, entered)
        elif _is(Path.is_file, path, unseen=True):
            yield path


def _is(kind: Callable[[Path], bool], path: Path, unseen: bool = False) -> bool:
    """Whether it is of that kind; what may not be looked at is a file, so that it is named."""
    try:
        return kind(path)
    except PermissionError:
        return unseen


def open_image(
    source: Path | str | Image.Image, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """The picture, upright and in RGB.

    With `at_least` = (height, width) a larger picture may come back reduced, its shape kept, but
    never below that size: cheaper to decode and to keep.
    """
    if isinstance(source, Image.Image):
        _check_still(source, None)
        return _finished(source, None, at_least)
    path = Path(source)
    try:
        with _opened(path) as file, Image.open(file, formats=_formats()) as image:
            _check_still(image, path)
            _draft(image, at_least)
            image.load()
            return _finished(image, path, at_least)
    except UnreadableImage:
        raise
    except ShardError as error:
        raise UnreadableImage(path, str(error)) from error
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise UnreadableImage(path, _reason(error)) from error


@dataclass(frozen=True)
class ImageTransform:
    """RGB picture -> normalised float32 (3, H, W); `size` is (height, width).

    The resize is bicubic and antialiased, on 8-bit values, whatever the picture's own shape.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size is (height, width) in pixels, at least 1; this is {self.size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"mean and std are three numbers each, std above 0: {self.mean}, {self.std}"
            )

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return self.normalised(self.resized(image).float() / 255)

    def resized(self, image: Image.Image) -> torch.Tensor:
        """The picture's bytes at this size: uint8 (3, H, W)."""
        import torch
        from torch.nn.functional import interpolate

        if image.mode != "RGB":
            raise ValueError(f"the picture is {image.mode}, not RGB; read it with open_image")
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        if pixels.shape[-2:] != self.size:
            pixels = interpolate(pixels, self.size, mode="bicubic", antialias=True)
        return pixels[0].contiguous()

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Values in [0, 1], (..., 3, H, W), as the encoder expects them."""
        mean = pixels.new_tensor(self.mean).view(3, 1, 1)
        std = pixels.new_tensor(self.std).view(3, 1, 1)
        return (pixels - mean) / std

    def to_json(self) -> dict[str, Any]:
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageTransform:
        try:
            height, width = (int(value) for value in values["size"])
            return cls((height, width), _triple(values["mean"]), _triple(values["std"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"an image transform needs size, mean and std: {values}") from error


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _opened(path: Path) -> BinaryIO:
    """The file, on disk or inside a tar archive (`SHARD.tar/MEMBER`)."""
    if shard_of(path):
        contents = member_bytes(path)
        size = len(contents)
    else:
        contents, status = None, path.stat()
        size = status.st_size
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UnreadableImage(
                path, "is no regular file (a pipe or device); put the picture there"
            )
    if size == 0:
        raise UnreadableImage(path, "the file is empty")
    return path.open("rb") if contents is None else io.BytesIO(contents)


def _formats() -> tuple[str, ...]:
    """The formats this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_still(image: Image.Image, path: Path | None) -> None:
    """Refuses by the header alone: gigantic, or more than one frame (a stereo JPEG is a still)."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        reason = f"too large: {width} x {height} pixels, the limit is {limit} million"
        raise UnreadableImage(path, reason)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise UnreadableImage(path, f"has {frames} frames; only still pictures are read")


def _draft(image: Image.Image, at_least: tuple[int, int] | None) -> None:
    """Lets a JPEG be decoded at a half, a quarter or an eighth of its size."""
    if at_least is not None and image.format in ("JPEG", "MPO") and image.mode != "CMYK":
        height, width = at_least
        lying = _orientation(image) >= 5  # it is turned by a quarter once it is decoded
        image.draft(None, (height, width) if lying else (width, height))


def _finished(
    image: Image.Image, path: Path | None, at_least: tuple[int, int] | None
) -> Image.Image:
    turn = _UPRIGHT.get(_orientation(image))
    image = _as_rgb(image, path)
    if turn is not None:
        image = image.transpose(turn)
    image.info.clear()
    if at_least is not None:
        factor = min(image.width // at_least[1], image.height // at_least[0])
        image = image.reduce(factor) if factor > 1 else image
    return image


def _orientation(image: Image.Image) -> int:
    """EXIF's number for how the picture lies; a damaged EXIF block says nothing."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _as_rgb(image: Image.Image, path: Path | None) -> Image.Image:
    """The picture in a new image, always."""
    if image.mode.startswith("I"):
        return _from_16_bits(image, path)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    if image.mode not in _READABLE:
        raise UnreadableImage(path, f"its colours are stored in a way not read here ({image.mode})")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image, path: Path | None) -> Image.Image:
    """Grey of 16 bits becomes grey of 8 by dropping the low byte, so black and white stay."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnreadableImage(path, "its grey values go beyond 16 bits")
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")


def _reason(error: Exception) -> str:
    """Pillow's error in words a user can act on."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or too damaged to tell"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large: the limit is {MAX_PIXELS // 1_000_000} million pixels"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        moved = "was it moved? `tipr data check DIR` tells what a dataset lacks"
        return f"cannot be opened: no such file; {moved}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be opened: {error.strerror.lower()}"
    if "truncated" in str(error).lower():
        return "cut short: the end of the file is missing"
    if isinstance(error, MemoryError):
        return "too large for this machine's memory"
    return "damaged: its pixels cannot be decoded"
