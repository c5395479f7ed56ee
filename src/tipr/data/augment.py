"""Changes that leave the sentence true: pictures under other cameras, sentences told otherwise.

Everything works on a batch at once and draws from torch's generator. Ranges follow what helps on
the real benchmarks (TBPS-CLIP, Cao et al., AAAI 2024): no hue shift, since colours are named.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from tipr.data.images import CLIP_MEAN, CLIP_STD

Images = Float[Tensor, "B 3 H W"]
_DENIALS = {"no", "not", "without", "nothing", "neither", "nor"}
_SIDES = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)


class Augmenting(Protocol):
    """What a batcher needs of an augmentation; pixels are in 0..1."""

    @property
    def flip(self) -> float: ...
    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images: ...
    def caption(self, caption: str, flipped: bool) -> str: ...


@dataclass(frozen=True, kw_only=True)
class PublishedAugmentation:
    """What IRRA's lineage does at 384 x 128: flip, pad 10 and crop, erase; sentences stay.

    Faithful to two quirks: a flipped picture keeps the sentence that says left and right, and
    the mean that fills a box is not normalised as the rest of the picture is.
    """

    flip: float = 0.5
    pad: int = 10  # pixels, black
    erase: float = 0.5
    erased_area: tuple[float, float] = (0.02, 0.4)  # of the picture
    erased_shape: tuple[float, float] = (0.3, 3.3)  # height to width
    noise: bool = False  # erase with noise (IVT) in place of one colour

    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images:
        images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        return torch.stack([self._erased(self._cropped(image)) for image in images])

    def caption(self, caption: str, flipped: bool) -> str:
        return caption

    def _cropped(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
        height, width = image.shape[-2:]
        top, left = torch.randint(2 * self.pad + 1, (2,)).tolist()
        return F.pad(image, [self.pad] * 4)[:, top : top + height, left : left + width]

    def _erased(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 H W"]:
        if torch.rand(()) >= self.erase:
            return image
        height, width = image.shape[-2:]
        for _ in range(10):  # a box that does not fit is drawn anew
            h, w = self._box(height * width)
            if 0 < h < height and 0 < w < width:
                top = int(torch.randint(height - h + 1, ()))
                left = int(torch.randint(width - w + 1, ()))
                image = image.clone()
                image[:, top : top + h, left : left + w] = self._fill(h, w)
                return image
        return image

    def _box(self, pixels: int) -> tuple[int, int]:
        """Height and width of what is erased."""
        area = pixels * float(torch.empty(()).uniform_(*self.erased_area))
        logs = [math.log(shape) for shape in self.erased_shape]
        shape = math.exp(float(torch.empty(()).uniform_(*logs)))
        return round((area * shape) ** 0.5), round((area / shape) ** 0.5)

    def _fill(self, height: int, width: int) -> Float[Tensor, "3 _ _"]:
        """What CLIP's normalisation turns into its own mean (as released), or into white noise."""
        mean, std = (torch.tensor(x)[:, None, None] for x in (CLIP_MEAN, CLIP_STD))
        return mean + std * (torch.randn(3, height, width) if self.noise else mean)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far pictures (0..1 pixels) and sentences may wander during training."""

    flip: float = 0.5  # with left and right exchanged in the sentence
    shift: float = 0.08  # of the picture's size
    zoom: float = 0.15
    turn: float = 0.06  # radians
    light: float = 0.2  # brightness and contrast
    saturation: float = 0.3
    cast: float = 0.06  # of each colour channel
    blur: float = 0.3
    noise: float = 0.03
    erase: float = 0.3
    drop_words: float = 0.06

    def images(self, images: Images, flipped: Bool[Tensor, " B"]) -> Images:
        images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        images = self._moved(images)
        images = self._lit(images)
        images = self._blurred(images)
        images = images + self.noise * torch.rand(len(images), 1, 1, 1) * torch.randn_like(images)
        return self._erased(images.clamp(0, 1))

    def caption(self, caption: str, flipped: bool) -> str:
        if flipped:
            caption = mirrored(caption)
        words = caption.split()
        chances = torch.rand(len(words)).tolist()
        kept = [
            word
            for word, chance in zip(words, chances, strict=True)
            if chance >= self.drop_words or word.lower() in _DENIALS
        ]
        return " ".join(kept) or caption

    def _moved(self, images: Images) -> Images:
        count, _, height, width = images.shape
        angle = self.turn * uniform(count)
        scale = 1 + self.zoom * uniform(count, 2)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * angle.cos(), scale[:, 1] * angle.cos()
        theta[:, 0, 1] = -angle.sin() * height / width
        theta[:, 1, 0] = angle.sin() * width / height
        theta[:, :, 2] = 2 * self.shift * uniform(count, 2)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _lit(self, images: Images) -> Images:
        count = len(images)
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * (1 + self.saturation * _each(count))
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = middle + (images - middle) * (1 + self.light * _each(count))
        cast = 1 + self.cast * uniform(count, 3)[:, :, None, None]
        gamma = (self.light * _each(count)).exp()
        return (images * cast * (1 + self.light * _each(count))).clamp(1e-3, 1) ** gamma

    def _blurred(self, images: Images) -> Images:
        """Some pictures lose resolution and get it back by interpolation."""
        chosen = torch.rand(len(images)) < self.blur
        if not chosen.any():
            return images
        height, width = images.shape[-2:]
        factor = 0.25 + 0.5 * float(torch.rand(()))
        small = (max(int(height * factor), 8), max(int(width * factor), 4))
        coarse = F.interpolate(images[chosen], small, mode="area")
        images = images.clone()
        images[chosen] = F.interpolate(coarse, (height, width), mode="bilinear")
        return images

    def _erased(self, images: Images) -> Images:
        """A box of some pictures is hidden behind a flat colour (Zhong et al., AAAI 2020)."""
        count, _, height, width = images.shape
        centre, size = torch.rand(count, 2, 1), 0.05 + 0.3 * torch.rand(count, 2, 1)
        rows = ((torch.arange(height) / height)[None] - centre[:, 0]).abs() < size[:, 0] / 2
        columns = ((torch.arange(width) / width)[None] - centre[:, 1]).abs() < size[:, 1]
        hidden = rows[:, None, :, None] & columns[:, None, None, :]
        hidden &= (torch.rand(count) < self.erase)[:, None, None, None]
        return torch.where(hidden, torch.rand(count, 3, 1, 1), images)


def uniform(*shape: int) -> Tensor:
    """Values from -1 to 1."""
    return 2 * torch.rand(*shape) - 1


def _each(count: int) -> Float[Tensor, "B 1 1 1"]:
    return uniform(count)[:, None, None, None]


def mirrored(caption: str) -> str:
    """What the caption says of the mirror image: left and right exchanged."""
    return _SIDE.sub(lambda side: _SIDES[side.group().lower()], caption)
