"""What a cheap camera does to a picture: blur, colour cast, exposure, noise, compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tipr.data.synthetic.jit import Bytes, Floats, kernel

_WIDEST_PASS = 0.8  # pixels of blur that one pass of a three-tap filter can do
_LEAST_BLUR = 0.25  # pixels below which blur is not worth a pass
_CURVE_STEPS = 1024


@dataclass(frozen=True)
class Degradation:
    """Blur in pixels, noise in bytes, gains per channel, then gamma and saturation."""

    blur: float
    noise: float
    gains: tuple[float, float, float]
    gamma: float
    saturation: float
    noise_seed: int


def degrade(picture: Bytes, how: Degradation) -> None:
    """Spoil the picture (h, w, 3) in place."""
    left = how.blur
    rows = np.empty(picture.shape, np.float32)
    while left > _LEAST_BLUR:
        radius = min(left, _WIDEST_PASS)
        _blur(picture, rows, np.float32(0.49 * radius * radius / (1 + radius * radius)))
        left -= _WIDEST_PASS
    levels = np.minimum(np.arange(_CURVE_STEPS) / 1020.0, 1)
    curve = (255 * levels**how.gamma).astype(np.float32)
    gains = np.array(how.gains, np.float32)
    seed = np.uint64(how.noise_seed)
    _develop(picture, gains, np.float32(how.saturation), curve, np.float32(how.noise), seed)


def as_jpeg(picture: Bytes, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@kernel
def _blur(picture: Bytes, rows: Floats, beside: np.float32) -> None:
    """Average with the neighbours at weight `beside`, along rows and then along columns."""
    height, width, _ = picture.shape
    middle, half = np.float32(1) - np.float32(2) * beside, np.float32(0.5)
    for y in range(height):
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            for c in range(3):
                around = np.float32(picture[y, left, c]) + np.float32(picture[y, right, c])
                rows[y, x, c] = np.float32(picture[y, x, c]) * middle + around * beside
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            for c in range(3):
                around = rows[above, x, c] + rows[below, x, c]
                picture[y, x, c] = np.uint8(rows[y, x, c] * middle + around * beside + half)


@kernel
def _develop(
    picture: Bytes,
    gains: Floats,
    saturation: np.float32,
    curve: Floats,
    noise: np.float32,
    seed: np.uint64,
) -> None:
    """Saturation, gains, the tone curve, then grey noise from Knuth's MMIX generator."""
    state = seed
    height, width, _ = picture.shape
    for y in range(height):
        for x in range(width):
            state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            bits = state >> np.uint64(33)
            low = np.float32(bits & np.uint64(0x7FFF))
            high = np.float32((bits >> np.uint64(15)) & np.uint64(0x7FFF))
            grain = ((low + high) * np.float32(1 / 32768.0) - np.float32(1)) * noise
            red, green = np.float32(picture[y, x, 0]), np.float32(picture[y, x, 1])
            grey = (red + green + np.float32(picture[y, x, 2])) * np.float32(1 / 3.0)
            for c in range(3):
                value = (grey + (np.float32(picture[y, x, c]) - grey) * saturation) * gains[c]
                step = min(max(int(value * np.float32(4)), 0), _CURVE_STEPS - 1)
                value = curve[step] + grain
                picture[y, x, c] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
